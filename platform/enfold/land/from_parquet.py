"""Parquet: what the file says of itself is checked first, and text stays folded until it was measured."""

import pyarrow as pa
import pyarrow.parquet as pq

from enfold.errors import UsageError
from enfold.land import limits

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
    shared = _check(file, name)
    # A few octets can stand for a text repeated a million times. As dictionaries the repetitions cost
    # an index each, whatever the file says of its sizes.
    texts = [field.name for field in file.schema_arrow if limits.is_text(field.type) and field.name not in shared]
    table = pq.ParquetFile(pa.BufferReader(data), metadata=file.metadata, read_dictionary=texts).read()
    table.validate(full=True)
    limits.shape(name, table.num_rows, table.num_columns)
    if limits.fields(name, table) > limits.MAX_BYTES:
        raise limits.over(name, "unfolds to too much text", limits.MAX_BYTES)
    return table


def _check(file: pq.ParquetFile, name: str) -> set[str]:
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
    chunks = [g.column(place) for g in map(meta.row_group, range(meta.num_row_groups)) for place in range(len(leaves))]
    octets = meta.num_rows * width + sum(c.total_uncompressed_size for c in chunks)
    if octets > limits.MAX_BYTES:
        raise limits.over(name, "unpacks to too much", limits.MAX_BYTES)
    shared = {c.path_in_schema for c in chunks if SHARED in c.encodings}
    octets = sum(c.num_values * c.total_uncompressed_size for c in chunks if c.path_in_schema in shared)
    if octets > limits.MAX_BYTES:
        what = "texts that share their beginnings may unfold to too much"
        raise limits.over(name, what, limits.MAX_BYTES, remedy=REWRITE)
    return shared
