"""Parquet: what the file says of itself is checked first, and text stays folded until it was measured."""

import sys
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from enfold.errors import UsageError
from enfold.land import limits
from enfold.land.parquet_pages import Unfolded, unfolded

SHARED = "DELTA_BYTE_ARRAY"  # each text may repeat all of the one before it
REWRITE = "Write the file again, in row groups of 100,000 rows or more and in Parquet's default encoding."
NESTED = "Write one plain column for each value, or one row for each element."


def read(data: bytes, name: str) -> pa.Table:
    """Return the table; text columns may be dictionaries.

    Raises:
        UsageError: beyond a limit, or a column that is not plain.
        pa.ArrowException, OSError: not Parquet.
    """
    footer = int.from_bytes(data[-8:-4], "little")
    if data.endswith(b"PAR1") and footer > limits.MAX_FOOTER:
        raise limits.over(name, "the footer is too long", limits.MAX_FOOTER, remedy=REWRITE)
    file = pq.ParquetFile(pa.BufferReader(data))
    chunks = _chunks(data, footer)
    shared = _check(file, name, chunks)
    # A few octets can stand for a text repeated a million times. As dictionaries the repetitions cost
    # an index each, whatever the file says of its sizes.
    texts = [field.name for field in file.schema_arrow if limits.is_text(field.type) and field.name not in shared]
    distinct = _mostly_plain(data, chunks, texts)
    texts = [t for t in texts if t not in distinct]
    table = pq.ParquetFile(pa.BufferReader(data), metadata=file.metadata, read_dictionary=texts).read()
    table.validate(full=True)
    limits.shape(name, table.num_rows, table.num_columns)
    if limits.fields(name, table) > limits.MAX_BYTES:
        raise limits.over(name, "unfolds to too much text", limits.MAX_BYTES)
    return table


def _chunks(data: bytes, footer: int) -> list[dict[str, Any]]:
    """Return what the footer says of each column chunk.

    DuckDB reads it, from a copy of the footer alone: asked by pyarrow, a damaged chunk ends the process.
    """
    with tempfile.TemporaryDirectory(prefix="enfold-") as folder:
        path = Path(folder) / "footer.parquet"
        path.write_bytes(b"PAR1" + data[-8 - footer :])
        wanted = (
            "path_in_schema, encodings, num_values, total_uncompressed_size, total_compressed_size, compression,"
            " data_page_offset, dictionary_page_offset"
        )
        with duckdb.connect(":memory:", config={"threads": 1}) as con:  # one that may open files
            found = con.execute(f"SELECT {wanted} FROM parquet_metadata(?)", [str(path)]).fetchall()
    return [dict(zip(wanted.split(", "), row, strict=True)) for row in found]


def _mostly_plain(data: bytes, chunks: list[dict[str, Any]], texts: list[str]) -> set[str]:
    """Return the columns that hold most of their text as it is, their values being too many for a dictionary.

    To fold these again costs much; and what else they hold cannot unfold to more than is allowed.
    """
    found: dict[str, list[Unfolded | None]] = {}
    for c in chunks:
        if c["path_in_schema"] in texts:
            begin = min(c["data_page_offset"] or 0, c["dictionary_page_offset"] or sys.maxsize)
            pages = memoryview(data)[max(0, begin) :][: max(0, c["total_compressed_size"] or 0)]
            found.setdefault(c["path_in_schema"], []).append(unfolded(pages, c["compression"]))
    out, octets = set(), 0
    for column, parts in found.items():
        whole = [part for part in parts if part is not None]
        plain, folded = (sum(sizes) for sizes in zip(*whole, strict=True)) if len(whole) == len(parts) else (0, 0)
        if plain > folded and octets + plain + folded <= limits.MAX_BYTES:
            octets += plain + folded
            out.add(column)
    return out


def _check(file: pq.ParquetFile, name: str, chunks: list[dict[str, Any]]) -> set[str]:
    """Check the footer; return the columns that cannot be read as dictionaries."""
    meta = file.metadata
    if meta.num_columns > limits.MAX_COLUMNS:
        limits.column_names(name, [""] * meta.num_columns)
    limits.column_names(name, file.schema_arrow.names)
    for place, field in enumerate(file.schema_arrow, 1):
        kind = field.type.storage_type if isinstance(field.type, pa.BaseExtensionType) else field.type
        if pa.types.is_nested(kind) or (kind is not field.type and not pa.types.is_fixed_size_binary(kind)):
            msg = f"{name}: column {place} is not of a plain type"
            raise UsageError(msg, remedy=NESTED)
    limits.shape(name, meta.num_rows, meta.num_columns)
    if meta.num_row_groups > limits.MAX_GROUPS:
        raise limits.over(name, f"{meta.num_row_groups:,} row groups", limits.MAX_GROUPS, "row groups", REWRITE)
    leaves = [file.schema.column(place) for place in range(meta.num_columns)]
    width = sum(c.length for c in leaves if c.physical_type == "FIXED_LEN_BYTE_ARRAY")
    octets = meta.num_rows * width + sum(c["total_uncompressed_size"] for c in chunks)
    if octets > limits.MAX_BYTES:
        raise limits.over(name, "unpacks to too much", limits.MAX_BYTES)
    shared = {c["path_in_schema"] for c in chunks if SHARED in c["encodings"]}
    octets = sum(c["num_values"] * c["total_uncompressed_size"] for c in chunks if c["path_in_schema"] in shared)
    if octets > limits.MAX_BYTES:
        what = "texts that share their beginnings may unfold to too much"
        raise limits.over(name, what, limits.MAX_BYTES, remedy=REWRITE)
    return shared
