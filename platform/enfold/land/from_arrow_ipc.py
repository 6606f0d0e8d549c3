"""Arrow IPC, as a file or a stream (Feather 2 is the file): read batch by batch, each validated in full.

The format carries no checksum of its own: damage that leaves a valid table goes unseen unless the sender's digest
is compared.
"""

from collections.abc import Iterator

import pyarrow as pa

from enfold.errors import UsageError
from enfold.land import limits
from enfold.land.from_parquet import NESTED

MAGIC = b"ARROW1"


def read(data: bytes, name: str) -> pa.Table:
    """Return the table; text columns may be dictionaries.

    Raises:
        UsageError: beyond a limit, or a column that is not plain.
        pa.ArrowException, OSError: not Arrow IPC, or damaged.
    """
    source = pa.BufferReader(data)
    reader = pa.ipc.open_file(source) if data.startswith(MAGIC) else pa.ipc.open_stream(source)
    schema = reader.schema
    limits.column_names(name, schema.names)
    for place, field in enumerate(schema, 1):
        if pa.types.is_nested(field.type) or isinstance(field.type, pa.BaseExtensionType):
            msg = f"{name}: column {place} is not of a plain type"
            raise UsageError(msg, remedy=NESTED)
    batches, rows, octets = [], 0, 0
    for batch in _batches(reader):
        batch.validate(full=True)
        octets += limits.fields(name, batch, rows)
        rows += batch.num_rows
        limits.shape(name, rows, len(schema))
        if max(octets, batch.nbytes) > limits.MAX_BYTES:
            raise limits.over(name, "unpacks to too much", limits.MAX_BYTES)
        batches.append(batch)
    return pa.Table.from_batches(batches, schema)


def _batches(reader: pa.RecordBatchFileReader | pa.RecordBatchStreamReader) -> Iterator[pa.RecordBatch]:
    if isinstance(reader, pa.RecordBatchStreamReader):
        yield from reader
    else:
        yield from (reader.get_batch(place) for place in range(reader.num_record_batches))
