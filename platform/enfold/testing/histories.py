"""Adversarial histories: patients built from what a declaration reads, from a seed and nothing else.

Partial dates, ties, repeated forms, missing items, values at limits, corrections, retractions, contested facts,
reviews that leave gaps, events before treatment and patients without any.
"""

import random
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from enfold import schema
from enfold.contract import Declaration
from enfold.testing.course import Course, day

FEEDS = {
    "findings": ("assessment",),
    "occasions": ("assessment",),
    "exposures": ("medication", "infusion"),
    "occurrences": ("adverse_event", "procedure", "disposition"),
    "coverage": ("review",),
    "reviews": ("review",),
    "data_findings": ("assessment", "review"),
}
VISITS = (("BL", -7), ("W4", 28), ("W8", 56), ("W12", 84), ("W24", 168))
FEW = ("PGA", "VITAL_SIGNS")


def events(declarations: Iterable[Declaration], seeds: Iterable[int]) -> dict[str, list[dict[str, Any]]]:
    """Return events by type of one patient for each seed, of the kinds that the declarations read."""
    declarations = list(declarations)
    tables = {t for d in declarations for t in d.reads}
    own = schema.added_events(schema.added())  # each has a state table of its name
    kinds = sorted({k for t in tables for k in FEEDS.get(t, (t,) if t in own else ())})
    instruments = sorted({i for d in declarations for i in d.instruments}) or list(FEW)
    return of(kinds, instruments, seeds)


def of(kinds: list[str], instruments: list[str], seeds: Iterable[int]) -> dict[str, list[dict[str, Any]]]:
    """Return events by type of one patient for each seed: of these types, and assessments of these instruments."""
    rows: dict[str, list[dict[str, Any]]] = {t: [] for t in schema.events()}
    for seed in seeds:
        for event_type, mine in _patient(seed, kinds, instruments).items():
            rows[event_type] += mine
    return rows


def _patient(seed: int, kinds: list[str], instruments: list[str]) -> dict[str, list[dict[str, Any]]]:
    rng = random.Random(seed)
    course = Course(f"{seed:06d}", "EXAMPLES")
    course.add("enrolment", day(-30), sex=rng.choice("FM"), age_years=rng.randrange(6, 60))
    if rng.random() < 0.95:
        for n in range(1 + (rng.random() < 0.1)):
            when = day(90 * n) + rng.choice(("T10:00", ""))
            course.add("infusion", when, product="car", role="study_product")
    for visit, target in VISITS:
        if rng.random() < 0.15:
            continue
        at = target + rng.randrange(-3, 4)
        for instrument in instruments if "assessment" in kinds else ():
            _form(rng, course, instrument, visit, at)
    for kind in kinds:
        for _ in range(0 if kind == "assessment" else rng.randrange(4)):
            at = rng.randrange(-60, 180)
            course.add(kind, _when(rng, at), **_fields(rng, schema.events()[kind], at))
    _doubts(rng, course)
    return course.events


def _form(rng: random.Random, course: Course, instrument: str, visit: str, at: int) -> None:
    for item in schema.instruments()[instrument].items:
        for _ in range(rng.choices((0, 1, 2), (15, 80, 5))[0]):
            value: dict[str, Any] = {"not_done": True} if rng.random() < 0.05 else _value(rng, item)
            course.add(
                "assessment", _when(rng, at), instrument=instrument, item=item.code, visit_id=visit,
                occasion_id=f"{course.subject}/{instrument}@{visit}", **value,
            )  # fmt: skip


def _value(rng: random.Random, item: schema.Item) -> dict[str, Any]:
    if item.codes:
        return {"value_code": rng.choice(item.codes)}
    low, high = item.range or (Decimal(0), Decimal(100))
    edge = rng.choice((low, high, (low + high) / 2, low + (high - low) * rng.randrange(101) / 100))
    return {"value_number": Decimal(round(edge) if item.integer else edge).quantize(Decimal("0.01")),
            "unit": item.unit}  # fmt: skip


def _when(rng: random.Random, at: int) -> str:
    return day(at)[:7] if rng.random() < 0.05 else day(at) + rng.choice(("", "", "T08:00", "T23:59:59"))


def _fields(rng: random.Random, table: schema.Table, at: int) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for f in table.fields:
        if f.optional and rng.random() < 0.4:
            continue
        if f.codes:
            out[f.name] = rng.choice(f.codes)
        elif f.kind in ("number", "count"):
            out[f.name] = rng.randrange(1, 6) if f.kind == "count" else Decimal(rng.randrange(1, 400)) / 10
        elif f.kind == "when":
            out[f.name] = day(at + rng.randrange(60))
        elif f.kind == "flag":
            out[f.name] = rng.random() < 0.5
        else:
            out[f.name] = {"unit": "mg", "substance": "prednisone"}.get(f.name, rng.choice(("alpha", "beta")))
    return out


def _doubts(rng: random.Random, course: Course) -> None:
    """Correct, retract and contest some of what was said."""
    doubted = {"assessment", "medication", *schema.added_events(schema.added())}
    said = [(t, r) for t, rows in course.events.items() for r in rows if t in doubted]
    for event_type, row in rng.sample(said, min(len(said), 3)):
        kept = {k: v for k, v in row.items() if k not in ("event_id", "supersedes")}
        for _ in range(rng.choice((1, 2))):  # two live corrections contest a fact
            course.add(event_type, kept["occurred"], **{
                k: v for k, v in kept.items() if k not in ("study_id", "subject_id", "schema_version", "occurred")
            } | {"supersedes": [row["event_id"]]})  # fmt: skip
            if event_type == "assessment" and kept.get("value_number") is not None:
                course.events[event_type][-1]["value_number"] = Decimal(rng.randrange(3))
    if said and rng.random() < 0.3:
        course.add("retraction", day(170), retracts=rng.choice(said)[1]["event_id"])
