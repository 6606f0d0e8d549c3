"""Bad input becomes a data finding with a code: never a silent guess, never a crash."""

import datetime as dt

import pyarrow as pa
import pytest

from enfold import schema, study
from enfold.fold.cut import Cut
from enfold.fold.fold import fold
from enfold.testing.course import Course
from enfold.testing.examples import PROTOCOL

BASE = ("enrolment d-30 birth_date=2010-01-01", "infusion d0T10:00 product=car role=study_product")


def folded(*steps: str, protocol: str = PROTOCOL, until: dt.datetime | None = None) -> dict[str, pa.Table]:
    course = Course("01")
    for step in steps:
        course.step(step)
    tables = {}
    for event_type, rows in course.events.items():
        table = pa.Table.from_pylist(rows, schema=schema.event_arrow(event_type))
        tables[event_type] = table.append_column("position", pa.array([1] * len(rows), pa.int64()))
    return fold(tables, study.parse(protocol), Cut(1, occurred_until=until))


CASES = [
    ("a value outside its instrument", ["W4 d28 PGA.PGA_0_3=3.01"], "value_outside_instrument"),
    ("a code that the instrument does not have", ["W4 d28 SLEDAI2K.RASH=maybe"], "value_outside_instrument"),
    ("EC-83: an unknown unit", ["W4 d28 LABORATORY.PLAT=100000 unit=/uL range_low=150000"], "value_outside_instrument"),
    (
        "EC-24: BILAG E after A",
        ["BL d-7 BILAG2004.RENAL=A", "W4 d28 BILAG2004.RENAL=E"],
        "impossible_transition",
    ),
    (
        "two values at one instant",
        ["W4 d28 PGA.PGA_0_3=1", "W4 PGA.PGA_0_3=2 keep=yes"],
        "values_differ_at_one_instant",
    ),
    (
        "two values at one instant of a safety reading",
        ["reading d2T08:00 VITAL_SIGNS.TEMP=37", "reading d2T08:00 VITAL_SIGNS.TEMP=39 keep=yes"],
        "values_differ_at_one_instant",
    ),
    ("a missing reference range", ["W4 d28 LABORATORY.PLAT=100 unit=10*9/L"], "no_reference_range"),
    ("an age missing where ICE or CAPD must be chosen", ["drop enrolment", "enrolment d-30 sex=F"], "no_age"),
    (
        "a course without an end",
        ["medication d-60 substance=azathioprine drug_class=immunosuppressant role=background"],
        "end_not_stated",
    ),
    (
        "a steroid without a dose",
        ["medication d-60 substance=prednisolone drug_class=glucocorticoid route=oral ongoing=true"],
        "steroid_dose_unusable",
    ),
]


@pytest.mark.parametrize(("name", "steps", "code"), CASES, ids=[c[0] for c in CASES])
def test_bad_input_is_a_data_finding(name: str, steps: list[str], code: str) -> None:
    found = [f for f in folded(*BASE, *steps)["data_findings"].to_pylist() if f["code"] == code]
    assert len(found) == 1
    assert found[0]["event_ids"]
    assert not any(value in found[0]["rule"] for value in ("3.01", "100000", "maybe"))


def test_the_clean_course_has_none() -> None:
    steps = [
        "BL d-7 BILAG2004.*=E",
        "W4 d28 BILAG2004.*=E PGA.PGA_0_3=1",
        "W4 LABORATORY.PLAT=100 unit=10*9/L range_low=150",
    ]
    assert folded(*BASE, *steps)["data_findings"].num_rows == 0


def test_ec_71_study_day_is_the_local_date_of_the_site() -> None:
    """23:30 on the day of infusion in Shanghai is 15:30 UTC: day 0; at 00:30 it is the next day."""
    protocol = PROTOCOL.replace('"UTC"', '"Asia/Shanghai"')
    steps = ["W4 d28T23:30 PGA.PGA_0_3=1", "W8 d57T00:30 PGA.PGA_0_3=1"]
    visits = {v["visit_id"]: v for v in folded(*BASE, *steps, protocol=protocol)["visits"].to_pylist()}
    assert visits["W4"]["infusion_day"] == 28
    assert visits["W4"]["from_at"].hour == 15
    assert visits["W8"]["infusion_day"] == 57
    assert visits["W8"]["from_at"].day == visits["W8"]["date"].day - 1


def test_ec_75_what_occurs_after_the_cut_off_is_not_seen() -> None:
    steps = ["W4 d28 PGA.PGA_0_3=1", "W8 d56 PGA.PGA_0_3=2"]
    state = folded(*BASE, *steps, until=dt.datetime(2026, 4, 30, tzinfo=dt.UTC))
    assert {f["visit_id"] for f in state["findings"].to_pylist()} == {"W4"}
    assert {v["visit_id"]: v["status"] for v in state["visits"].to_pylist()}["W8"] == "not_due"
