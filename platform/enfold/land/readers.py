"""Read a source file as text: every column VARCHAR, one row number each, nothing sniffed."""

import io
import stat
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from enfold.errors import UsageError
from enfold.land import from_arrow_ipc, from_csv, from_json, from_parquet, from_xpt, limits
from enfold.ledger import engine
from enfold.ledger.storage import sha256

ROW = limits.ROW
FORMATS = (".csv", ".csv.gz", ".parquet", ".xpt", ".json", ".ndjson", ".jsonl", ".arrow", ".arrows", ".feather")
DECLARED = "ODM-XML, FHIR, MEDS or REDCap through a mapping that says so: docs/how-to/land-exports.md"
PARSERS = {
    ".parquet": from_parquet.read,
    ".xpt": from_xpt.read,
    **dict.fromkeys((".json", ".ndjson", ".jsonl"), from_json.read),
    **dict.fromkeys((".arrow", ".arrows", ".feather"), from_arrow_ipc.read),
}


@dataclass(frozen=True)
class Source:
    """One source file: its rows as text, and what identifies it."""

    name: str
    digest: str
    rows: pa.Table  # every column text, perhaps as a dictionary, plus `source_row` (1 = first data row)
    joined: tuple[tuple[str, str, int], ...] = ()  # files that the rows were made with: name, digest, rows
    faults: tuple[dict[str, Any], ...] = ()  # what the reader found wrong with single rows: refusals
    tells_changes: bool = False  # its rows are versions, in their order (land/told.py)


def read(path: Path) -> Source:
    """Read a file of one of `FORMATS`.

    Raises:
        UsageError: the file is missing, of another format, beyond a limit, or not readable as what it claims.
    """
    name = limits.source_name(path.name)
    form = next((f for f in FORMATS if name.lower().endswith(f)), None)
    if form is None:
        msg = f"{name}: `{path.suffix}` is not a format that enfold lands"
        raise UsageError(msg, remedy=f"Land {', '.join(FORMATS)}; or {DECLARED}. Nothing of the file was read.")
    data = octets(path, name)
    try:
        parse = PARSERS.get(form)
        table = parse(data, name) if parse else from_csv.read(data, name, packed=form == ".csv.gz")
        return Source(name, sha256(data), as_text(table))
    except (MemoryError, duckdb.OutOfMemoryException):
        msg = f"{name}: reading it takes more memory than there is"
        raise UsageError(msg, remedy=limits.SPLIT) from None
    except (pa.ArrowException, UnicodeDecodeError, OSError, duckdb.Error):
        msg = f"{name}: not readable as {form}"  # the message of the library may quote data
        raise UsageError(msg, remedy="Export the file again; text must be UTF-8.") from None


def from_arrow(rows: Any, name: str) -> Source:
    """Take any object with `__arrow_c_stream__` as a source called `name`.

    Raises:
        UsageError: the name or the rows are beyond a limit.
    """
    limits.source_name(name)
    table = pa.table(rows)
    limits.column_names(name, table.column_names)
    limits.shape(name, table.num_rows, table.num_columns)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    text = as_text(table)
    limits.fields(name, text)
    return Source(name, sha256(sink.getvalue()), text)


def unpacked(path: Path) -> tuple[bytes, str]:
    """Return the bytes of a file, unpacked if its name ends in `.gz`, and its name.

    Raises:
        UsageError: it cannot be read, or unpacks to too much.
    """
    name = limits.source_name(path.name)
    data = octets(path, name)
    if not name.lower().endswith(".gz"):
        return data, name
    try:
        return io.BufferedReader(from_csv.Unpacked(data, name), 1 << 20).read(), name
    except (pa.ArrowException, OSError):
        raise UsageError(f"{name}: not readable as gzip", remedy="Pack the file again.") from None


def from_records(records: list[dict[str, str | None]], name: str, first: Sequence[str]) -> pa.Table:
    """Return records as a table of text: the columns of `first` in that order, then others as they come.

    Raises:
        UsageError: beyond a limit, or half a character.
    """
    columns = dict.fromkeys(first) | dict.fromkeys(c for r in records for c in r)
    limits.column_names(name, list(columns))
    limits.shape(name, len(records), len(columns))
    try:
        table = pa.table({c: pa.array([r.get(c) for r in records], pa.large_string()) for c in columns})
    except UnicodeEncodeError:  # half of a surrogate pair, written as \\ud800
        raise UsageError(f"{name}: a text holds half a character", remedy="Export the file again, in UTF-8.") from None
    limits.fields(name, table)
    return as_text(table)


