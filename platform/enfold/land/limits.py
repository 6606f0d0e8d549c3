"""What one source file may hold: every bound in one place, and the words of its refusal.

The bounds lie well above any trial's files and well below what hurts a machine. They are checked on
what a file says of itself before it is read, and on what comes out while it is read, since what a
file says of itself may be wrong. docs/how-to/land-data.md lists them.
"""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from enfold.errors import UsageError

MAX_BYTES = 2 << 30  # of the file, and of what it unpacks to
MAX_ROWS = 20_000_000
MAX_COLUMNS = 2_000
MAX_CELLS = 200_000_000  # rows times columns: an empty cell takes an octet of the file, and twenty of memory
MAX_FIELD = 1 << 20  # octets of one value
MAX_RECORD = 4 << 20  # octets of one CSV record or NDJSON line; a record of up to twice that may pass
MAX_DOCUMENT = 256 << 20  # octets of one JSON or XML document, which is parsed as a whole
MAX_DEPTH = 100  # elements of XML, or lists and objects of JSON, one in another
MAX_HEADER = 1 << 20  # octets of the row of column names
MAX_RATIO = 200  # of unpacked to packed octets; clinical text packs 5 to 50 times
RATIO_FROM = 16 << 20  # below this even a wild ratio is harmless
MAX_FOOTER = 16 << 20  # octets of a Parquet file's own description
MAX_GROUPS = 10_000  # row groups of a Parquet file
MAX_REFUSALS = 100_000  # faults of records; beyond that the file as a whole is refused
MAX_TEXT = 4 << 20  # octets of a study or mapping file
MAX_NAME = 200  # characters of the name of a file or a column

ROW = "source_row"
SPLIT = "Split the file and land its parts, each with the header; see docs/how-to/land-data.md, Limits."


def over(name: str, what: str, limit: int, unit: str = "octets", remedy: str = SPLIT) -> UsageError:
    """Return the refusal of a source that goes beyond a bound."""
    return UsageError(f"{name}: {what}; the limit is {limit:,} {unit}", remedy=remedy)


def source_name(name: str) -> str:
    """Return `name` if it may stand in a ledger, on a screen and in a spreadsheet.

    Raises:
        UsageError: it holds a path or control characters, starts as a formula does, or is too long.
    """
    fit = name.isprintable() and 0 < len(name) <= MAX_NAME and not {"/", "\\"} & {*name} and ".." not in name
    if fit and name[0] not in "=+-@":
        return name
    shown = "".join(c if c.isalnum() or c in "._- " else "?" for c in name[:40])
    msg = f"{shown}: this file name holds a path, `..` or control characters, starts with = + - @, or is too long"
    raise UsageError(msg, remedy=f"Rename the file: at most {MAX_NAME} printable characters. Nothing was read.")


def text_file(path: Path) -> str:
    """Return the text of a study or mapping file.

    Raises:
        UsageError: it cannot be read, is too long for what it is, or is not UTF-8.
    """
    name = source_name(path.name)
    try:
        if path.stat().st_size > MAX_TEXT:
            raise over(name, f"{path.stat().st_size:,} octets", MAX_TEXT, remedy="It is likely another file.")
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        msg = f"{name}: cannot be read ({reason})"
        raise UsageError(msg, remedy="Check the path, its permissions and its encoding.") from None


def column_names(name: str, columns: Sequence[str]) -> None:
    """Check the columns of a source.

    Raises:
        UsageError: too many, one without a name, two that differ in case at most, or a name that is
            not one; a file without a header may have values in this place, so none is quoted.
    """
    if len(columns) > MAX_COLUMNS:
        remedy = "Land it in parts, by columns, or turn it into one row for each value."
        raise over(name, f"{len(columns):,} columns", MAX_COLUMNS, "columns", remedy)
    # SQL does not tell `a` from `A`: of two such columns one would stand for both
    if not columns or "" in columns or len({c.lower() for c in columns}) != len(columns):
        msg = f"{name}: row 0 must name every column once"
        raise UsageError(msg, remedy="Write one header row with column names that differ in more than case.")
    for place, column in enumerate(columns, 1):
        if len(column) > MAX_NAME or not column.isprintable():
            msg = f"{name}: the name of column {place} holds control characters or more than {MAX_NAME} characters"
            raise UsageError(msg, remedy="Write one header row with plain column names.")
        if column.lower() == ROW:
            msg = f"{name}: column {place} is called `{ROW}`, a name that enfold gives to the number of the row"
            raise UsageError(msg, remedy="Rename or remove the column.")


def shape(name: str, rows: int, columns: int) -> None:
    """Check the number of rows and cells.

    Raises:
        UsageError: too many.
    """
    if rows > MAX_ROWS:
        raise over(name, f"{rows:,} rows or more", MAX_ROWS, "rows")
    if rows * columns > MAX_CELLS:
        raise over(name, f"{rows:,} rows or more of {columns:,} columns", MAX_CELLS, "cells")


def fields(name: str, table: pa.Table | pa.RecordBatch, after: int = 0) -> int:
    """Check the length of each text and return the octets of all, each counted where it stands.

    Args:
        name: of the source.
        table: some rows; columns may be dictionaries, which are not unfolded.
        after: rows before these.

    Raises:
        UsageError: a text is too long.
    """
    octets = 0
    for field, column in zip(table.schema, table.columns, strict=True):
        for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
            texts = chunk.dictionary if pa.types.is_dictionary(chunk.type) else chunk
            if not is_text(texts.type) or str(texts.type).endswith("view"):
                continue
            lengths = pc.binary_length(texts)
            if (pc.max(lengths).as_py() or 0) > MAX_FIELD:
                where = f"column `{field.name}`, after row {after:,}" if after else f"column `{field.name}`"
                remedy = "Check the quoting, or shorten the value."
                raise over(name, f"{where}: a value is too long", MAX_FIELD, remedy=remedy)
            spread = pc.take(lengths, chunk.indices) if texts is not chunk else lengths
            octets += pc.sum(pc.cast(spread, pa.int64())).as_py() or 0
    return octets


def is_text(kind: pa.DataType) -> bool:
    """Return whether `kind` is text or octets, as they stand, as views or as a dictionary."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return str(kind) in {"string", "large_string", "string_view", "binary", "large_binary", "binary_view"}
