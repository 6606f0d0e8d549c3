"""Packing: many small segments become few large ones. Changes no row, no position, no digest."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

import pyarrow as pa

from enfold.ledger import placement, reading, redact, segments, storage, writing
from enfold.ledger.canonical import SLOTS
from enfold.ledger.commits import Segment
from enfold.ledger.ledger import Ledger

BAND = 2_000_000  # rows sorted at once
ORDER = [("slot", "ascending"), ("subject_id", "ascending"), ("event_id", "ascending"),
         ("position", "ascending"), ("source_row", "ascending")]  # fmt: skip


@dataclass(frozen=True)
class Packed:
    """Segment files before and after."""

    before: int
    after: int


def pack(path: Path) -> Packed:
    """Write the rows of all commits into segments split by slot; cuts of any age read on.

    The new segments come into force with one file; what they replace is removed after that. A
    reader that opened the ledger before finds its files gone, looks again and reads on.
    """
    with storage.writing(path) as unfinished:
        ledger = Ledger(path)
        if unfinished:
            writing.heal(ledger)
        redact.take_out(ledger)
        old = ledger.segments
        new: list[Segment] = []
        kinds = sorted(old, key=lambda s: (s.event_type, s.schemas))
        for (event_type, schemas), group in groupby(kinds, key=lambda s: (s.event_type, s.schemas)):
            parts = list(group)
            if len(parts) == 1:
                new += parts
            else:
                new += [writing.write_segment(path, event_type, rows, schemas) for rows in _sorted(path, parts)]
        if len(new) >= len(old):
            writing.heal(ledger)  # nothing gained: what was written goes again
            return Packed(len(old), len(old))
        placement.put_in_force(path, ledger.commits, ledger.generation, new, ledger.generation.redacted, "packing")
        for s in old:
            if s not in new:
                storage.remove(path / s.path)
    return Packed(len(old), len(new))


def _sorted(path: Path, parts: list[Segment]) -> Iterator[pa.Table]:
    """Yield all rows of the segments in order, in pieces, one band of slots in memory at a time."""
    bands = -(-sum(s.rows for s in parts) // BAND)
    bounds = [SLOTS * n // bands for n in range(bands + 1)]
    for begin, end in pairwise(bounds):
        found = [
            reading.read(path, s, [(begin, end)], 0, s.last_position)[0]
            for s in parts
            if s.slot_from < end and s.slot_until > begin
        ]
        rows = pa.concat_tables(found) if found else None
        if rows is not None and rows.num_rows:
            rows = rows.sort_by(ORDER)
            for begin, end in segments.split(rows.column("slot")):
                yield rows.slice(begin, end - begin)
