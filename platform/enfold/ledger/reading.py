"""Reading a part of a segment: the row groups that may hold what is asked for, and only octets that were verified.

A segment is sorted by slot, its row groups say which slots and positions they hold, and its placement has a digest of
each 64 KiB. So one subject's rows cost a few thousand rows, not a file, and nothing unverified is handed out.
"""

import mmap
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from enfold.ledger import storage
from enfold.ledger.canonical import SLOTS
from enfold.ledger.commits import Segment
from enfold.ledger.segments import ROW_GROUP, decode
from enfold.ledger.storage import BLOCK

Slots = Sequence[tuple[int, int]]  # half-open ranges, in order, apart from one another
MANY = 16  # small segments of a type
KEPT = 200_000  # rows of a type, some 60 MB
MAGIC = 8  # octets at the end of a Parquet file: length of the footer, then PAR1


def holds(s: Segment, slots: Slots | None, after: int, upto: int) -> bool:
    """Whether a segment may hold rows of these slots and positions."""
    if s.first_position > upto or s.last_position <= after:
        return False
    return slots is None or any(s.slot_from < end and s.slot_until > begin for begin, end in slots)


def read(root: Path, s: Segment, slots: Slots | None, after: int, upto: int) -> tuple[pa.Table, int]:
    """Return the rows of a segment that lie in `slots` and in positions (after, upto], and how many rows were read.

    Raises:
        IntegrityError: what had to be read is missing, damaged or altered.
    """
    all_slots = slots is None or any(begin <= s.slot_from and s.slot_until <= end for begin, end in slots)
    all_positions = after < s.first_position and s.last_position <= upto
    if not s.blocks or (all_slots and all_positions):
        rows = decode(storage.read_verified(root / s.path, s.sha256, s.blocks))
    else:
        rows = _groups(root / s.path, s.blocks, slots, after, upto)
    count = rows.num_rows
    if not all_slots:
        rows = of_slots(rows, slots or ())
        if rows.num_rows * 4 < count * 3:  # a slice would keep all that was read: of many segments, more than a shard
            rows = rows.filter(pa.repeat(pa.scalar(value=True), rows.num_rows))
    return rows if all_positions else of_positions(rows, after, upto), count


def of_slots(rows: pa.Table, slots: Slots) -> pa.Table:
    """Return the rows, sorted by slot, that lie in `slots`."""
    slot = rows.column("slot").to_numpy()
    bounds = [slot.searchsorted(pair) for pair in slots]
    return pa.concat_tables([rows.slice(b, e - b) for b, e in bounds] or [rows.slice(0, 0)])


def of_positions(rows: pa.Table, after: int, upto: int) -> pa.Table:
    """Return the rows of the positions (after, upto]."""
    place = rows.column("position")
    return rows.filter(pc.and_(pc.less_equal(place, upto), pc.greater(place, after)))


def across(found: list[Segment]) -> list[Segment]:
    """Return those of many small segments that each lie across the slots, as far as one may keep their rows in memory.

    A run would open each of them once for every shard: they are better read once.
    """
    small = [s for s in found if s.rows <= ROW_GROUP and s.slot_until - s.slot_from >= SLOTS // 16]
    sums = accumulate(s.rows for s in small)
    kept = [s for s, rows in zip(small, sums, strict=True) if rows <= KEPT]
    return kept if len(kept) >= MANY else []


def _groups(path: Path, blocks: tuple[str, ...], slots: Slots | None, after: int, upto: int) -> pa.Table:
    """Read the row groups that may hold rows of these slots and positions."""
    last = len(blocks) - 1
    tail = storage.read_blocks(path, blocks, last, last)
    size = last * BLOCK + len(tail)
    octets = mmap.mmap(-1, size)  # the system gives memory only to what is filled in

    def fill(begin: int, end: int) -> None:
        first = begin // BLOCK
        data = storage.read_blocks(path, blocks, first, (end - 1) // BLOCK)
        octets[first * BLOCK : first * BLOCK + len(data)] = data

    fill(size - MAGIC, size)
    fill(size - MAGIC - int.from_bytes(octets[size - MAGIC : size - MAGIC + 4], "little"), size)
    file = pq.ParquetFile(pa.BufferReader(pa.py_buffer(octets)), page_checksum_verification=True)
    wanted = [g for g in range(file.num_row_groups) if _may_hold(file, g, slots, after, upto)]
    for group in wanted:
        fill(*_extent(file.metadata.row_group(group)))
    return file.read_row_groups(wanted)


def _may_hold(file: pq.ParquetFile, group: int, slots: Slots | None, after: int, upto: int) -> bool:
    """Whether a row group may: its statistics say so, or there are none."""
    names = file.schema_arrow
    found = file.metadata.row_group(group)
    slot, place = (found.column(names.get_field_index(n)).statistics for n in ("slot", "position"))
    if place is not None and (place.min > upto or place.max <= after):
        return False
    return slots is None or slot is None or any(slot.min < end and slot.max >= begin for begin, end in slots)


def _extent(group: pq.RowGroupMetaData) -> tuple[int, int]:
    """Return where the octets of a row group begin and end."""
    columns = [group.column(i) for i in range(group.num_columns)]
    begins = [c.dictionary_page_offset or c.data_page_offset for c in columns]
    return min(begins), max(b + c.total_compressed_size for b, c in zip(begins, columns, strict=True))
