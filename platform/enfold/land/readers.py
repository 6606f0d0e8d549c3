"""Read a source file as text: every column VARCHAR, one row number each, nothing sniffed."""

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from enfold.errors import UsageError
from enfold.ledger import engine
from enfold.ledger.storage import sha256

ROW = "source_row"


@dataclass(frozen=True)
class Source:
    """One source file: its rows as text, and what identifies it."""

    name: str
    digest: str
    rows: pa.Table  # every column string, plus `source_row` (1 = first data row)


def read(path: Path) -> Source:
    """Read a CSV or Parquet file.

    Raises:
        UsageError: the file is missing, of another format, or not readable as what it claims.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        msg = f"{path.name}: cannot be read ({error.strerror})"
        raise UsageError(msg, remedy="Check the path and its permissions.") from None
    try:
        if path.suffix == ".csv":
            table = _read_csv(data, path.name)
        elif path.suffix == ".parquet":
            table = pq.read_table(pa.BufferReader(data))
        else:
            msg = f"{path.name}: `{path.suffix}` is not a format that enfold lands"
            raise UsageError(msg, remedy="Land .csv or .parquet.")
    except (pa.ArrowInvalid, UnicodeDecodeError, OSError) as error:
        row = re.search(r"[Rr]ow #?(\d+)", str(error))  # the rest of the message may quote data
        where = f", near line {row[1]}" if row else ""
        msg = f"{path.name}: not readable as {path.suffix}{where}"
        raise UsageError(msg, remedy="Export the file again; CSV must be UTF-8.") from None
    return Source(path.name, sha256(data), _as_text(table))


def from_arrow(rows: Any, name: str) -> Source:
    """Take any object with `__arrow_c_stream__` as a source called `name`."""
    table = pa.table(rows)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return Source(name, sha256(sink.getvalue()), _as_text(table))


def _read_csv(data: bytes, name: str) -> pa.Table:
    text = data.decode("utf-8-sig")
    header = next(csv.reader(io.StringIO(text, newline="")), None)
    if not header or len(set(header)) != len(header) or "" in header:
        msg = f"{name}: row 0 must name every column once"
        raise UsageError(msg, remedy="Write one header row with unique column names.")
    table = pacsv.read_csv(
        pa.BufferReader(text.encode()),
        parse_options=pacsv.ParseOptions(newlines_in_values=True),
        convert_options=pacsv.ConvertOptions(
            column_types={c: pa.string() for c in header},
            strings_can_be_null=False,
        ),
    )
    expected = sum(1 for row in csv.reader(io.StringIO(text, newline="")) if row) - 1
    if table.num_rows != expected:
        msg = f"{name}: {expected} records counted, {table.num_rows} read"
        raise UsageError(msg, remedy="Check the quoting; every record must end with a line break.")
    return table


def _as_text(table: pa.Table) -> pa.Table:
    """Return every column as text, empty text as null, and number the rows."""
    con = engine.connect()
    con.execute("SET preserve_insertion_order = true")
    con.register("source", table.append_column(ROW, pa.array(range(1, table.num_rows + 1))))
    columns = []
    for field in table.schema:
        name = '"' + field.name.replace('"', '""') + '"'
        text = f"nullif(trim(CAST({name} AS VARCHAR)), '')"
        if pa.types.is_floating(field.type):
            # a double's shortest text; .0 says nothing; not-a-number is no value
            text = f"CASE WHEN isfinite({name}) THEN regexp_replace({text}, '\\.0$', '') END"
        if pa.types.is_timestamp(field.type):
            text = f"nullif(strftime({name}, '%Y-%m-%dT%H:%M:%S'), '')"
        columns.append(f"{text} AS {name}")
    return con.sql(f"SELECT {', '.join([*columns, ROW])} FROM source ORDER BY {ROW}").to_arrow_table()
