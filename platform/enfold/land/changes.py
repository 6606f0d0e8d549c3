"""Changes: corrections, retractions and their ids, made so that saying the same twice is one event."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from enfold import schema
from enfold.ledger import engine, segments
from enfold.ledger.canonical import content_sql, filled

NAMESPACE = uuid.UUID("6f0b1c5e-3d0a-5a52-9d57-6c1f7b8a2e11")  # enfold's own, for UUIDv5 event ids


def staged_schema(event_type: str) -> pa.Schema:
    """Return the schema of events about to be admitted: the event and its content digest."""
    return schema.event_arrow(event_type).append(segments.CONTENT)


def keep_folded(rows: pa.Table, event_type: str) -> pa.Table:
    """Return rows in the schema of staged events; columns that are dictionaries stay so, but for the ids."""
    wanted = staged_schema(event_type)
    ids = wanted.get_field_index("event_id")
    return rows.cast(segments.folded(wanted, rows.schema).set(ids, wanted.field(ids)))


def with_ids(rows: pa.Table) -> pa.Table:
    """Give corrections and retractions without an id theirs: UUIDv5 over target and content."""
    ids = rows.column("event_id")
    if ids.null_count == 0:
        return rows
    named = zip(*(rows.column(c).to_pylist() for c in ("event_id", "retracts", "supersedes", "content")), strict=True)
    made = [
        i if i is not None else str(uuid.uuid5(NAMESPACE, f"{retracts or ' '.join(supersedes)}|{content}"))
        for i, retracts, supersedes, content in named
    ]
    at = rows.schema.get_field_index("event_id")
    return rows.set_column(at, pa.field("event_id", pa.string()), pa.array(made, pa.string()))


def with_content(rows: pa.Table, event_type: str) -> pa.Table:
    """Return rows of an event type with their content digests computed, in the order given."""
    con = engine.connect()
    con.execute("SET preserve_insertion_order = true")
    con.register("rows", rows)
    digest = con.sql(f"SELECT {content_sql(event_type, filled=filled(rows))} FROM rows").to_arrow_table().column(0)
    if "content" in rows.column_names:
        rows = rows.drop_columns("content")
    return rows.append_column(segments.CONTENT, digest)


def retractions(targets: Iterable[tuple[str, str]], study_id: str, author: str, reason: str, source: str) -> pa.Table:
    """Return one retraction for each (subject, event id), with ids and content digests."""
    rows = [
        {
            "study_id": study_id, "subject_id": subject, "event_id": None, "retracts": target, "author": author,
            "reason": reason, "schema_version": 1, "source_file": source,
        }
        for subject, target in sorted(set(targets))
    ]  # fmt: skip
    loose = pa.schema([f.with_nullable(True) for f in schema.event_arrow("retraction")])
    table = with_content(pa.Table.from_pylist(rows, schema=loose), "retraction")
    return with_ids(table).cast(staged_schema("retraction"))


@dataclass(frozen=True)
class Withdrawals:
    """Which retractions were ever made of which event, and which of them stand."""

    of: Mapping[str, tuple[str, ...]]
    standing: frozenset[str]

    def withdraw(self, target: str) -> list[str]:
        """Return what a retraction must name so that `target` no longer stands.

        That is the target itself; but a retraction of it that was itself retracted is made to
        stand again, for to retract the same thing twice would be the same event.
        """
        made = self.of.get(target, ())
        if not made:
            return [target]
        return [] if self.standing & set(made) else self.reinstate(min(made))

    def reinstate(self, target: str) -> list[str]:
        """Return what retractions must name so that `target` stands again."""
        return [name for r in self.of.get(target, ()) if r in self.standing for name in self.withdraw(r)]
