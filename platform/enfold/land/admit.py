"""Admission: which staged events are new, already there, or in conflict with the ledger."""

from dataclasses import dataclass

import duckdb
import pyarrow as pa

from enfold.ledger import engine, hashes, ids, segments
from enfold.ledger.canonical import slot_sql
from enfold.ledger.ledger import Ledger


@dataclass(frozen=True)
class Admitted:
    """Events of one type split by what the ledger says of their ids."""

    new: pa.Table  # to be landed; those in conflict included; columns may be dictionaries
    landed: int
    already: int
    conflicting: int
    redacted: int = 0


def admit(ledger: Ledger, rows: pa.Table, *, unique: bool = False) -> Admitted:
    """Compare ids and content of staged rows (with their `content` digest) with the ledger.

    Same id, same content: already there, nothing happens. Same id, other content: a conflict;
    both are kept, and the fold calls the fact contested until a correction settles it. Two equal
    rows of one batch count once as landed and else as already there. A redacted id never lands again.

    Args:
        ledger: as it stands.
        rows: the staged events.
        unique: it is known that no two of them have one id.
    """
    if rows.num_rows == 0:
        return Admitted(rows, 0, 0, 0)
    con = engine.of_size(rows.num_rows)
    con.register("staged", rows)
    con.execute(f"""
        CREATE TEMP TABLE places AS
        SELECT study_id, subject_id, {slot_sql()} AS slot FROM (SELECT DISTINCT study_id, subject_id FROM staged)
    """)
    slots = [slot for (slot,) in con.execute("SELECT DISTINCT slot FROM places").fetchall()]
    known = ledger.index.known(slots)
    if known.num_rows == 0 and not ledger.redactions and (unique or _unique(con)):
        return Admitted(rows, rows.num_rows, 0, 0)
    con.register("known", known)
    incoming = rows.select(["source_row", "event_id"]).append_column("id", ids.keys(rows.column("event_id")))
    con.register("incoming", incoming.append_column("content", hashes.heads(rows.column("content"))))
    con.register("redacted", pa.table({"event_id": pa.array(sorted(ledger.redactions), pa.string())}))
    con.execute("""
        CREATE TEMP TABLE held AS SELECT DISTINCT id, content FROM known SEMI JOIN incoming USING (id);
        CREATE TEMP TABLE verdict AS
        SELECT i.source_row, i.event_id,
               row_number() OVER (PARTITION BY i.id, i.content ORDER BY i.source_row) > 1
               OR (i.id, i.content) IN (SELECT (id, content) FROM held) AS already,
               i.id IN (SELECT id FROM held) AS id_known,
               i.event_id IN (SELECT event_id FROM redacted) AS redacted
        FROM incoming i
    """)
    counts = engine.one_row(
        con,
        """
        SELECT count(*) FILTER (NOT redacted AND NOT already AND NOT id_known),
               count(*) FILTER (NOT redacted AND already),
               count(*) FILTER (NOT redacted AND NOT already AND id_known),
               count(*) FILTER (redacted)
        FROM verdict
    """,
    )
    if counts[0] == rows.num_rows:
        return Admitted(rows, *counts)
    new = con.sql(
        "SELECT s.* FROM staged s SEMI JOIN (FROM verdict WHERE NOT already AND NOT redacted) v"
        " USING (source_row, event_id) ORDER BY s.source_row"
    ).to_arrow_table()
    return Admitted(new.cast(segments.plain(rows.schema)), *counts)


def _unique(con: duckdb.DuckDBPyConnection) -> bool:
    return bool(engine.one_row(con, "SELECT count(DISTINCT event_id) = count(*) FROM staged")[0])
