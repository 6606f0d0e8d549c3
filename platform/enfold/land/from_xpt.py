"""SAS transport files, version 5: the layout is checked here, the values are decoded by pyreadstat.

A number of such a file is an IBM double, which no decimal such as 0.4 fits exactly. SAS warrants 15 significant
digits, so each number becomes the decimal of at most 15 significant digits that lies nearest. Blank text and a missing
number (`.`) become null. The special ones (`._`, `.A` to `.Z`) say why a number is missing, and stay as that text: what
reads a number there refuses the record, until the mapping says what the letter means.
"""

import datetime as dt
import io
import string
from decimal import Decimal
from typing import Any

import pyarrow as pa

from enfold import extras
from enfold.errors import UsageError
from enfold.land import limits

CARD = 80
LIBRARY = b"HEADER RECORD*******LIBRARY HEADER RECORD!!!!!!!"
MEMBER = b"HEADER RECORD*******MEMBER  HEADER RECORD!!!!!!!"
NAMES = b"HEADER RECORD*******NAMESTR HEADER RECORD!!!!!!!"
ROWS = b"HEADER RECORD*******OBS     HEADER RECORD!!!!!!!"
NAMESTR = 140  # octets that describe a column
AGAIN = "Export the file again as a SAS version 5 transport file with one dataset, its text in ASCII or UTF-8."
DIGITS = 15
SPECIAL = "_" + string.ascii_uppercase  # first octet of a number that is missing for a reason


def read(data: bytes, name: str) -> pa.Table:
    """Return every column as text.

    Raises:
        UsageError: not a version 5 transport file of one dataset, not whole, beyond a limit, or pyreadstat is missing.
    """
    (pyreadstat,) = extras.load("reading SAS transport files", "pyreadstat")
    columns, numbers, start, width = _layout(data, name)
    rows = _rows(data, start, width, name)
    limits.shape(name, rows, len(columns))
    try:
        found, _ = pyreadstat.read_xport(io.BytesIO(data), output_format="dict")
    except (pyreadstat.ReadstatError, pyreadstat.PyreadstatError, ValueError, OverflowError, UnicodeError):
        raise _damaged(name, "its values cannot be decoded") from None
    if list(found) != columns or any(len(v) != rows for v in found.values()):
        raise _damaged(name, "two ways of counting its rows and columns disagree")
    texts = {c: [_text(v) for v in values] for c, values in found.items()}
    for column, place in numbers.items():
        starts = range(start + place, len(data), width)
        texts[column] = [_special(data, at) if t is None else t for at, t in zip(starts, texts[column], strict=False)]
    table = pa.table({c: pa.array(v, pa.large_string()) for c, v in texts.items()})
    limits.fields(name, table)
    return table


def _layout(data: bytes, name: str) -> tuple[list[str], dict[str, int], int, int]:
    """Return the columns, where in a row the numeric ones begin, where the rows begin, and the octets of one row."""
    if not data.startswith(LIBRARY):
        raise _damaged(name, "it does not begin as a version 5 transport file does")
    if len(data) % CARD:
        raise _damaged(name, "it is not a whole number of 80-octet records")
    if data.count(MEMBER) != 1 or data[3 * CARD : 3 * CARD + len(MEMBER)] != MEMBER:
        raise _damaged(name, "it holds no dataset, or several")
    at = 7 * CARD
    if data[at : at + len(NAMES)] != NAMES or data[3 * CARD + 74 : 3 * CARD + 78] != b"0140":
        raise _damaged(name, "the description of its columns is not where it should be")
    digits = data[at + 54 : at + 58]
    if not digits.isdigit():
        raise _damaged(name, "the number of its columns cannot be read")
    count, begin = int(digits), at + CARD
    columns, numbers, width = [], {}, 0
    for place in range(count):
        one = data[begin + place * NAMESTR : begin + (place + 1) * NAMESTR]
        kind, length = int.from_bytes(one[:2], "big"), int.from_bytes(one[4:6], "big")
        position = int.from_bytes(one[84:88], "big")
        sound = len(one) == NAMESTR and position == width and int.from_bytes(one[6:8], "big") == place + 1
        if not sound or kind not in (1, 2) or not (2 <= length <= 8 if kind == 1 else 1 <= length <= 200):
            raise _damaged(name, f"the description of column {place + 1:,} is not sound")
        columns.append(one[8:16].decode("ascii", "replace").rstrip())
        if kind == 1:
            numbers[columns[-1]] = position
        width += length
    limits.column_names(name, columns)
    if any(not c.isascii() for c in columns):
        raise _damaged(name, "a column's name is not ASCII")
    at = begin + -(-count * NAMESTR // CARD) * CARD
    if data[at : at + len(ROWS)] != ROWS:
        raise _damaged(name, "the header of its rows is not where it should be")
    return columns, numbers, at + CARD, width


def _rows(data: bytes, start: int, width: int, name: str) -> int:
    """Count the rows: all of the rest but the blanks that fill the last 80 octets."""
    rows, rest = divmod(len(data) - start, width)
    if rest >= CARD or data[len(data) - rest :].strip(b" "):
        raise _damaged(name, "its last row is not whole")
    filled = rest
    while rows and filled + width < CARD and not data[start + (rows - 1) * width : start + rows * width].strip(b" "):
        rows -= 1
        filled += width
    return rows


def _text(value: Any) -> str | None:
    """Return one value as text; see the module's words for numbers."""
    if value is None or value == "" or value != value:
        return None
    if isinstance(value, float):
        plain = format(Decimal(f"{value:.{DIGITS}g}"), "f")
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    if isinstance(value, dt.datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return str(value)


def _special(data: bytes, at: int) -> str | None:
    """Return which special missing value stands where a number is missing; None for the ordinary one."""
    letter = chr(data[at])
    return f".{letter}" if letter in SPECIAL else None


def _damaged(name: str, what: str) -> UsageError:
    return UsageError(f"{name}: {what}", remedy=AGAIN + " Nothing was landed.")
