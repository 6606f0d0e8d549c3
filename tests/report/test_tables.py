"""The tables: reproduced by what they show, checked against slow readings of the rows, defined for cohorts at the edge."""

import csv
import io
import os
import re
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines import KaplanMeierFitter
from statsmodels.stats.proportion import proportion_confint

import enfold as package
from enfold.cli.main import main as enfold
from enfold.report import published
from enfold.report.abstract import figures_of
from enfold.report.proportion import clopper_pearson
from enfold.report.question import Source
from enfold.report.results import results
from enfold.report.sheet import Sheet
from enfold.report.tables import sheets
from enfold.report.tables.course import quartile
from enfold.serve.build import current
from enfold.serve.study import connect
from enfold.shipped import package_file
from report.served import COHORTS, changed, study_of

KEYS = [
    "abstract", "estimand-tables", "disposition", "analysis-sets", "baseline", "baseline-measures",
    *(f"response-{a}" for a in ("sri4", "lldas", "clldas", "doris", "doris_off", "ccr", "ccr0")),
    "time-to-response", "duration-of-response", "relapse-free-survival", "relapse", "relapse-time", "follow-up",
    "crs-grade", "icans-grade", "crs-episodes", "icans-episodes", "dlt", "adverse-events", "expansion",
    "association-response", "association-expansion", "deviations",
]  # fmt: skip
PUBLISHED = Path(package.__file__).parent / "testing" / "demo" / "published.toml"


@pytest.fixture(scope="module")
def con(demo: Path) -> duckdb.DuckDBPyConnection:
    return connect(current(demo))


@pytest.fixture(scope="module")
def made(demo: Path, con: duckdb.DuckDBPyConnection) -> dict[str, Sheet]:
    return {s.key: s for s in sheets(con, study_of(demo))}


def test_which_there_are(made: dict[str, Sheet]) -> None:
    assert list(made) == KEYS


# ---------------------------------------------------------------- what a table shows gives its numbers again


