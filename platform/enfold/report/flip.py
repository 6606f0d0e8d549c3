"""The smallest change that would flip a verdict: one event's value, one missing item or one missing review.

Every candidate is a copy of the patient with one change, folded and evaluated by the same rules as the
run; what is reported has been seen to flip. Numbers are narrowed down to the last digit.
"""

import datetime as dt
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from enfold import schema, study
from enfold.evaluate.call import evaluate
from enfold.evaluate.discover import discover
from enfold.evaluate.graph import Task, plan
from enfold.fold.cut import Cut
from enfold.fold.fold import fold
from enfold.ledger.canonical import slot
from enfold.ledger.ledger import Ledger
from enfold.run.shard import read_events

MOST_CANDIDATES = 400
REVIEWS = (
    "glucocorticoid",
    "background_medication",
    "rescue_medication",
    "fever",
    "neurological",
    "vasopressor",
    "flare",
)


@dataclass(frozen=True)
class Change:
    """One candidate: the event as it is, the event as it would be, and how large the step is."""

    kind: str  # value, missing_item or missing_review
    event_type: str
    event_id: str
    field: str
    before: Any
    after: Any
    row: dict[str, Any]
    size: Decimal
    about: str

    def told(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Return the change as plain data, with the verdict that it gives."""
        return {
            "kind": self.kind,
            "event_type": self.event_type,
            "event_id": self.event_id,
            "about": self.about,
            "field": self.field,
            "before": None if self.before is None else _text(self.before),
            "after": _text(self.after),
            "status": answer["status"],
            "grade": answer["grade"],
        }


class Patient:
    """One subject's events at the run's cut, and the rules that judge one endpoint."""

    def __init__(self, folder: Path, alias: str, subject: str) -> None:
        run = json.loads((folder / "runs" / "current.json").read_text("utf-8"))["run"]
        pins = json.loads((folder / "runs" / run / "manifest.json").read_text("utf-8"))["pins"]
        ledger = Ledger(folder / "ledger")
        text = ledger.study_text(pins["position"])
        self.study = study.parse(text)
        self.subject, self.alias = subject, alias
        self.cut = Cut(pins["position"], _instant(pins["recorded_until"]), _instant(pins["occurred_until"]))
        own = slot(self.study.id, subject)
        self.events = {
            t: rows.filter(pa.compute.equal(rows.column("subject_id"), subject))
            for t, rows in read_events(ledger, self.cut, (own, own + 1)).items()
        }
        self.tasks = self._tasks()
        self.by_id = {r["event_id"]: (t, r) for t, rows in self.events.items() for r in rows.to_pylist()}

    def _tasks(self) -> list[Task]:
        found = discover(self.study.plugins)
        asked = tuple(a for a in self.study.endpoints if a.alias == self.alias)
        only = replace(self.study, endpoints=asked)
        return plan(only, found, also=() if asked else (self.alias,))

    def answers(self, changes: list[Change], unit: dict[str, Any]) -> list[dict[str, Any] | None]:
        """Return the overall verdict of `unit` under each change, evaluated as if each were a patient."""
        names = [f"{n:06d}" for n in range(len(changes))]
        tables = {t: self._copies(t, rows, changes, names) for t, rows in self.events.items()}
        until = self.cut.occurred_until
        state = fold(tables, self.study, self.cut)
        out = evaluate(self.tasks, state, self.study, until.date() if until else None)
        found = {
            r["subject_id"]: r
            for t in out.verdicts
            for r in t.to_pylist()
            if r["alias"] == self.alias
            and r["criterion"] == "overall"
            and r["visit_id"] == unit["visit_id"]
            and r["period"] == unit["period"]
        }
        return [found.get(n) for n in names]

    def _copies(self, event_type: str, rows: pa.Table, changes: list[Change], names: list[str]) -> pa.Table:
        ids = rows.column("event_id")
        parts = []
        for change, name in zip(changes, names, strict=True):
            mine = rows
            if change.event_type == event_type:
                mine = rows.filter(pa.compute.not_equal(ids, change.event_id))
                mine = pa.concat_tables([mine, pa.Table.from_pylist([change.row], schema=rows.schema)])
            column = pa.array([name] * mine.num_rows, pa.string())
            parts.append(
                mine.set_column(mine.schema.get_field_index("subject_id"), mine.schema.field("subject_id"), column)
            )
        return pa.concat_tables(parts) if parts else rows


def smallest_change(folder: Path, alias: str, overall: dict[str, Any]) -> dict[str, Any]:
    """Return `smallest` (or None), how many other single changes flip it, and how many were tried.

    A verdict is flipped when its status becomes another one that is decided, or its grade another
    grade. Answers at episode or interval grain, and measured values, have nothing to flip.
    """
    if overall["grain"] not in ("subject", "period", "visit") or overall["status"] == "not_applicable":
        return {"smallest": None, "others": 0, "tried": 0}
    patient = Patient(folder, alias, overall["subject_id"])
    changes = list(_candidates(patient, overall))[:MOST_CANDIDATES]
    if not changes:
        return {"smallest": None, "others": 0, "tried": 0}
    hits = [(c, a) for c, a in zip(changes, patient.answers(changes, overall), strict=True) if a and _flips(a, overall)]
    narrowed = _narrowed(patient, hits, overall)
    ranked = sorted(narrowed, key=lambda h: (h[0].kind != "value", h[0].size, h[0].event_id, _text(h[0].after)))
    places = {(c.kind, c.event_id, c.field, c.row.get("item")) for c, _ in ranked}
    return {
        "smallest": ranked[0][0].told(ranked[0][1]) if ranked else None,
        "others": max(0, len(places) - 1),
        "tried": len(changes),
    }


def _flips(answer: dict[str, Any], overall: dict[str, Any]) -> bool:
    if answer["grade"] is not None and overall["grade"] is not None:
        return bool(answer["grade"] != overall["grade"])
    return answer["status"] != overall["status"] and answer["status"] in ("met", "not_met")


def _candidates(patient: Patient, overall: dict[str, Any]) -> Iterable[Change]:
    for event_id in overall["event_ids"]:
        event_type, row = patient.by_id.get(event_id, ("", {}))
        if event_type == "assessment":
            yield from _assessment(row)
        elif event_type == "medication" and row["dose"] is not None:
            for share in (Decimal(0), Decimal("0.5"), Decimal("1.5"), Decimal(2), Decimal(4)):
                yield _changed("medication", row, "dose", row["dose"] * share, abs(share - 1))
    yield from _missing_items(patient, overall)
    for kind in REVIEWS:
        start = min((str(r["occurred"])[:10] for _, r in patient.by_id.values() if r["occurred"]), default="1900-01-01")
        row = _new(patient, "review", f"review/{kind}", start, data_kind=kind, until="9999-12-30")
        yield Change(
            "missing_review", "review", row["event_id"], "data_kind", None, kind, row, Decimal(1), f"review of {kind}"
        )


def _assessment(row: dict[str, Any]) -> Iterable[Change]:
    instrument = schema.instruments().get(row["instrument"])
    item = next((i for i in instrument.items if i.code == row["item"]), None) if instrument else None
    if item is None:
        return
    for code in item.codes:
        if code not in (row["value_code"], "unknown"):
            yield _changed("assessment", row, "value_code", code, Decimal(item.weight or 1))
    if item.codes or row["value_number"] is None:
        return
    low, high = item.range or (Decimal(0), max(row["value_number"] * 4, Decimal(1)))
    for n in range(13):
        value = low + (high - low) * n / 12
        value = value.to_integral_value() if item.integer else value.quantize(_step(row["value_number"], high))
        if value != row["value_number"]:
            yield _changed("assessment", row, "value_number", value, abs(value - row["value_number"]) / (high - low))


def _missing_items(patient: Patient, overall: dict[str, Any]) -> Iterable[Change]:
    """Items that the visit's forms leave out, and a one-item form that was not filled in at all."""
    if overall["visit_id"] is None:
        return
    forms: dict[tuple[str, str], dict[str, Any]] = {}
    seen: dict[tuple[str, str], set[str]] = {}
    dates = []
    for event_type, row in patient.by_id.values():
        if event_type == "assessment" and row["visit_id"] == overall["visit_id"]:
            key = (row["instrument"], str(row["occasion_id"]))
            forms.setdefault(key, row)
            seen.setdefault(key, set()).add(row["item"])
            dates.append(str(row["occurred"]))
    for key, row in forms.items():
        instrument = schema.instruments().get(key[0])
        if instrument and instrument.complete == "all":
            for item in instrument.items:
                if item.code not in seen[key] and not item.optional:
                    yield from _filled(patient, overall, row, key[0], item)
    if dates and not any(key[0] == "PGA" for key in forms):
        template = {"occurred": max(dates), "occasion_id": "PGA/missing"}
        yield from _filled(patient, overall, template, "PGA", schema.instruments()["PGA"].items[0])


def _filled(
    patient: Patient, overall: dict[str, Any], form: dict[str, Any], instrument: str, item: schema.Item
) -> Iterable[Change]:
    values: list[Any] = [c for c in item.codes if c != "unknown"]
    if not item.codes and item.range:
        low, high = item.range
        values = [low, (low + high) / 2, high]
    for value in values:
        field = "value_code" if item.codes else "value_number"
        row = _new(
            patient,
            "assessment",
            f"{instrument}/{item.code}",
            form["occurred"],
            instrument=instrument,
            item=item.code,
            occasion_id=form["occasion_id"],
            visit_id=overall["visit_id"],
            **{field: value},
        )
        yield Change(
            "missing_item",
            "assessment",
            row["event_id"],
            field,
            None,
            value,
            row,
            Decimal(1),
            f"{instrument} {item.code}",
        )


def _narrowed(
    patient: Patient, hits: list[tuple[Change, dict[str, Any]]], overall: dict[str, Any]
) -> list[tuple[Change, dict[str, Any]]]:
    """Bring each number as near to what was recorded as still flips, by halving, to the last digit."""
    open_ = [(c, a, c.before) for c, a in hits if isinstance(c.after, Decimal) and c.kind == "value"]
    done = [(c, a) for c, a in hits if not (isinstance(c.after, Decimal) and c.kind == "value")]
    for _ in range(14):
        tries = []
        for n, (change, _, near) in enumerate(open_):
            step = Decimal(1) if _whole(change) else _step(change.before, change.after)
            middle = ((change.after + near) / 2).quantize(step)
            if middle not in (change.after, near):
                share = abs(middle - change.before) / abs(change.after - change.before)
                row = patient.by_id[change.event_id][1]
                tries.append((n, _changed(change.event_type, row, change.field, middle, change.size * share)))
        if not tries:
            break
        for (n, change), answer in zip(tries, patient.answers([c for _, c in tries], overall), strict=True):
            kept, old, near = open_[n]
            flipped = answer is not None and _flips(answer, overall)
            open_[n] = (change, answer, near) if flipped and answer else (kept, old, change.after)
    return done + [(c, a) for c, a, _ in open_]


def _whole(change: Change) -> bool:
    if change.event_type != "assessment":
        return False
    items = schema.instruments()[change.row["instrument"]].items
    return next(i.integer for i in items if i.code == change.row["item"])


def _step(value: Decimal, largest: Decimal) -> Decimal:
    """The last digit worth telling: that of the record, two places on short scales, one on long ones."""
    places = max(0, -int(value.normalize().as_tuple().exponent))
    return Decimal(1).scaleb(-max(places, 2 if largest <= 10 else 1))


def _changed(event_type: str, row: dict[str, Any], field: str, value: Any, size: Decimal) -> Change:
    about = f"{row['instrument']} {row['item']}" if event_type == "assessment" else str(row["substance"])
    return Change("value", event_type, row["event_id"], field, row[field], value, {**row, field: value}, size, about)


def _new(patient: Patient, event_type: str, event_id: str, occurred: str, **fields: Any) -> dict[str, Any]:
    names = patient.events[event_type].schema.names
    some = next(iter(patient.by_id.values()))[1]
    base = {
        "study_id": some["study_id"],
        "subject_id": patient.subject,
        "schema_version": 1,
        "position": some["position"],
    }
    row = dict.fromkeys(names) | {k: v for k, v in base.items() if k in names}
    return row | {"event_id": f"would-be/{event_id}", "occurred": occurred} | fields


def _instant(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None


def _text(value: Any) -> str:
    return format(value.normalize(), "f") if isinstance(value, Decimal) else str(value)
