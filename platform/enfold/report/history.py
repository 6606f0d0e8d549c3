"""History: every event of a subject as it reached us, who, when, why, what it said before and after."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from enfold import schema, study
from enfold.ledger.canonical import content_fields, slot
from enfold.ledger.ledger import Ledger

COLUMNS = ("position", "committed_at", "recorded_at", "author", "reason", "change", "event_type", "event_id",
           "changes_event", "field", "old", "new", "source_file", "source_row")  # fmt: skip
HIDDEN = {"study_id", "subject_id", "supersedes", "retracts", "schema_version"}


def history(
    folder: Path, subject_id: str, *, field: str | None = None, event_id: str | None = None
) -> list[dict[str, Any]]:
    """Return one row per field that an event states or changes, in ledger order.

    `change` is landed, corrected, retracted, conflict or redacted. A correction lists the fields whose values
    differ from those of the event it replaces, changes to nothing included; one that changes no
    value lists itself with no field.
    """
    ledger = Ledger(folder / "ledger")
    place = slot(study.parse(ledger.study_text()).id, subject_id)
    events: list[dict[str, Any]] = []
    for event_type in schema.events():
        rows = ledger.read(event_type, slots=[(place, place + 1)])
        rows = rows.filter(pc.equal(rows.column("subject_id"), subject_id))
        events += [{**r, "event_type": event_type} for r in rows.to_pylist()]
    events.sort(key=lambda e: (e["position"], e["source_row"] or 0, e["event_id"]))
    latest: dict[str, dict[str, Any]] = {}
    out = []
    for event in events:
        commit = ledger.commits[event["position"] - 1]
        head = {
            "position": event["position"],
            "committed_at": commit.committed_at,
            "recorded_at": _instant(event["recorded_at"]),
            "author": event["author"] or commit.author,
            "reason": event["reason"] or commit.reason,
            "event_type": event["event_type"],
            "event_id": event["event_id"],
            "source_file": event["source_file"],
            "source_row": event["source_row"],
        }
        out += [{**dict.fromkeys(COLUMNS), **head, **line} for line in _lines(event, latest)]
        latest[event["event_id"]] = event
    if event_id:
        out = [r for r in out if event_id in (r["event_id"], *(r["changes_event"] or "").split())]
    return [r for r in out if field in (None, r["field"]) or (field and r["change"] == "retracted")]


def _instant(when: dt.datetime | None) -> str | None:
    return when.astimezone(dt.UTC).isoformat() if when else None


def _lines(event: dict[str, Any], latest: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield what one event states or changes, given the events before it by id."""
    if event["event_type"] == "retraction":
        yield {"change": "retracted", "changes_event": event["retracts"]}
        return
    names = [f.name for f in content_fields(event["event_type"]) if f.name not in HIDDEN]
    targets = event["supersedes"] or []
    before = [latest[t] for t in targets if t in latest]
    if not targets and event["event_id"] in latest:  # the same id says something else
        before = [latest[event["event_id"]]]
    change = "corrected" if targets else ("conflict" if before else "landed")
    found = False
    for name in names:
        olds = {_shown(b.get(name)) for b in before} or {None}
        new = _shown(event.get(name))
        if (before and olds != {new}) or (not before and new is not None):
            found = True
            old = " | ".join(sorted(o or "(nothing)" for o in olds)) if before else None
            yield {"change": change, "changes_event": " ".join(targets) or None, "field": name, "old": old,
                   "new": new if new is not None else "(nothing)"}  # fmt: skip
    if not found:
        yield {"change": change, "changes_event": " ".join(targets) or None}


def _shown(value: Any) -> str | None:
    from decimal import Decimal

    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return None if value is None else (str(value).lower() if isinstance(value, bool) else str(value))
