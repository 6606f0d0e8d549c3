"""What a bound in clinical time leaves of each event type, as the study file's cut rules say."""

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest

from enfold.fold.cut import Cut
from enfold.fold.fold import fold
from tests_support import table

BOUND = dt.datetime(2026, 6, 30, 21, 59, 59, tzinfo=dt.UTC)  # the end of 30 June in Berlin, nearly
EVENTS = {
    "enrolment": [
        {"event_id": "in", "subject_id": "01", "occurred": "2026-01-05"},
        {"event_id": "late", "subject_id": "02", "occurred": "2026-08-01"},
    ],
    "visit": [
        {"event_id": "before", "subject_id": "01", "occurred": "2026-06-30", "status": "held"},
        {"event_id": "after", "subject_id": "01", "occurred": "2026-07-01", "status": "held"},
        {"event_id": "year", "subject_id": "01", "occurred": "2026", "status": "held"},
        {"event_id": "month", "subject_id": "01", "occurred": "2026-07", "status": "held"},
        {"event_id": "undated", "subject_id": "01", "status": "held"},
        {"event_id": "early", "subject_id": "02", "occurred": "2026-01-01", "status": "held"},
    ],
}


def effective(extra: str = "", **more: list[dict[str, Any]]) -> set[str]:
    events = {
        t: table(t, rows).append_column("position", pa.array([1] * len(rows))) for t, rows in {**EVENTS, **more}.items()
    }
    state = fold(events, study_file_with(extra), Cut(1, occurred_until=BOUND))
    rows = state["events"].to_pylist()
    return {r["event_id"] for r in rows if r["effective"]}


def study_file_with(rules: str) -> Any:
    from enfold import study
    from tests_support import STUDY

    return study.parse(STUDY + rules)


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        # by date: what may have begun by the bound; a partial date is an interval
        ("", {"in", "before", "year", "undated", "early"}),
        ('[cut_rules.types]\nvisit = "none"', {"in", "before", "after", "year", "month", "undated", "early"}),
        # by subject: everything of those who were enrolled by the bound
        ('[cut_rules.types]\nvisit = "subject"', {"in", "before", "after", "year", "month", "undated"}),
        ('[cut_rules]\ndefault = "subject"', {"in", "before", "after", "year", "month", "undated"}),
        ('[cut_rules]\ndefault = "none"', {"in", "late", "before", "after", "year", "month", "undated", "early"}),
    ],
)
def test_each_rule_leaves_what_it_says(rules: str, left: set[str]) -> None:
    assert effective(rules) == left


DEATH = {
    "adverse_event": [
        {"event_id": "ae", "subject_id": "01", "occurred": "2026-06-01", "ended": "2026-07-09", "term": "sepsis",
         "category": "infection", "grade": 5, "outcome": "fatal"},
        {"event_id": "ae2", "subject_id": "01", "occurred": "2026-06-02", "term": "shock", "outcome": "fatal"},
        {"event_id": "ae3", "subject_id": "01", "occurred": "2026-06-03", "ended": "2026-07-09", "term": "rash",
         "outcome": "recovered"},
    ],
    "disposition": [{"event_id": "death", "subject_id": "01", "occurred": "2026-07-09", "milestone": "death"}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "outcomes", "death"),
    [
        ("", {"ae": None, "ae2": None, "ae3": "recovered"}, False),
        ('[cut_rules.types]\ndisposition = "none"', {"ae": None, "ae2": None, "ae3": "recovered"}, False),
        (
            '[cut_rules]\ndeath_after = "keep"\n[cut_rules.types]\ndisposition = "none"',
            {"ae": "fatal", "ae2": "fatal", "ae3": "recovered"},
            True,
        ),
    ],
)
def test_a_death_after_the_bound_is_not_known_at_it(rules: str, outcomes: dict[str, Any], death: bool) -> None:
    events = {
        t: table(t, rows).append_column("position", pa.array([1] * len(rows)))
        for t, rows in {**EVENTS, **DEATH}.items()
    }
    state = fold(events, study_file_with(rules), Cut(1, occurred_until=BOUND))
    found = {r["event_ids"][0]: r["outcome"] for r in state["occurrences"].to_pylist() if r["kind"] == "adverse_event"}
    assert found == outcomes
    assert ("death" in effective(rules, **DEATH)) is death


def test_a_fact_corrected_past_the_bound_does_not_come_back() -> None:
    """The tempting wrong answer: the first version, within the bound, stands again."""
    moved = {"event_id": "c", "subject_id": "01", "occurred": "2026-07-15", "status": "held", "supersedes": ["before"]}
    left = effective(visit=[*EVENTS["visit"], moved])
    assert left == {"in", "year", "undated", "early"}


def test_a_correction_that_moves_a_fact_within_the_bound_is_seen() -> None:
    moved = {"event_id": "c", "subject_id": "01", "occurred": "2026-06-15", "status": "held", "supersedes": ["after"]}
    assert "c" in effective(visit=[*EVENTS["visit"], moved])


def test_wrong_rules_are_refused() -> None:
    from enfold.errors import UsageError

    for wrong in ('[cut_rules]\ndefault = "never"', "[cut_rules.types]\nvisit = 1", '[cut_rules]\ndeath_after = "x"'):
        with pytest.raises(UsageError, match="cut_rules"):
            study_file_with(wrong)
