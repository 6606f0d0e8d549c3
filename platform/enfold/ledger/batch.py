"""A batch of new events of one type on its way into segments: ordered by slot, salted, committed to, written.

A large batch is written piece by piece, some at once: pieces end where a slot ends, and each costs the memory
of its own rows. Columns may be dictionaries, which cost less to move and to commit to; they are written as values.
"""

import contextvars
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

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
    stored, places = segments.stored_schema(event_type), order(rows)
    full = canonical.filled(rows)
    held = rows.select([n for n in rows.column_names if n in full])  # columns that hold nothing need no moving

    def one(bounds: tuple[int, int]) -> Piece:
        part = places.slice(bounds[0], bounds[1] - bounds[0])
        ready = placed(event_type, held, part, position)
        leaves = merkle.leaves(canonical.shape(event_type), ready)
        entries = ids.entries(event_type, ready)
        return Piece(put(ready.select(stored.names).cast(stored)), leaves, entries)

    pieces = list(segments.split(places.column("slot")))
    if len(pieces) == 1:
        return [one(pieces[0])]
    with ThreadPoolExecutor(engine.cores()) as pool:
        # each thread needs the definitions in force here
        waiting = [pool.submit(contextvars.copy_context().run, one, p) for p in pieces]
        return [w.result() for w in waiting]


def order(rows: pa.Table) -> pa.Table:
    """Return `n`, the place of each row in `rows`, and `slot`, in the order of a segment.

    That is by slot, subject and row of the source. Subjects are few: each is given its rank once.
    """
    study, subject = (rows.column(c).combine_chunks().dictionary_encode() for c in ("study_id", "subject_id"))
    width = pa.scalar(len(subject.dictionary), pa.int64())
    whose = pc.add(pc.multiply(study.indices.cast(pa.int64()), width), subject.indices).dictionary_encode()
    of_study = pc.divide(whose.dictionary, width)
    con = engine.scratch()
    con.register("subjects", pa.table({
        "place": pa.arange(0, len(whose.dictionary)),
        "study_id": study.dictionary.take(of_study),
        "subject_id": subject.dictionary.take(pc.subtract(whose.dictionary, pc.multiply(of_study, width))),
    }))  # fmt: skip
    ranked = con.sql(f"""
        SELECT slot, rank() OVER (ORDER BY slot, subject_id, study_id) AS rank
        FROM (SELECT *, {canonical.slot_sql()} AS slot FROM subjects) ORDER BY place
    """).to_arrow_table()
    slot, rank = (ranked.column(c).combine_chunks() for c in ("slot", "rank"))
    line = rows.column("source_row").combine_chunks()
    first = None if _ascending(line) else pc.array_sort_indices(line)
    of_row = whose.indices if first is None else whose.indices.take(first)
    places = pc.array_sort_indices(rank.take(of_row))  # stable
    found = slot.take(of_row.take(places))
    return pa.table({"n": places if first is None else first.take(places), "slot": found})


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
    table = pa.Table.from_arrays(full, names=stored.names)
    return table.cast(segments.folded(stored, table.schema))


def _ascending(numbers: pa.Array) -> bool:
    return numbers.null_count == 0 and pc.all(pc.less_equal(numbers[:-1], numbers[1:])).as_py() is not False
