"""The SQL fold against the plain-Python one, on generated histories rich in what goes wrong."""

import random
from collections import Counter
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from reference import Event, fold_subject

from enfold import schema
from enfold.fold.cut import Cut
from enfold.fold.fold import fold
from tests_support import study_file

STUDY = study_file('baseline_instruments = ["PGA", "BILAG2004"]')
HISTORIES = 300


def when(rng: random.Random, partial: float = 0.15) -> str | None:
    month, day = rng.randint(1, 6), rng.randint(1, 28)
    text = f"2026-{month:02d}-{day:02d}"
    kind = rng.random()
    if kind < partial:
        return rng.choice([text[:4], text[:7], None])
    if kind < 0.5:
        text += f"T{rng.choice(['02:30', '08:00', '23:45'])}" + rng.choice(["", "", "Z", "+05:00"])
    return text


def history(seed: int) -> list[Event]:
    """Return the events of one subject, with corrections, conflicts, ties, gaps and partial dates."""
    rng = random.Random(seed)
    events: list[Event] = []

    def add(event_type: str, **fields: Any) -> Event:
        event = {"study_id": "S", "subject_id": f"{seed:04d}", "event_id": f"{seed}-{len(events):03d}",
                 "event_type": event_type, "schema_version": 1, "occurred": when(rng), **fields}  # fmt: skip
        events.append(event)
        return event

    if rng.random() < 0.9:
        add(
            "infusion",
            product="car",
            role="study_product",
            occurred=f"2026-03-{rng.randint(1, 28):02d}" + rng.choice(["", "T10:00"]),
        )
    if rng.random() < 0.6:
        add("infusion", product="flu", role="lymphodepletion", occurred=f"2026-02-{rng.randint(20, 28):02d}")
    if rng.random() < 0.15:
        add("infusion", product="car", role="study_product", occurred=f"2026-05-{rng.randint(1, 28):02d}")
    for _ in range(rng.choice([0, 1, 1, 1, 2])):
        add(
            "enrolment",
            birth_date=rng.choice([None, "2010", "2012-02-29", f"2011-03-{rng.randint(1, 28):02d}"]),
            age_years=14,
        )
    for _ in range(rng.randint(0, 3)):
        add("visit", visit_id=rng.choice(["BL", "W4", "W12", "U1", None]), status=rng.choice(["held", "missed"]))
    for _ in range(rng.choice([0, 0, 1, 2])):
        add("disposition", milestone=rng.choice(["completed", "death", "discontinued", "lost_to_follow_up", "last_contact",
                                                 "screen_failure", "other"]))  # fmt: skip
    for n in range(rng.randint(2, 5)):  # forms, some twice in one window
        visit = rng.choice(["BL", "W4", "W12", "U1", None])
        stamp = when(rng, 0.1)
        for item in rng.sample(["PGA_0_3", "PGA_0_10"], rng.choice([1, 1, 2])):
            add("assessment", occasion_id=f"o{n}", visit_id=visit, occurred=stamp, instrument="PGA", item=item,
                value_number=rng.choice([Decimal("1.20"), Decimal("0.5"), Decimal("7"), None, Decimal("2")]))  # fmt: skip
        for item in ["CONST", "MUCO", "NEURO", "MSK", "CARDIO", "GI", "OPHTH", "RENAL", "HAEM"]:
            if rng.random() < 0.97:
                add("assessment", occasion_id=f"o{n}", visit_id=visit, occurred=stamp, instrument="BILAG2004", item=item,
                    value_code=rng.choice("ABCDE"), not_done=rng.choice([None] * 60 + [True]))  # fmt: skip
        if rng.random() < 0.3:  # a second record of one item, at the same instant or another
            add("assessment", occasion_id=f"o{n}", visit_id=visit, occurred=rng.choice([stamp, when(rng)]), instrument="PGA",
                item="PGA_0_3", value_number=rng.choice([Decimal("1.2"), Decimal("2.5")]))  # fmt: skip
    for _ in range(rng.randint(0, 3)):
        add("medication", substance=rng.choice(["prednisolone", "dexamethasone", "azathioprine"]), drug_class="glucocorticoid",
            dose=rng.choice([Decimal("5"), Decimal("0.000001"), Decimal(0), None]), unit=rng.choice(["mg", "mg", "ml"]),
            frequency=rng.choice(["daily", "twice_daily", "every_2_days", "once"]), ended=rng.choice([None, when(rng)]), route=rng.choice(["oral", "topical"]))  # fmt: skip
    for _ in range(rng.randint(0, 7)):
        add("review", data_kind=rng.choice(["glucocorticoid", "fever"]), until=when(rng) or "2026-05-01")
    for _ in range(rng.randint(0, 3)):
        add("adverse_event", term="x", ended=rng.choice([None, when(rng)]))
    _change(rng, events, seed)
    rng.shuffle(events)
    return events