@pytest.mark.parametrize("key", KEYS)
def test_the_command_prints_the_table(
    demo: Path, made: dict[str, Sheet], key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = made[key].table().command.replace("STUDY", str(demo)).split()[1:]
    assert enfold([*words, "--format", "csv"]) == 0
    printed = [tuple(r) for r in csv.reader(io.StringIO(capsys.readouterr().out))]
    assert printed[0][0].endswith(("SYNTHETIC data", "(SYNTHETIC data)"))
    assert [printed[0][1:], *printed[1:]] == [made[key].header[1:], *made[key].table().rows]


def sums(row: tuple[Any, ...]) -> set[Fraction]:
    """Every number of a row, and every sum of two or three of them: what is `of` may be met, not met and open."""
    numbers = [Fraction(v) for v in row if isinstance(v, int | Decimal) and not isinstance(v, bool)]
    out = {Fraction(0), *numbers}
    for _ in range(2):
        out |= {a + b for a in out for b in numbers}
    return out


@pytest.mark.parametrize("key", [k for k in KEYS if k != "estimand-tables"])
def test_the_statement_gives_the_numbers(con: duckdb.DuckDBPyConnection, made: dict[str, Sheet], key: str) -> None:
    """Each count, median, quartile and range is in the rows that the line's filter leaves of the statement."""
    found = 0
    for line in made[key].lines:
        if line.filter == "false":  # made from other tables
            continue
        rows = con.execute(f"SELECT * FROM ({made[key].sql}) WHERE {line.filter}").fetchall()
        assert rows
        there = {n for row in rows for n in sums(row)} | {
            Fraction(sum(r[i] for r in rows)) for i in range(len(rows[0])) if isinstance(rows[0][i], int)
        }
        there |= {n / Fraction("30.4375") for n in there}  # months
        for value in (v for cell in line.cells for v in cell.values):
            if value.value is not None and value.method in ("count", "quartile_2", "order"):
                assert Fraction(value.value) in there, (line.label, value)
                found += 1
    assert found


def test_every_interval_is_that_of_its_counts(made: dict[str, Sheet]) -> None:
    checked = 0
    for line in (line for s in made.values() for line in s.lines):
        for share, interval in zip(line.cells, line.cells[2:], strict=False):
            if [v.method for v in interval.values] == ["clopper_pearson"] * 2 and [
                v.statistic for v in share.values
            ] == ["n", "of"]:
                k, n = (int(v.value or 0) for v in share.values)
                limits = clopper_pearson(k, n, Decimal("0.95")) if n else (None, None)
                assert [v.value and Fraction(v.value) for v in interval.values] == [
                    x if x is None else 100 * x for x in limits
                ]
                checked += 1
    assert checked > 100


# ---------------------------------------------------------------- slow readings of the same rows


@pytest.mark.parametrize(
    "cohort", [None, "nobody responds", "everybody responds", "nothing due", "an arm without patients"]
)
def test_responses_counted_one_by_one(demo: Path, cohort: str | None) -> None:
    con, study = changed(demo, *COHORTS[cohort] if cohort else []), study_of(demo)
    (sheet,) = sheets(con, study, only="response-sri4")
    arms = dict(con.execute("SELECT subject_id, dose_level FROM subjects").fetchall())
    answers: dict[str, list[tuple[int, str, str, bool]]] = {s: [] for s in arms}
    for subject, visit, status, ordinal, held in con.execute(
        "SELECT v.subject_id, v.visit_id, v.status, p.ordinal, p.date IS NOT NULL FROM verdicts v"
        " JOIN visits p USING (subject_id, visit_id) WHERE v.alias = 'sri4' AND v.criterion = 'overall' AND p.scheduled"
    ).fetchall():
        answers[subject].append((ordinal, visit, status, held))

    def ever(subject: str) -> str:
        seen = {status for *_, status, _ in answers[subject]}
        return next((s for s in ("met", "not_evaluable", "not_met") if s in seen), "not_due")

    expected = {"At any planned visit": [ever(s) for s in arms]}
    expected["At the last planned visit attended"] = [
        max((a for a in answers[s] if a[3]), default=(0, "", "not_evaluable", True))[2] for s in arms
    ]
    for visit in ("W4", "W8", "W12", "W24", "W36", "W52"):
        expected[visit] = [st for a in answers.values() for _, v, st, _ in a if v == visit]
    for level in ("0.3", "1", "3"):
        expected[f"Dose level {level}"] = [ever(s) for s in arms if arms[s] == level]
    printed = {line.label: [c.text for c in line.cells] for line in sheet.lines}
    for label, statuses in expected.items():
        n = Counter(statuses)
        judged, due = n["met"] + n["not_met"], n["met"] + n["not_met"] + n["not_evaluable"]
        all_ = due if label.startswith("W") else len(statuses)
        n["not_due"] += n["not_applicable"]
        assert printed[label][0] == f"{n['met']}/{judged}", label
        assert printed[label][3] == f"{n['met']}/{all_}", label
        assert printed[label][6] == str(n["not_evaluable"]), label


@pytest.mark.parametrize("alias", ["crs", "icans"])
def test_grades_counted_one_by_one(con: duckdb.DuckDBPyConnection, made: dict[str, Sheet], alias: str) -> None:
    worst: dict[str, int] = {}
    for subject, grade in con.execute(
        "SELECT subject_id, grade FROM verdicts WHERE alias = ? AND criterion = 'overall'", [alias]
    ).fetchall():
        worst[subject] = max(grade, worst.get(subject, 0))
    n = Counter(worst.values())
    printed = {line.label: line.cells[0].text for line in made[f"{alias}-grade"].lines}
    assert printed["Any grade"] == f"{sum(k for g, k in n.items() if g)}/22"
    assert [printed[f"Maximum grade {g}"] for g in range(1, 6)] == [f"{n[g]}/22" for g in range(1, 6)]


LIFE = ["time-to-response", "duration-of-response", "relapse-free-survival", "follow-up"]


@pytest.mark.parametrize("key", LIFE)
@pytest.mark.parametrize("cohort", [None, "everybody relapses on one day", "everybody censored", "one patient"])
def test_curves_agree_with_lifelines(demo: Path, key: str, cohort: str | None) -> None:
    con, study = changed(demo, *COHORTS[cohort] if cohort else []), study_of(demo)
    (sheet,) = sheets(con, study, only=key)
    life = con.execute(f"SELECT series, day, at_risk, events, censored FROM ({sheet.sql})").fetchall()
    for line in sheet.lines:
        rows = [r for r in life if f"series = '{r[0]}'" == line.filter]
        if key == "follow-up" and line.label != "Reverse Kaplan-Meier":
            continue
        values = {v.statistic: v.value for cell in line.cells for v in cell.values if v.method == "kaplan_meier"}
        if not rows:
            assert set(values.values()) == {None}
            continue
        assert rows[0][2] == sum(r[3] + r[4] for r in rows)
        times = [r[1] for r in rows for _ in range(r[3] + r[4])]
        events = [e for r in rows for e in [1] * r[3] + [0] * r[4]]
        theirs = KaplanMeierFitter().fit(times, events)
        curve = theirs.survival_function_["KM_estimate"]
        if not np.isclose(curve, 0.5).any():  # there lifelines takes the left end of the stretch, the table its middle
            scale = 30.4375 if key in ("relapse-free-survival", "follow-up") else 1
            median = values["median"]
            assert (np.inf if median is None else float(Fraction(median)) * scale) == pytest.approx(
                theirs.median_survival_time_
            )
        for months in (6, 12):
            value = values.get(f"at_{months}_months")
            if value is not None:
                assert float(Fraction(value)) == pytest.approx(100 * theirs.predict(months * 30.4375))


VALUES = st.lists(st.integers(-(10**6), 10**6).map(lambda i: Decimal(i).scaleb(-3)), max_size=30)


@settings(max_examples=80, deadline=None)
@given(VALUES, st.sampled_from([(2, "averaged_inverted_cdf"), (7, "linear")]))
def test_quartiles_agree_with_numpy(values: list[Decimal], definition: tuple[int, str]) -> None:
    kind, method = definition
    with duckdb.connect() as con:
        con.execute(package_file("serve/views/quartile.sql"))
        found = con.execute(
            f"SELECT quartile_{kind}(v, 1), quartile_{kind}(v, 2), quartile_{kind}(v, 3)"
            " FROM (SELECT CAST(? AS DECIMAL(18, 6)[]) AS v)",
            [sorted(values)],
        ).fetchall()[0]
    if not values:
        assert found == (None, None, None)
        return
    theirs = np.quantile([float(v) for v in values], [0.25, 0.5, 0.75], method=method)
    assert [float(x) for x in found] == pytest.approx(list(theirs), abs=1e-9)
    thousandths = sorted(int(v.scaleb(3)) for v in values)
    assert [quartile(thousandths, q, kind) for q in (1, 2, 3)] == [Fraction(x) * 1000 for x in found]


# ---------------------------------------------------------------- cohorts at the edge


@pytest.mark.parametrize("cohort", COHORTS)
def test_every_cohort_has_defined_tables(demo: Path, cohort: str) -> None:
    con, study = changed(demo, *COHORTS[cohort]), study_of(demo)
    for sheet in sheets(con, study):
        table = sheet.table()
        assert all(len(row) == len(table.header) for row in table.rows)
        printed = " ".join([*(c for row in table.rows for c in row), *table.footnotes])
        assert not re.search(r"\b(nan|NaN|None|NULL|inf|Infinity)\b", printed), printed
        for line in sheet.lines:
            for value in (v for cell in line.cells for v in cell.values):
                assert value.value is None or Fraction(value.value) is not None


def test_what_does_not_exist_is_printed_as_such(demo: Path) -> None:
    con, study = changed(demo, *COHORTS["nobody infused"]), study_of(demo)
    (table,) = (s.table() for s in sheets(con, study, only="crs-grade"))
    assert table.rows[0][:4] == ("Any grade", "0/0", "NE", "NE")
    con = changed(demo, *COHORTS["everybody censored"])
    (table,) = (s.table() for s in sheets(con, study, only="relapse-free-survival"))
    assert table.rows[0][1:6] == ("22", "0", "22", "NE", "NE")
    con = changed(demo, *COHORTS["everybody responds"])
    (table,) = (s.table() for s in sheets(con, study, only="response-sri4"))
    assert table.rows[0][1:4] == ("22/22", "100.0", "84.6 to 100.0")
    con = changed(demo, *COHORTS["nobody responds"])
    (table,) = (s.table() for s in sheets(con, study, only="association-response"))
    assert {row[2] for row in table.rows} == {"NE"}
    assert {row[-1] for row in table.rows} == {"not testable (exploratory)"}


# ---------------------------------------------------------------- the study file's choices


def test_choices_are_followed_and_printed(demo: Path) -> None:
    from enfold import study as study_file

    text = (demo / "study.toml").read_text("utf-8")
    for a, b in (
        ("percent_places = 1", "percent_places = 2"), ("quantile = 2", "quantile = 7"), ("level = 0.95", "level = 0.9"),
        ('interval = "clopper_pearson"', 'interval = "wilson"'), ('trend_scores = "rank"', 'trend_scores = "dose"'),
        ("landmarks = [6, 12]", "landmarks = [3]"),
    ):  # fmt: skip
        assert a in text
        text = text.replace(a, b)
    with connect(current(demo)) as con:
        made = {s.key: s.table() for s in sheets(con, study_file.parse(text))}
    low, high = proportion_confint(19, 22, 0.1, method="wilson")
    assert made["response-sri4"].rows[0][1:4] == ("19/22", "86.36", f"{100 * low:.2f} to {100 * high:.2f}")
    assert "90 % CI by Wilson (score)" in " ".join(made["response-sri4"].footnotes)
    assert "definition 7" in " ".join(made["baseline-measures"].footnotes)
    assert "At 3 months, %" in made["relapse-free-survival"].header
    assert "scores: doses" in " ".join(made["association-response"].footnotes)


def test_every_table_names_its_estimand_and_its_choices(demo: Path, made: dict[str, Sheet]) -> None:
    declared = {e.id for e in study_of(demo).estimands}
    named = {e for s in made.values() for e in (s.estimand, *(line.estimand for line in s.lines)) if e}
    assert named == declared
    assert {made[k].estimand for k in ("response-sri4", "dlt", "crs-grade")} == {
        "sri4_ever",
        "dose_limiting_toxicity",
        "worst_crs",
    }
    assert made["dlt"].population == "dlt_evaluable"
    assert {line.estimand for line in made["response-sri4"].lines} == {None, "sri4_ever", "sri4_week_12"}
    for sheet in made.values():
        notes = " ".join(sheet.footnotes)
        assert "SYNTHETIC" in notes
        if any("CI" in h for h in sheet.header):
            assert "CI by" in notes or "interval" in notes or "limits" in notes or "Reverse" in notes


def test_an_estimand_that_no_verdict_can_answer_is_estimated_by_no_table(demo: Path) -> None:
    from enfold import study as study_file

    text = (
        (demo / "study.toml")
        .read_text("utf-8")
        .replace('tocilizumab = "treatment_policy"', 'tocilizumab = "hypothetical"')
    )
    with connect(current(demo)) as con:
        made = {s.key: s.table() for s in sheets(con, study_file.parse(text))}
    assert made["crs-grade"].estimand is None
    assert ("worst crs", "no table") in {(r[0].replace("_", " "), r[-1]) for r in made["estimand-tables"].rows}


# ---------------------------------------------------------------- the abstract


def test_every_sentence_says_what_was_published(demo: Path, con: duckdb.DuckDBPyConnection) -> None:
    (sheet,) = sheets(con, study_of(demo), published.read(PUBLISHED), only="abstract")
    beside = {row[0]: row[3] for row in sheet.table().rows}
    assert beside == {
        "treated": "same (2 figures)", "conditioning": "same (4 figures)", "dose level": "same (3 figures)",
        "follow up": "same (3 figures)", "response": "same (6 figures)", "crs": "same (6 figures)",
        "icans": "same (6 figures)", "relapse": "same (2 figures)", "relapse time": "-", "association": "-",
    }  # fmt: skip
    assert "No association" in sheet.lines[-1].cells[0].text
    assert "independen" not in " ".join(c for row in sheet.table().rows for c in row[:2])


def test_another_published_figure_differs_and_changes_nothing_computed(
    demo: Path, con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    other = tmp_path / "published.toml"
    other.write_text(PUBLISHED.read_text("utf-8").replace('"sri4" = "19"', '"sri4" = "20"'), "utf-8")
    (alone,), (beside,) = (sheets(con, study_of(demo), p, only="abstract") for p in (None, published.read(other)))
    assert {r[0]: r[3] for r in beside.table().rows}["response"] == "differs: sri4"
    assert [line.cells[0] for line in alone.lines] == [line.cells[0] for line in beside.lines]


@pytest.mark.parametrize(
    ("text", "message"),
    [("x", "not valid TOML"), ("source = 1", "needs"), ('source = "a"\n[sentences.x]\nsays = 1', "needs")],
)
def test_a_file_of_published_figures_that_is_none_is_refused(tmp_path: Path, text: str, message: str) -> None:
    from enfold.errors import UsageError

    (tmp_path / "p.toml").write_text(text)
    with pytest.raises(UsageError, match=message):
        published.read(tmp_path / "p.toml")


def test_the_sentences_agree_with_the_figures_that_are_computed_apart(
    con: duckdb.DuckDBPyConnection, made: dict[str, Sheet]
) -> None:
    figures = figures_of(con)
    values = {v.statistic: v.value for line in made["abstract"].lines for v in line.cells[0].values}
    assert values["infused"] == str(figures["infused"])
    for alias in ("sri4", "lldas", "doris", "relapse"):
        assert values[alias] == str(figures[alias]["n"])
    for alias in ("crs", "icans"):
        assert [values[f"{alias}.grade_{g}"] for g in range(1, 6)] == [
            str(figures[alias]["by_maximum_grade"][str(g)]) for g in range(1, 6)
        ]


# ---------------------------------------------------------------- results as data


def test_each_table_is_a_view_of_the_results(demo_copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert enfold(["report", str(demo_copy)]) == 0
    capsys.readouterr()
    study = package.open(demo_copy)
    made = {s.key: s for s in sheets(connect(current(demo_copy)), study_of(demo_copy))}
    rows = study.sql('SELECT table_key, label, cells FROM report_tables ORDER BY table_key, "row"').fetchall()
    for key, sheet in made.items():
        assert [(label, *cells) for k, label, cells in rows if k == key] == list(sheet.table().rows)
    ((run, digests),) = study.sql("SELECT any_value(run), count(DISTINCT run) FROM analysis_results").fetchall()
    assert (len(run), digests) == (64, 1)
    ((n, of),) = study.sql("""
        SELECT max(value) FILTER (statistic = 'n'), max(value) FILTER (statistic = 'of') FROM analysis_results
        WHERE table_key = 'response-sri4' AND filter = 'factor = ''visits'' AND level = ''W12''' AND "column" = 1
    """).fetchall()
    assert (n, of) == ("18", "21")


def test_a_changed_value_moves_the_cells_that_rest_on_it(demo_copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import json

    assert enfold(["cut", str(demo_copy), "create", "interim", "--reason", "interim analysis"]) == 0
    value = ["DEMO-001/pga/W12/PGA_0_3", "value_number=0.50", "--reason", "typing error"]
    assert enfold(["correct", str(demo_copy), *value]) == 0
    assert enfold(["run", str(demo_copy)]) == 0
    capsys.readouterr()
    assert enfold(["report", str(demo_copy), "--compare", "interim", "--json"]) == 0
    moved = json.loads(capsys.readouterr().out)
    assert {r["table_key"] for r in moved} >= {"abstract", "response-doris", "association-response"}
    assert not {r["table_key"] for r in moved} & {
        "disposition",
        "baseline",
        "response-sri4",
        "crs-grade",
        "adverse-events",
    }
    (at_week_12,) = [
        r
        for r in moved
        if (r["table_key"], r["label"], r["header"], r["statistic"]) == ("response-doris", "W12", "Observed", "n")
    ]
    assert (at_week_12["old_value"], at_week_12["new_value"], at_week_12["new_printed"]) == ("7", "6", "6/22")


def test_the_same_run_gives_the_same_bytes(demo: Path, tmp_path: Path) -> None:
    """Another hash seed, locale and time zone; the files of a report, to the last byte."""
    made = []
    for name, env in (("a", {}), ("b", {"PYTHONHASHSEED": "7", "LC_ALL": "tr_TR.UTF-8", "TZ": "Pacific/Chatham"})):
        words = [sys.executable, "-m", "enfold.cli.main", "report", str(demo), "--output", str(tmp_path / name)]
        subprocess.run(words, check=True, env={**os.environ, **env}, capture_output=True)
        made.append({p.name: p.read_bytes() for p in sorted((tmp_path / name).iterdir())})
    assert made[0] == made[1]
    assert set(made[0]) == {"analysis_results.parquet", "report.json", "report.md", *(f"{k}.csv" for k in KEYS)}


def test_files_that_are_there_are_left_alone(demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "dlt.csv").write_text("mine")
    assert enfold(["report", str(demo), "--output", str(tmp_path)]) == 2
    assert "dlt.csv exists" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["dlt.csv"]


def test_a_table_that_is_not_there_names_those_that_are(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert enfold(["report", str(demo), "--table", "response"]) == 2
    assert "response-sri4" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("form", "found"), [("text", "Any grade"), ("markdown", "| Any grade | 20/22 | 90.9 |"), ("json", '"crs-grade"')]
)
def test_formats(demo: Path, form: str, found: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert enfold(["report", str(demo), "--table", "crs-grade", "--format", form]) == 0
    assert found in capsys.readouterr().out


def test_results_carry_run_population_filter_method_and_estimand(made: dict[str, Sheet]) -> None:
    rows = results("r", [made["response-sri4"]]).to_pylist()
    first = rows[0]
    assert (first["run"], first["population"], first["estimand"], first["statistic"], first["value"]) == (
        "r",
        "infused",
        "sri4_ever",
        "n",
        "19",
    )
    assert {r["method"] for r in rows} == {"count", "proportion", "clopper_pearson"}
    assert all(r["synthetic"] for r in rows)
    named = {r["label"]: r["estimand"] for r in rows}
    assert (named["W12"], named["W4"], named["Dose level 1"]) == ("sri4_week_12", None, None)


def test_a_source_makes_only_what_is_wanted(con: duckdb.DuckDBPyConnection, demo: Path) -> None:
    assert Source(con, study_of(demo), "dlt").wants("dlt")
    assert not Source(con, study_of(demo), "dlt").wants("crs-grade")
    assert [s.key for s in sheets(con, study_of(demo), only="dlt")] == ["dlt"]


def test_a_serving_file_of_an_earlier_enfold_says_how_to_mend_it(demo: Path) -> None:
    from enfold.errors import UsageError
    from enfold.report.question import source

    with pytest.raises(UsageError, match="earlier enfold"):
        source(changed(demo, "DROP TABLE served"))
