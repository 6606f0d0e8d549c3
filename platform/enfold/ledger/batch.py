"""A batch of new events of one type on its way into segments: ordered by slot, salted, committed to, written.

A large batch is written piece by piece, some at once: pieces end where a slot ends, and each costs the memory
of its own rows.
"""

import contextvars
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa

from enfold.ledger import canonical, engine, ids, merkle, segments
from enfold.ledger.commits import Segment


@dataclass(frozen=True)
class Piece:
    """One segment written, with what the commit and the id index need of its rows."""

    segment: Segment
    leaves: pa.Table
    entries: pa.Table


def write(event_type: str, rows: pa.Table, position: int, put: Callable[[pa.Table], Segment]) -> list[Piece]:
    """Write `rows`, with their `content` digests if known, by `put`; return the pieces in order of slot."""
    places = order(rows)
    full = canonical.filled(rows)
    held = rows.select([n for n in rows.column_names if n in full])  # columns that hold nothing need no moving

    def one(bounds: tuple[int, int]) -> Piece:
        part = places.slice(bounds[0], bounds[1] - bounds[0])
        ready = placed(event_type, held, part, position)
        leaves = merkle.leaves(canonical.shape(event_type), ready)
        entries = ids.entries(event_type, ready)
        return Piece(put(ready.select(segments.stored_schema(event_type).names)), leaves, entries)

    pieces = list(segments.split(places.column("slot")))
    if len(pieces) == 1:
        return [one(pieces[0])]
    with ThreadPoolExecutor(engine.cores()) as pool:
        # each thread needs the definitions in force here
        waiting = [pool.submit(contextvars.copy_context().run, one, p) for p in pieces]
        return [w.result() for w in waiting]


def order(rows: pa.Table) -> pa.Table:
    """Return `n`, the place of each row in `rows`, and `slot`, in the order of a segment."""
    con = engine.connect(threads=engine.cores())
    keys = rows.select(["study_id", "subject_id", "source_row"])
    con.register("rows", keys.append_column("n", pa.arange(0, rows.num_rows)))
    return con.sql(f"""
        WITH places AS (
            SELECT study_id, subject_id, {canonical.slot_sql()} AS slot
            FROM (SELECT DISTINCT study_id, subject_id FROM rows))
        SELECT n, slot FROM rows JOIN places USING (study_id, subject_id) ORDER BY slot, subject_id, source_row, n
    """).to_arrow_table()


def placed(event_type: str, rows: pa.Table, places: pa.Table, position: int) -> pa.Table:
    """Return the rows that `places` names, in its order, with slot, position and fresh salts."""
    size = places.num_rows
    held = rows.take(places.column("n").combine_chunks())
    salts = pa.py_buffer(secrets.token_bytes(16 * size))
    columns = {
        **{n: held.column(n) for n in held.column_names},
        "slot": places.column("slot"),
        "position": pa.repeat(pa.scalar(position, pa.int64()), size),
        "salt": pa.Array.from_buffers(pa.binary(16), size, [None, salts]),
    }
    stored = segments.stored_schema(event_type)
    if segments.CONTENT.name in columns:
        stored = stored.append(segments.CONTENT)
    full = [columns.get(f.name, pa.nulls(size, f.type)) for f in stored]
    return pa.Table.from_arrays(full, names=stored.names).cast(stored)
