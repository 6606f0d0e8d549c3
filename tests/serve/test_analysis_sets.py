"""Analysis sets: three answers, each no and unknown with its reason, against a slow reading of the same rows."""

from pathlib import Path

import duckdb
import pytest

from enfold.shipped import package_file

TABLES = """
CREATE TABLE subjects (study_id VARCHAR, subject_id VARCHAR, status VARCHAR, consent_date DATE);
CREATE TABLE periods (study_id VARCHAR, subject_id VARCHAR, period BIGINT);
CREATE TABLE visits (study_id VARCHAR, subject_id VARCHAR, visit_id VARCHAR, scheduled BOOLEAN);
CREATE TABLE verdicts (study_id VARCHAR, alias VARCHAR, subject_id VARCHAR, period BIGINT, grain VARCHAR,
                       visit_id VARCHAR, criterion VARCHAR, status VARCHAR);
CREATE TABLE analysis_set_rules (set VARCHAR, alias VARCHAR);
INSERT INTO analysis_set_rules VALUES ('efficacy_evaluable', 'sri4'), ('dlt_evaluable', 'dlt');
"""
CASES = [
    # status, consent, infused, sri4 at W4 and W12, dlt  ->  enrolled, infused, efficacy, dlt, pk
    ("infused", True, True, ("met", "not_applicable"), "not_met", ("yes", "yes", "yes", "yes", "unknown")),
    ("infused", True, True, ("not_evaluable", "not_evaluable"), "met", ("yes", "yes", "no", "yes", "unknown")),
    ("infused", True, True, ("not_evaluable", "not_applicable"), "not_evaluable", ("yes", "yes", "unknown", "unknown", "unknown")),
    ("died", True, True, ("not_evaluable", "not_applicable"), "not_evaluable", ("yes", "yes", "no", "no", "unknown")),
    ("infused", False, True, ("not_met",), "not_met", ("yes", "yes", "yes", "yes", "unknown")),
    ("enrolled", True, False, (), None, ("yes", "no", "no", "no", "no")),
    ("enrolled", False, False, (), None, ("unknown", "no", "no", "no", "no")),
    ("screen_failure", True, False, (), None, ("no", "no", "no", "no", "no")),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]} {c[3]} {c[4]}")
def test_each_set_says_yes_no_or_unknown(case: tuple[object, ...]) -> None:
    status, consented, infused, responses, dlt, expected = case
    con = duckdb.connect(":memory:")
    con.execute(TABLES)
    con.execute("INSERT INTO subjects VALUES ('S', '01', ?, ?)", [status, "2025-01-01" if consented else None])
    if infused:
        con.execute("INSERT INTO periods VALUES ('S', '01', 1), ('S', '01', 2)")
    for visit, answer in zip(("W4", "W12"), responses, strict=False):  # type: ignore[call-overload]
        con.execute("INSERT INTO visits VALUES ('S', '01', ?, true)", [visit])
        con.execute("INSERT INTO verdicts VALUES ('S', 'sri4', '01', 1, 'visit', ?, 'overall', ?)", [visit, answer])
    if dlt:
        con.execute("INSERT INTO verdicts VALUES ('S', 'dlt', '01', 1, 'period', NULL, 'overall', ?)", [dlt])
        con.execute("INSERT INTO verdicts VALUES ('S', 'dlt', '01', 2, 'period', NULL, 'overall', 'met')")
    con.execute(package_file("serve/views/analysis_sets.sql"))
    rows = con.execute("SELECT set, included, reason FROM analysis_sets").fetchall()
    found = {s: included for s, included, _ in rows}
    sets = ("enrolled", "infused", "efficacy_evaluable", "dlt_evaluable", "pk")
    assert tuple(found[s] for s in sets) == expected
    assert all((reason is None) == (included == "yes") for _, included, reason in rows)


def test_a_study_file_names_the_endpoints_that_decide(demo: Path) -> None:
    import enfold

    found = (
        enfold.open(demo)
        .sql("SELECT set, string_agg(alias, ' ' ORDER BY alias) FROM analysis_set_rules GROUP BY set ORDER BY set")
        .fetchall()
    )
    assert dict(found)["dlt_evaluable"] == "dlt"
    assert {"sri4", "doris"} <= set(dict(found)["efficacy_evaluable"].split())