def _change(rng: random.Random, events: list[Event], seed: int) -> None:
    """Corrections, their corrections, retractions, conflicts, merges and changes without a target."""
    for n in range(rng.randint(0, 5)):
        target = rng.choice(events)
        new = f"{seed}-c{n}"
        kind = rng.random()
        if kind < 0.5 and target["event_type"] != "retraction":
            changed = {**target, "event_id": new, "supersedes": [target["event_id"]], "retracts": None}
            if target.get("value_number") is not None:
                changed["value_number"] = rng.choice([Decimal("0.9"), Decimal("2.2")])
            if rng.random() < 0.3:
                changed["occasion_id"] = None
            events.append(changed)
            if rng.random() < 0.4:  # a second live correction of the same fact …
                other = {**changed, "event_id": new + "b", "visit_id": "W4"}
                events.append(other)
                if rng.random() < 0.4:  # … settled by one that supersedes both
                    events.append({**changed, "event_id": new + "d", "supersedes": [new, new + "b"]})
        elif kind < 0.75:
            events.append({"study_id": "S", "subject_id": target["subject_id"], "event_id": new, "event_type": "retraction",
                           "schema_version": 1, "retracts": target["event_id"]})  # fmt: skip
        elif kind < 0.9 and target["event_type"] != "retraction":
            events.append({**target, "occurred": when(rng)})  # same id, perhaps other content
        else:
            events.append({**rng.choice(events), "event_id": new, "supersedes": ["nowhere"], "retracts": None})
            if events[-1]["event_type"] == "retraction":
                events[-1] = {**events[-1], "retracts": "nowhere", "supersedes": None}


def tables(events: list[Event]) -> dict[str, pa.Table]:
    out = {}
    for t in schema.events():
        rows = [{k: v for k, v in e.items() if k != "event_type"} for e in events if e["event_type"] == t]
        table = pa.Table.from_pylist(rows, schema=schema.event_arrow(t))
        out[t] = table.append_column("position", pa.array([1] * len(rows), pa.int64()))
    return out


def by_subject(rows: pa.Table) -> dict[str, list[dict[str, Any]]]:
    out: dict[str, list[dict[str, Any]]] = {}
    for r in rows.to_pylist():
        out.setdefault(r["subject_id"], []).append(r)
    return out


def compared(state: dict[str, pa.Table], subject: str) -> dict[str, Any]:
    """Return the parts of the SQL fold that the reference computes, in its shape."""
    of = {name: by_subject(state[name]).get(subject, []) for name in state}
    doubts = of["data_findings"]
    (who,) = of["subjects"]
    rows = of["findings"]
    return {
        "pending": {d["subject_ref"] for d in doubts if d["code"] == "pending_change"},
        "contested": {d["subject_ref"] for d in doubts if d["code"] == "contested"},
        "infusion_date": who["infusion_date"],
        "coverage": {(c["data_kind"], c["from_at"], c["until_at"]) for c in of["coverage"]},
        "exposures": {
            e["exposure_id"]: e["prednisone_units_per_dosing_day"] for e in of["exposures"] if e["kind"] == "medication"
        },
        "emergent": {
            o["occurrence_id"]: o["treatment_emergent"] for o in of["occurrences"] if o["kind"] == "adverse_event"
        },
        "subject": {
            k: who[k]
            for k in (
                "age_years",
                "consent_date",
                "conditioning_start_date",
                "last_contact_date",
                "death_date",
                "discontinued_date",
                "status",
            )
        },
        "periods": [p["starts_at"] for p in sorted(of["periods"], key=lambda p: p["period"])],
        "courses": {
            e["exposure_id"]: (e["from_date"], e["until_date"]) for e in of["exposures"] if e["kind"] == "medication"
        },
        "planned": {v["visit_id"]: (v["status"], v["date"]) for v in of["visits"] if v["scheduled"]},
        "findings": {
            "rows": {
                r["finding_id"]: {"known": r["known"], "number": r["value_number"], "code": r["value_code"]}
                for r in rows
            },
            "complete": {(o["occasion_id"], o["instrument"]): o["complete"] for o in of["occasions"]},
            "visits": {(o["occasion_id"], o["instrument"]): (o["visit_id"], o["chosen"]) for o in of["occasions"]},
            "baseline": {
                (o["occasion_id"], o["instrument"])
                for o in of["occasions"]
                if o["baseline_for"] in {"efficacy", "both"}
            },
        },
    }


