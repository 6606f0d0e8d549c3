"""The demo's figures come out of raw events, and single events move the right figure and only that."""

import json
from pathlib import Path
from typing import Any

import pytest

from enfold.cli.main import main as enfold
from enfold.report.abstract import figures
from enfold.testing.demo.courses import patients
from enfold.testing.demo.generate import generate

# As the abstract prints them. This table stands in the tests alone; no code of the platform reads it.
PUBLISHED = {
    ("infused",): 22,
    ("prior_therapies_at_least_4", "n"): 22,
    ("conditioning",): {"full": 8, "2/3": 2, "1/2": 2, "1/3": 10},
    ("dose_level",): {"0.3": 6, "1": 12, "3": 4},
    ("follow_up_months", "median"): "6.4",
    ("follow_up_months", "min"): "3.1",
    ("follow_up_months", "max"): "13.1",
    ("sri4", "n"): 19,
    ("sri4", "percent"): "86.4",
    ("lldas", "n"): 10,
    ("lldas", "percent"): "45.5",
    ("doris", "n"): 7,
    ("doris", "percent"): "31.8",
    ("crs", "any", "n"): 20,
    ("crs", "by_maximum_grade"): {"1": 19, "2": 0, "3": 1, "4": 0, "5": 0},
    ("icans", "any", "n"): 4,
    ("icans", "by_maximum_grade"): {"1": 3, "2": 0, "3": 0, "4": 1, "5": 0},
    ("relapse", "n"): 3,
    ("relapse", "percent"): "13.6",
}


def at(found: dict[str, Any], path: tuple[str, ...]) -> Any:
    for key in path:
        found = found[key]
    return found


@pytest.mark.parametrize("path", PUBLISHED, ids=".".join)
def test_computed_figure_equals_the_published_one(demo: Path, path: tuple[str, ...]) -> None:
    assert at(figures(demo), path) == PUBLISHED[path]


def test_dc_29_met_at_any_visit_and_at_the_last_one_stand_side_by_side(demo: Path) -> None:
    import enfold

    found = figures(demo)["sri4"]
    query = """
        SELECT count(*) FILTER (ever), count(*) FILTER (last = 'met') FROM (
            SELECT subject_id, bool_or(status = 'met') AS ever,
                   max_by(status, ordinal) FILTER (date IS NOT NULL) AS last
            FROM responses_by_visit WHERE alias = 'sri4' GROUP BY subject_id)"""
    assert enfold.open(str(demo)).sql(query).fetchall() == [(found["n"], found["last_visit"]["n"])]
    assert found["last_visit"]["n"] < found["n"]


def test_no_association_is_detected_and_nothing_is_called_independent(demo: Path) -> None:
    found = figures(demo)["associations"]
    assert {(a["outcome"], a["factor"]) for a in found} >= {("expansion_cmax", "dose_level"), ("sri4", "conditioning")}
    assert {a["reading"] for a in found} == {"no association detected (exploratory)"}


def test_relapses_fall_five_to_nine_months_after_infusion(demo: Path) -> None:
    months = figures(demo)["relapse_months"]
    assert 5 <= float(months["min"]) <= float(months["max"]) <= 9


def test_the_generator_is_deterministic_and_holds_no_results() -> None:
    rows = generate()
    assert json.dumps(rows) == json.dumps(generate())
    text = json.dumps(rows).lower()
    assert not any(word in text for word in ("sri", "lldas", "doris", "total", "responder", "published"))