def octets(path: Path, name: str) -> bytes:
    """Return the bytes of a regular file; a pipe or a device might never end."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            msg = f"{name}: not a regular file"
            raise UsageError(msg, remedy=f"Copy its content to a file, and land that; or {DECLARED}.")
        if found.st_size > limits.MAX_BYTES:
            raise limits.over(name, f"{found.st_size:,} octets", limits.MAX_BYTES)
        with path.open("rb") as file:
            data = file.read(found.st_size + 1)
    except OSError as error:
        msg = f"{name}: cannot be read ({error.strerror})"
        raise UsageError(msg, remedy="Check the path and its permissions.") from None
    except MemoryError:
        msg = f"{name}: reading it takes more memory than there is"
        raise UsageError(msg, remedy=limits.SPLIT) from None
    if len(data) != found.st_size:
        msg = f"{name}: the file changed while it was read"
        raise UsageError(msg, remedy="Land it when it is complete.")
    return data


def as_text(table: pa.Table) -> pa.Table:
    """Return every column as text, trimmed of blanks, empty text as null, and number the rows.

    Dictionaries of few values stay dictionaries.
    """
    rows = pa.arange(1, table.num_rows + 1)
    texts = [f.name for f in table.schema if _is_text(f.type)]
    with ThreadPoolExecutor(engine.cores()) as pool:
        columns = dict(zip(texts, pool.map(_trimmed, map(table.column, texts)), strict=True))
    other = table.drop_columns(texts)
    if other.num_columns:
        cast = _cast_to_text(other.append_column(ROW, rows))
        for field in other.schema:
            column = cast.column(field.name)
            exponents = pa.types.is_floating(field.type) and pc.any(pc.match_substring(column, "e")).as_py()
            columns[field.name] = _without_exponents(column) if exponents else column
    return pa.table({**{n: columns[n] for n in table.column_names}, ROW: rows})


def _without_exponents(column: pa.ChunkedArray) -> pa.Array:
    """Return the shortest texts of floating numbers, 1e-05 as 0.00001."""
    return pa.array([None if t is None else from_json.plain(t) for t in column.to_pylist()], pa.string())


def _trimmed(column: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Return text trimmed; a dictionary stays one if its values are few and none of them is empty."""
    if pa.types.is_dictionary(column.type):
        held = column.combine_chunks()
        values = _trimmed_values(pa.chunked_array([held.dictionary])).combine_chunks()
        if 2 * len(values) <= len(held) and values.null_count == 0:
            return pa.DictionaryArray.from_arrays(held.indices, values)
        every = held.null_count == 0 and len(values) == len(held)  # each once, and in order, as a reader finds them
        ordered = every and pc.all(pc.equal(held.indices, pa.arange(0, len(held)))).as_py()
        return pa.chunked_array([values if ordered else values.take(held.indices)], pa.string())
    return _trimmed_values(column)


def _trimmed_values(column: pa.ChunkedArray) -> pa.ChunkedArray:
    text = column.cast(pa.string())
    if pc.any(pc.or_(pc.starts_with(text, " "), pc.ends_with(text, " "))).as_py():
        text = pc.utf8_trim(text, characters=" ")
    empty = pc.equal(pc.binary_length(text), 0)
    return pc.if_else(empty, pa.scalar(None, pa.string()), text) if pc.any(empty).as_py() else text


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return kind in (pa.string(), pa.large_string())


def _cast_to_text(table: pa.Table) -> pa.Table:
    con = engine.connect(threads=engine.cores())
    con.execute("SET preserve_insertion_order = true")
    con.register("source", table)
    columns = []
    for field in table.schema:
        if field.name == ROW:
            continue
        name = '"' + field.name.replace('"', '""') + '"'
        text = f"nullif(trim(CAST({name} AS VARCHAR)), '')"
        if pa.types.is_floating(field.type):
            # a double's shortest text; .0 says nothing; not-a-number is no value
            text = f"CASE WHEN isfinite({name}) THEN regexp_replace({text}, '\\.0$', '') END"
        if pa.types.is_timestamp(field.type):
            # a fraction only where there is one; an instant is in UTC here, and says so
            fraction = f"rtrim(strftime({name}, '.%{'n' if field.type.unit == 'ns' else 'f'}'), '.0')"
            zone = "Z" if field.type.tz else ""
            text = f"strftime({name}, '%Y-%m-%dT%H:%M:%S') || {fraction} || '{zone}'"
        columns.append(f"{text} AS {name}")
    return con.sql(f"SELECT {', '.join(columns)} FROM source").to_arrow_table()
