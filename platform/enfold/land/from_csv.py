"""CSV as a stream of bounded blocks, plain or gzipped; what was read is counted a second way."""

import codecs
import contextlib
import csv
import io
from collections.abc import Callable, Iterator
from typing import IO

import pyarrow as pa
import pyarrow.csv as pacsv

from enfold.errors import UsageError
from enfold.land import limits

Octets = Callable[[], IO[bytes]]  # opens the text from its beginning
UNPACK = "Unpack the file, look at what is in it, and land it in parts; see docs/how-to/land-data.md, Limits."
QUOTING = "Check the quoting: a text that holds a quote or a line break stands in quotes, its quotes doubled."


class Unpacked(io.RawIOBase):
    """A gzip file's content, unpacked block by block; stops where it grows beyond measure."""

    def __init__(self, data: bytes, name: str) -> None:
        self._packed = pa.BufferReader(data)
        self._inner = pa.CompressedInputStream(self._packed, "gzip")
        self._name = name
        self._out = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]
        """Fill `target` and return how many octets it took."""
        part = self._inner.read(min(len(target), 1 << 20))
        self._out += len(part)
        if self._out > limits.MAX_BYTES:
            raise limits.over(self._name, "unpacks to too much", limits.MAX_BYTES, remedy=UNPACK)
        if self._out > limits.RATIO_FROM and self._out > limits.MAX_RATIO * self._packed.tell():
            what = "unpacks to a large multiple of its size"
            raise limits.over(self._name, what, limits.MAX_RATIO, "times", UNPACK)
        target[: len(part)] = part
        return len(part)


def read(data: bytes, name: str, *, packed: bool) -> pa.Table:
    """Return every column as text.

    Raises:
        UsageError: beyond a limit, no proper header, or quotes that do not match.
        pa.ArrowException, UnicodeDecodeError, OSError: not CSV, not UTF-8, or not gzip.
    """

    def octets() -> IO[bytes]:
        return io.BufferedReader(Unpacked(data, name), 1 << 20) if packed else io.BytesIO(data)

    header = _header(octets(), name)
    stream = pa.PythonFile(octets(), mode="r") if packed else pa.BufferReader(data)
    rows = 0
    batches = []
    try:
        reader = pacsv.open_csv(
            stream,
            read_options=pacsv.ReadOptions(block_size=limits.MAX_RECORD),
            parse_options=pacsv.ParseOptions(newlines_in_values=True),
            convert_options=pacsv.ConvertOptions(
                column_types={c: pa.string() for c in header},
                strings_can_be_null=False,
            ),
        )
        for batch in reader:
            limits.fields(name, batch, rows)
            rows += batch.num_rows
            limits.shape(name, rows, len(header))
            batches.append(batch)
    except pa.ArrowInvalid as error:
        if "straddling" in str(error):  # Arrow's word for a record that does not fit in a block
            what = f"a record after row {rows:,} is too long"
            raise limits.over(name, what, limits.MAX_RECORD, remedy=QUOTING) from None
        raise _torn(octets, name, len(header)) from None
    counted = _records(octets) == rows + 1 or sum(1 for _ in _by_csv(octets)) == rows + 1
    if reader.schema.names != header or not counted:
        raise _torn(octets, name, len(header))
    return pa.Table.from_batches(batches, reader.schema)


def _header(octets: IO[bytes], name: str) -> list[str]:
    with octets:
        start = octets.read(limits.MAX_HEADER)
    text = io.StringIO(codecs.getincrementaldecoder("utf-8-sig")().decode(start), newline="")
    try:
        header = next(csv.reader(text), [])
    except csv.Error:  # a name of more than 128 KiB
        header = [" " * (limits.MAX_NAME + 1)]
    limits.column_names(name, header)
    if len(start) == limits.MAX_HEADER and text.tell() == len(text.getvalue()):
        raise limits.over(name, "row 0 is too long", limits.MAX_HEADER, remedy=QUOTING)
    return header


def _torn(octets: Octets, name: str, columns: int) -> UsageError:
    """Return what is wrong with a file that two readers do not read alike, and where."""
    place = 0
    for place, row in enumerate(_by_csv(octets)):
        if len(row) != columns:
            msg = f"{name}: row {place:,} has {len(row):,} values, and row 0 names {columns:,} columns"
            return UsageError(msg, remedy=QUOTING)
    return UsageError(f"{name}: what follows row {place:,} is not readable as records", remedy=QUOTING)


def _records(octets: Octets) -> int:
    """Count records by line breaks outside of quotes: exact unless quotes stand inside of a value."""
    count = 0
    quoted = 0
    with octets() as lines:
        for line in lines:
            if b'"' in line:
                quoted ^= line.count(b'"') & 1
            if not quoted and line not in (b"\n", b"\r\n"):
                count += 1
    return -1 if quoted else count


def _by_csv(octets: Octets) -> Iterator[list[str]]:
    """Yield the records as Python's reader of CSV has them; none that a quote opens and nothing closes."""
    end = "\0end"  # put after the last line: an open quote swallows it

    def lines() -> Iterator[str]:
        with io.TextIOWrapper(octets(), "utf-8-sig", newline="") as text:
            yield from text
        yield end

    before = csv.field_size_limit(limits.MAX_FIELD)
    try:
        with contextlib.suppress(csv.Error):
            yield from (row for row in csv.reader(lines()) if row and not row[-1].endswith(end))
    finally:
        csv.field_size_limit(before)
