"""Parquet: what the file says of itself is checked first, and text stays folded until it was measured."""

import pyarrow as pa
import pyarrow.parquet as pq

from enfold.errors import UsageError
from enfold.land import limits

SHARED = limits.MAX_BYTES  # in DELTA_BYTE_ARRAY each text may repeat all of the one before it
NESTED = "Write one plain column for each value, or one row for each element."


def read(data: bytes, name: str) -> pa.Table:
    """Return the table; text columns may be dictionaries.

    Raises:
        UsageError: beyond a limit, or a column that is not plain.
        pa.ArrowException, OSError: not Parquet.
    """
    footer = int.from_bytes(data[-8:-4], "little")
    if data.endswith(b"PAR1") and footer > limits.MAX_FOOTER:
        raise limits.over(name, "its own description takes more than 16 MiB", limits.MAX_FOOTER)
    file = pq.ParquetFile(pa.BufferReader(data))
    _check(file, name)
    # A few octets can stand for a text repeated a million times. As dictionaries the repetitions cost
    # an index each, whatever the file says of its sizes.
    texts = [field.name for field in file.schema_arrow if limits.is_text(field.type)]
    table = pq.ParquetFile(pa.BufferReader(data), metadata=file.metadata, read_dictionary=texts).read()
    table.validate(full=True)
    limits.shape(name, table.num_rows, table.num_columns)
    if limits.fields(name, table) > limits.MAX_BYTES:
        raise limits.over(name, "unfolds to more than 2 GiB of text", limits.MAX_BYTES)
    return table


def _check(file: pq.ParquetFile, name: str) -> None:
    meta = file.metadata
    if meta.num_columns > limits.MAX_COLUMNS:
        limits.column_names(name, [""] * meta.num_columns)
    for field in file.schema_arrow:
        kind = field.type.storage_type if isinstance(field.type, pa.BaseExtensionType) else field.type
        if pa.types.is_nested(kind) or (kind is not field.type and not pa.types.is_fixed_size_binary(kind)):
            msg = f"{name}: column {file.schema_arrow.get_field_index(field.name) + 1} is not of a plain type"
            raise UsageError(msg, remedy=NESTED)
    limits.column_names(name, file.schema_arrow.names)
    limits.shape(name, meta.num_rows, meta.num_columns)
    if meta.num_row_groups > limits.MAX_GROUPS:
        what = f"{meta.num_row_groups:,} row groups"
        raise limits.over(name, what, limits.MAX_GROUPS, "Write the file again with larger row groups.")
    leaves = [file.schema.column(place) for place in range(meta.num_columns)]
    width = sum(c.length for c in leaves if c.physical_type == "FIXED_LEN_BYTE_ARRAY")
    octets = meta.num_rows * width
    for group in map(meta.row_group, range(meta.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            octets += column.total_uncompressed_size
            if "DELTA_BYTE_ARRAY" in column.encodings and column.num_values * column.total_uncompressed_size > SHARED:
                what = "texts that share their beginnings may unfold to more than 2 GiB"
                raise limits.over(name, what, SHARED, "Write the file again in Parquet's default encoding.")
    if octets > limits.MAX_BYTES:
        raise limits.over(name, "unpacks to more than 2 GiB", limits.MAX_BYTES)
