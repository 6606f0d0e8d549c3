"""The smallest change that would flip a verdict: one event's value, one missing item or one missing review.

Every candidate is a copy of the patient with one change, folded and evaluated by the same rules as the
run; what is reported has been seen to flip. Numbers are narrowed down to the last digit.
"""

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from enfold import schema, study
from enfold.evaluate.call import evaluate
from enfold.evaluate.discover import discover_for
from enfold.evaluate.graph import Task, plan
from enfold.fold.cut import Cut
from enfold.fold.fold import fold
from enfold.ledger.canonical import slot
from enfold.ledger.ledger import Ledger
from enfold.report.candidates import Change, candidates, changed, step, text
from enfold.run import manifest
from enfold.run.shard import read_events

MOST_CANDIDATES = 400


class Patient:
    """One subject's events at the run's cut, and the rules that judge one endpoint."""

    def __init__(self, folder: Path, alias: str, subject: str) -> None:
        run = manifest.pointed(folder / "runs" / "current.json")["run"]
        pins = self.pins = manifest.read(folder, run)["pins"]
        self.folder = folder
        ledger = Ledger(folder / "ledger")
        text = ledger.study_text(pins["position"])
        self.study = study.parse(text)
        self.subject, self.alias = subject, alias
        self.cut = Cut(pins["position"], _instant(pins["recorded_until"]), _instant(pins["occurred_until"]))
        own = slot(self.study.id, subject)
        self.events = {
            t: rows.filter(pa.compute.equal(rows.column("subject_id"), subject))
            for t, rows in read_events(ledger, self.cut, [(own, own + 1)]).items()
        }
        self.tasks = self._tasks()
        self.by_id = {r["event_id"]: (t, r) for t, rows in self.events.items() for r in rows.to_pylist()}

    def _tasks(self) -> list[Task]:
        found = discover_for(self.study, self.folder, dev="unlocked" in self.pins)
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
    changes = list(candidates(patient, overall))[:MOST_CANDIDATES]
    if not changes:
        return {"smallest": None, "others": 0, "tried": 0}
    hits = [(c, a) for c, a in zip(changes, patient.answers(changes, overall), strict=True) if a and _flips(a, overall)]
    narrowed = _narrowed(patient, hits, overall)
    ranked = sorted(narrowed, key=lambda h: (h[0].kind != "value", h[0].size, h[0].event_id, text(h[0].after)))
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


def _narrowed(
    patient: Patient, hits: list[tuple[Change, dict[str, Any]]], overall: dict[str, Any]
) -> list[tuple[Change, dict[str, Any]]]:
    """Bring each number as near to what was recorded as still flips, by halving, to the last digit."""
    open_ = [(c, a, c.before) for c, a in hits if isinstance(c.after, Decimal) and c.kind == "value"]
    done = [(c, a) for c, a in hits if not (isinstance(c.after, Decimal) and c.kind == "value")]
    for _ in range(14):
        tries = []
        for n, (change, _, near) in enumerate(open_):
            unit = Decimal(1) if _whole(change) else step(change.before, change.after)
            middle = ((change.after + near) / 2).quantize(unit)
            if middle not in (change.after, near):
                share = abs(middle - change.before) / abs(change.after - change.before)
                row = patient.by_id[change.event_id][1]
                tries.append((n, changed(change.event_type, row, change.field, middle, change.size * share)))
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


def _instant(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None