@pytest.fixture(scope="module")
def histories() -> dict[str, list[Event]]:
    return {f"{seed:04d}": history(seed) for seed in range(HISTORIES)}


@pytest.fixture(scope="module")
def folded(histories: dict[str, list[Event]]) -> dict[str, pa.Table]:
    return fold(tables([e for h in histories.values() for e in h]), STUDY, Cut(1))


def test_histories_are_rich_enough(histories: dict[str, list[Event]]) -> None:
    seen: Counter[str] = Counter()
    for events in histories.values():
        expected = fold_subject(events)
        seen["corrections"] += any(e.get("supersedes") for e in events)
        seen["contested facts"] += bool(expected["contested"])
        instants = Counter(
            (e.get("occasion_id"), e.get("item"), e["occurred"]) for e in events if e["event_type"] == "assessment"
        )
        seen["ties"] += any(n > 1 for n in instants.values())
        kinds = Counter(k for k, *_ in expected["coverage"])
        seen["gaps"] += any(n > 1 for n in kinds.values())
        seen["partial dates"] += any(len(e.get("occurred") or "") in {4, 7} for e in events)
    for what, n in seen.items():
        print(f"{n} of {HISTORIES} histories hold {what}")
    assert all(seen[w] * 20 >= HISTORIES for w in ("corrections", "contested facts", "ties", "gaps", "partial dates"))


def test_both_folds_agree_on_every_history(histories: dict[str, list[Event]], folded: dict[str, pa.Table]) -> None:
    split = {name: by_subject(rows) for name, rows in folded.items()}
    for subject, events in histories.items():
        expected = fold_subject(events)
        only = {
            name: pa.Table.from_pylist(rows.get(subject, []), schema=folded[name].schema)
            for name, rows in split.items()
        }
        found = compared(only, subject)
        for part, value in expected.items():
            if isinstance(value, dict):
                for key in value.keys() | found[part].keys():
                    assert found[part].get(key) == value.get(key), (subject, part, key)
            assert found[part] == value, (subject, part)


def test_order_of_events_changes_nothing(histories: dict[str, list[Event]], folded: dict[str, pa.Table]) -> None:
    events = [e for h in histories.values() for e in h]
    random.Random(1).shuffle(events)
    again = fold(tables(events), STUDY, Cut(1))
    assert all(again[name].equals(folded[name]) for name in folded)


def test_subjects_fold_alone_as_together(histories: dict[str, list[Event]], folded: dict[str, pa.Table]) -> None:
    subject = "0007"
    alone = fold(tables(histories[subject]), STUDY, Cut(1))
    for name, rows in alone.items():
        assert rows.to_pylist() == by_subject(folded[name]).get(subject, []), name


def disagreements(histories: dict[str, list[Event]], folded: dict[str, pa.Table]) -> set[str]:
    """Return the parts in which the two folds differ for at least one history."""
    split = {name: by_subject(rows) for name, rows in folded.items()}
    wrong = set()
    for subject, events in histories.items():
        only = {n: pa.Table.from_pylist(rows.get(subject, []), schema=folded[n].schema) for n, rows in split.items()}
        found = compared(only, subject)
        wrong |= {part for part, value in fold_subject(events).items() if found[part] != value}
    return wrong


FAULTS = {
    "coverage": ("from_at <= reached", "from_at < reached - INTERVAL 40 DAY"),
    "planned": ("WHEN s.last_contact_date >= w.window_until", "WHEN s.last_contact_date >= w.window_from"),
    "subject": (
        "WHEN d.died THEN 'died' WHEN d.discontinued THEN 'discontinued'",
        "WHEN d.discontinued THEN 'discontinued' WHEN d.died THEN 'died'",
    ),
    "findings": ("ORDER BY abs(date - target_date), date DESC", "ORDER BY abs(date - target_date), date"),
    "exposures": ("('dexamethasone', 400000)", "('dexamethasone', 333333)"),
    "emergent": (
        "WHEN o.local_until <= s.infusion_date",
        "WHEN o.local_until < s.infusion_date - INTERVAL 60 DAY",
    ),
}


@pytest.mark.parametrize("part", FAULTS)
def test_a_planted_fault_is_caught(
    part: str, histories: dict[str, list[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fold with one line changed must disagree with the reference, in that part."""
    from enfold.fold import fold as module

    real = module.package_file
    old, new = FAULTS[part]
    planted = []

    def changed(name: str) -> str:
        text = real(name)
        planted.append(old in text)
        return text.replace(old, new)

    monkeypatch.setattr(module, "package_file", changed)
    broken = fold(tables([e for h in histories.values() for e in h]), STUDY, Cut(1))
    assert any(planted)
    assert part in disagreements(histories, broken)