def test_the_generator_imports_no_endpoint() -> None:
    import subprocess
    import sys

    code = (
        "import sys, enfold.testing.demo.generate\n"
        "bad = [m for m in sys.modules if m.startswith('enfold_') or m.startswith('enfold.evaluate')]\n"
        "sys.exit(str(bad) if bad else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_reason_for_non_response_occurs(demo: Path) -> None:
    import enfold as package

    study = package.open(str(demo))
    failed = {
        (alias, criterion)
        for alias, criterion in study.sql(
            "SELECT DISTINCT alias, criterion FROM verdicts WHERE status = 'not_met' AND grain = 'visit'"
        ).fetchall()
    }
    for alias, criteria in {
        "sri4": ("sledai", "bilag", "pga", "no_treatment_failure"),
        "lldas": ("low_activity", "no_new_activity", "pga", "prednisone"),
        "doris": ("clinical_sledai", "pga", "prednisone"),
    }.items():
        assert {(alias, c) for c in criteria} <= failed
    statuses = {s for (s,) in study.sql("SELECT DISTINCT status FROM verdicts").fetchall()}
    assert statuses == {"met", "not_met", "not_evaluable", "not_applicable"}


def correct(study: Path, event_type: str, event_id: str, **changes: str) -> None:
    """Land one correction of one demo event."""
    (row,) = [r for r in generate()[event_type] if r["event_id"] == event_id]
    row = {k: v for k, v in row.items() if v is not None and k != "event_id"}
    row |= {"supersedes": event_id, "reason": "test", **changes}
    path = study.parent / f"{event_type}.csv"
    path.write_text(",".join(row) + "\n" + ",".join(row.values()) + "\n", "utf-8")
    assert enfold(["land", str(study), str(path), "--author", "test"]) == 0


def patient(kind: str, index: int | None = None) -> str:
    return next(p.id for p in patients() if p.kind == kind and index in {None, p.index})


# a moved response moves the exploratory tests on it, too
def moved(before: Any, after: Any, path: str = "") -> set[str]:
    if isinstance(before, dict):
        return {m for k in before | after for m in moved(before.get(k), after.get(k), f"{path}.{k}" if path else k)}
    return set() if before == after else {path}


def test_one_pga_value_moves_doris_and_lldas_of_that_patient_only(demo_copy: Path) -> None:
    before = figures(demo_copy)
    who = patient("quiet", 0)  # in remission at one visit only
    correct(demo_copy, "assessment", f"{who}/pga/W12/PGA_0_3", value_number="0.50")
    assert enfold(["run", str(demo_copy)]) == 0
    after = figures(demo_copy)
    assert (before["doris"]["n"], after["doris"]["n"]) == (7, 6)  # 0.50 is not below 0.5
    assert {m.split(".")[0] for m in moved(before, after)} == {"doris", "associations"}


def test_one_sledai_item_moves_the_response_that_rests_on_it(demo_copy: Path) -> None:
    before = figures(demo_copy)
    who = patient("rash", 6)  # LLDAS at one visit only
    correct(demo_copy, "assessment", f"{who}/sledai/W12/HEMAT", value_code="present", attribution="disease")
    assert enfold(["run", str(demo_copy)]) == 0
    after = figures(demo_copy)
    assert (before["lldas"]["n"], after["lldas"]["n"]) == (10, 9)
    assert {m.split(".")[0] for m in moved(before, after)} == {"lldas", "clldas", "associations"}


def test_one_death_date_moves_follow_up_only(demo_copy: Path) -> None:
    before = figures(demo_copy)
    shortest = next(p for p in patients() if p.follow_up == 94)
    correct(
        demo_copy,
        "disposition",
        f"{shortest.id}/last-contact",
        occurred=shortest.day(91).isoformat(),
    )
    assert enfold(["run", str(demo_copy)]) == 0
    after = figures(demo_copy)
    assert after["follow_up_months"]["min"] == "3.0"
    assert moved(before, after) == {"follow_up_months.min"}


def test_one_ice_item_moves_icans_only(demo_copy: Path) -> None:
    before = figures(demo_copy)
    who = next(p for p in patients() if p.age >= 12 and p.kind == "quiet" and p.index not in {4, 10, 19, 17})
    correct(demo_copy, "assessment", f"{who.id}/neuro/9/ice/ATTENTION", value_number="0")
    assert enfold(["run", str(demo_copy)]) == 0
    after = figures(demo_copy)
    assert after["icans"]["by_maximum_grade"]["1"] == before["icans"]["by_maximum_grade"]["1"] + 1
    assert {m.split(".")[0] for m in moved(before, after)} == {"icans"}


def test_one_oxygen_device_moves_crs_only(demo_copy: Path) -> None:
    before = figures(demo_copy)
    who = next(p for p in patients() if p.kind == "quiet" and p.index == 20)
    day = 1 + who.pick("fever starts", 4)
    correct(demo_copy, "assessment", f"{who.id}/vitals/{day}/14:00/O2DEVICE", value_code="simple_mask")
    assert enfold(["run", str(demo_copy)]) == 0
    after = figures(demo_copy)
    assert (after["crs"]["by_maximum_grade"]["1"], after["crs"]["by_maximum_grade"]["3"]) == (18, 2)
    assert {m.split(".")[0] for m in moved(before, after)} == {"crs"}


def test_the_ledger_of_22_patients_is_small(demo: Path) -> None:
    files = [p for p in (demo / "ledger").rglob("*") if p.is_file()]
    assert len(files) < 40
    assert sum(p.stat().st_size for p in files) < 1_000_000
