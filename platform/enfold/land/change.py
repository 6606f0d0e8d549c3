"""Change one fact: correct a field, withdraw an event, move a fact to another subject.

A change is a new event with author and reason, checked and gated like any landed record.
"""

import datetime as dt
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from enfold import schema
from enfold.errors import FindingsError, UsageError
from enfold.land import changes, mapping
from enfold.land.landing import Report, first_refusal, land_staged
from enfold.land.readers import ROW, Source
from enfold.land.stage import Staged, stage
from enfold.ledger import engine, storage
from enfold.ledger.canonical import content_fields, slot
from enfold.ledger.ledger import Ledger
from enfold.ledger.versions import standing_facts

FIXED = {"study_id", "subject_id", "supersedes", "retracts", "schema_version"}


def correct(folder: Path, event_id: str, values: dict[str, str], *, author: str, reason: str) -> Report:
    """Correct fields of the fact that an event belongs to; an empty value clears the field.

    Raises:
        UsageError: no such event or field, or the fact does not stand.
        FindingsError: the corrected record would be refused; nothing was written.
    """
    ledger = Ledger(folder / "ledger")
    event_type, fact = standing(ledger, event_id)
    allowed = [f.name for f in content_fields(event_type) if f.name not in FIXED]
    unknown = sorted(set(values) - set(allowed))
    if unknown:
        msg = f"`{event_type}` has no field {', '.join(unknown)} that can be corrected"
        raise UsageError(msg, remedy=f"Fields: {', '.join(allowed)}. Another subject: --move SUBJECT.")
    row = {name: _text(fact[name]) for name in allowed} | {k: v.strip() or None for k, v in values.items()}
    row |= {"subject_id": fact["subject_id"], "supersedes": " ".join(fact["event_ids"])}
    staged = _staged(event_type, [row], fact["study_id"], author, reason)
    return _land(folder, staged, author, reason, "correction")


def retract(folder: Path, event_id: str, *, author: str, reason: str) -> Report:
    """Withdraw one event: of a first version the whole fact, of a correction the correction alone.

    Raises:
        UsageError: no such event, or it is withdrawn already.
    """
    ledger = Ledger(folder / "ledger")
    subject_id, study_id, _ = _find(ledger, event_id)
    names = _withdrawals(_facts(ledger, study_id, subject_id)).withdraw(event_id)
    if not names:
        msg = f"{event_id} is withdrawn already"
        raise UsageError(msg, remedy=f"See enfold history {folder} --event {event_id}.")
    staged = _staged("retraction", [], study_id, author, reason)
    staged.events["retraction"] = changes.retractions(
        [(subject_id, n) for n in names], study_id, author, reason, "retract"
    )
    return _land(folder, staged, author, reason, "retraction")


def _withdrawals(con: duckdb.DuckDBPyConnection) -> changes.Withdrawals:
    """Return what was withdrawn among the facts of `_facts`."""
    made = con.execute("SELECT target, list_sort(list(DISTINCT event_id)) FROM retraction GROUP BY target").fetchall()
    stands = con.execute("SELECT DISTINCT event_id FROM retraction WHERE stands").fetchall()
    return changes.Withdrawals({t: tuple(r) for t, r in made}, frozenset(i for (i,) in stands))


def move(folder: Path, event_id: str, subject_id: str, *, author: str, reason: str) -> Report:
    """Move a fact to another subject: withdrawn here and added there, in one commit.

    Raises:
        UsageError: no such event, the fact does not stand, or it is that subject's already.
    """
    ledger = Ledger(folder / "ledger")
    event_type, fact = standing(ledger, event_id)
    if fact["subject_id"] == subject_id:
        msg = f"{event_id} is of subject {subject_id} already"
        raise UsageError(msg)
    con = _facts(ledger, fact["study_id"], fact["subject_id"])
    gone = [name for first in _first_versions(con, fact) for name in _withdrawals(con).withdraw(first)]
    new_id = _moved_id(ledger, fact, subject_id)
    row = {f.name: _text(fact[f.name]) for f in content_fields(event_type) if f.name not in FIXED}
    row |= {"subject_id": subject_id, "event_id": new_id}
    staged = _staged(event_type, [row], fact["study_id"], author, reason)
    pairs = [(fact["subject_id"], name) for name in gone]
    staged.events["retraction"] = changes.retractions(pairs, fact["study_id"], author, reason, "enfold")
    record = {"moved": {"from": fact["fact_id"], "to": new_id}}
    return _land(folder, staged, author, reason, "move", record)


