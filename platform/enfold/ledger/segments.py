"""Segments: Parquet files of events of one type, sorted by slot, with page checksums."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from enfold import schema

ROW_GROUP = 5_000  # a run reads whole groups, and after one new event those that hold its subject
ROWS_PER_SEGMENT = 250_000  # a larger batch is split where a slot ends
STORED = (
    pa.field("slot", pa.int16(), nullable=False),
    pa.field("position", pa.int64(), nullable=False),
    pa.field("salt", pa.binary(16), nullable=False),
)
CONTENT = pa.field("content", pa.string())  # digest; travels with rows in memory, is not stored


def stored_schema(event_type: str) -> pa.Schema:
    """Return the schema of a segment: the event, then slot, position and salt."""
    return pa.schema([*schema.event_arrow(event_type), *STORED])


def plain(have: pa.Schema) -> pa.Schema:
    """Return a schema with the types of values where columns are dictionaries."""
    return pa.schema([f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in have])


def folded(wanted: pa.Schema, have: pa.Schema) -> pa.Schema:
    """Return the schema that is wanted, in which columns that are dictionaries stay so."""
    kinds = {f.name: f.type for f in have if pa.types.is_dictionary(f.type)}
    return pa.schema([f.with_type(kinds.get(f.name, f.type)) for f in wanted])


def split(slots: pa.ChunkedArray, most: int = ROWS_PER_SEGMENT) -> Iterator[tuple[int, int]]:
    """Yield begin and end of pieces of about `most` rows, none sharing a slot with the next; `slots` is sorted."""
    begin, rows = 0, len(slots)
    one = slots.combine_chunks() if rows > most else None
    while one is not None and rows - begin > most:
        last = one[begin + most - 1]
        end = pc.index(one, last).as_py()  # the slot at the limit goes to the next piece,
        if end <= begin:  # unless it alone is larger than a piece
            end = rows - pc.index(one[::-1], last).as_py()
        yield begin, end
        begin = end
    if begin < rows or rows == 0:
        yield begin, rows


def encode(rows: pa.Table) -> bytes:
    """Return the bytes of a segment file."""
    kinds = {f.name: str(f.type) for f in rows.schema}
    counted = [n for n, kind in kinds.items() if kind in {"int64", "timestamp[us, tz=UTC]"}]
    sink = pa.BufferOutputStream()  # needs no interpreter: other threads hold it, hashing
    pq.write_table(
        rows,
        sink,
        compression={n: "none" if n == "salt" else "zstd" for n in rows.column_names},  # salts are random
        row_group_size=ROW_GROUP,
        write_page_checksum=True,
        write_statistics=["slot", "position"],  # by which readers leave row groups out
        use_dictionary=[n for n in rows.column_names if n not in {"event_id", "salt", *counted}],
        column_encoding=dict.fromkeys(counted, "DELTA_BINARY_PACKED"),
        store_schema=True,
    )
    return bytes(sink.getvalue())


def decode(data: bytes, columns: list[str] | None = None) -> pa.Table:
    """Return the rows of a verified segment, or of another Parquet file of ours."""
    return pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True).read(columns=columns)