def _first_versions(con: duckdb.DuckDBPyConnection, fact: dict[str, Any]) -> list[str]:
    """Return the first versions that must go for a fact to go: more than one if a correction joined facts.

    Raises:
        UsageError: one of them is a first version of another standing fact as well.
    """
    rows = con.execute(
        """
        WITH RECURSIVE up(event_id) AS (
            SELECT unnest(?::VARCHAR[])
            UNION
            SELECT c.target FROM up JOIN corrections c USING (event_id)
            JOIN live l ON l.event_id = c.target WHERE c.found),
        firsts AS (FROM up ANTI JOIN corrections USING (event_id)),
        down(event_id) AS (
            FROM firsts
            UNION
            SELECT c.event_id FROM down JOIN corrections c ON c.target = down.event_id WHERE c.found)
        SELECT event_id, (SELECT count(*) FROM down JOIN tips USING (event_id) WHERE fact_id <> ?)
        FROM firsts ORDER BY event_id
        """,
        [fact["event_ids"], fact["fact_id"]],
    ).fetchall()
    if rows and rows[0][1]:
        msg = f"{fact['fact_id']} was joined with another fact by one of two corrections"
        raise UsageError(msg, remedy="Settle that first, with one correction that supersedes both.")
    return [str(i) for i, _ in rows]


def _moved_id(ledger: Ledger, fact: dict[str, Any], subject_id: str) -> str:
    """Return the id of the fact at its new subject; of one that was there before and left, another."""
    name = f"move|{fact['fact_id']}|{' '.join(fact['event_ids'])}|{subject_id}"
    made = [c.details["record"]["moved"]["to"] for c in ledger.commits.of_kind("move")]
    for turn in range(len(made) + 1):
        new_id = str(uuid.uuid5(changes.NAMESPACE, f"{name}|{turn}" if turn else name))
        if new_id not in made:
            break
    return new_id


def standing(ledger: Ledger, event_id: str) -> tuple[str, dict[str, Any]]:
    """Return the type and the standing version of the fact that an event belongs to.

    Raises:
        UsageError: no such event, or its fact was withdrawn.
    """
    subject_id, study_id, event_type = _find(ledger, event_id)
    con = _facts(ledger, study_id, subject_id)
    rows = con.execute(
        f"SELECT f.* FROM facts_{event_type} f WHERE list_contains(f.event_ids, ?) OR f.fact_id = ?"
        " OR f.fact_id IN (SELECT fact_id FROM live WHERE event_id = ?)",
        [event_id] * 3,
    )
    names = [c[0] for c in rows.description or []]
    found = rows.fetchall()
    if len(found) != 1:
        msg = f"{event_id}: its fact was withdrawn, or replaced within another fact"
        raise UsageError(msg, remedy="enfold history shows which events stand; name one of those.")
    return event_type, dict(zip(names, found[0], strict=True))


def _find(ledger: Ledger, event_id: str) -> tuple[str, str, str]:
    """Return subject, study and type of an event."""
    for event_type in schema.events():
        rows = ledger.read(event_type)
        rows = rows.filter(pc.equal(rows.column("event_id"), event_id))
        if rows.num_rows:
            return rows.column("subject_id")[0].as_py(), rows.column("study_id")[0].as_py(), event_type
    msg = f"no event {event_id} in the ledger"
    raise UsageError(msg, remedy="enfold history STUDY --subject SUBJECT lists a subject's events.")


def _facts(ledger: Ledger, study_id: str, subject_id: str) -> duckdb.DuckDBPyConnection:
    con = engine.connect()
    place = slot(study_id, subject_id)
    for event_type in schema.events():
        rows = ledger.read(event_type, slots=[(place, place + 1)])
        con.register(f"ev_{event_type}", rows.filter(pc.equal(rows.column("subject_id"), subject_id)))
    standing_facts(con)
    return con


def _staged(event_type: str, rows: list[dict[str, Any]], study_id: str, author: str, reason: str) -> Staged:
    names = sorted({n for r in rows for n in r} | {"author", "reason", "event_id"})
    columns = {
        n: pa.array([{**r, "author": author, "reason": reason}.get(n) for r in rows], pa.string()) for n in names
    }
    table = pa.table({**columns, ROW: pa.array(range(1, len(rows) + 1), pa.int64())})
    source = Source("enfold", storage.sha256(repr(rows).encode()), table)
    return stage(source, mapping.native(event_type, names), study_id, "enfold")


def _land(
    folder: Path, staged: Staged, author: str, reason: str, kind: str, record: dict[str, Any] | None = None
) -> Report:
    if staged.refused:
        first = staged.refused[0]
        msg = f"the changed record would be refused: column {first['column_name']}: {first['reason']}"
        raise FindingsError(msg, remedy=f"Nothing was written. {first['remedy']}")
    report = land_staged(folder, staged, author=author, reason=reason, kind=kind, strict=True, record=record)
    if report.refused:
        raise FindingsError("the changed record would be refused", remedy=first_refusal(report))
    return report


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}".rstrip("0").rstrip(".") if "." in f"{value:f}" else f"{value:f}"
    if isinstance(value, list):
        return " ".join(value)
    if isinstance(value, dt.date | dt.datetime):
        return value.isoformat()
    return str(value)
