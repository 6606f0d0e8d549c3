"""JSON tables: CDISC Dataset-JSON 1.1 (one document, or NDJSON) and plain NDJSON, numbers kept as they are written.

A number never passes through a binary float: its digits are taken from the file's text.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from enfold.errors import UsageError
from enfold.land import limits

VERSION = "datasetJSONVersion"
NUMBERS = {"integer", "float", "double", "decimal"}
TEXTS = {"string", "date", "datetime", "time", "URI"}
PLAIN = 40  # decimal exponents up to this are written out; beyond it the record is refused as no plain number
EXPONENT = re.compile(r"(-?)(\d+)(?:\.(\d+))?[eE]([+-]?\d{1,4})")
AGAIN = "Export the file again as Dataset-JSON 1.1 or as NDJSON, in UTF-8; FHIR lands through fhir/r4 or fhir/r5."


class Number(str):
    """Digits of a JSON number as they stand in the file."""

    __slots__ = ()


def read(data: bytes, name: str) -> pa.Table:
    """Return every column as text.

    Raises:
        UsageError: not JSON of a known form, or beyond a limit; says the line, row or column.
        UnicodeDecodeError: not UTF-8.
    """
    if name.lower().endswith(".json"):
        found = document(data, name)
        if not isinstance(found, dict) or VERSION not in found:
            raise _not_ours(name, f"no `{VERSION}`: not Dataset-JSON")
        rows = found.get("rows", [])
        if not isinstance(rows, list):
            raise _not_ours(name, "`rows` is not a list")
        return _dataset(found, iter(rows), name)
    rest = lines(data, name)
    first = next(rest, None)
    if isinstance(first, dict) and VERSION in first:
        return _dataset(first, rest, name)
    return _objects(first, rest, name)


def document(data: bytes, name: str) -> Any:
    """Return what one JSON document holds, numbers as `Number`.

    Raises:
        UsageError: not JSON, too deep, or too long.
        UnicodeDecodeError: not UTF-8.
    """
    if len(data) > limits.MAX_DOCUMENT:
        what = f"{len(data):,} octets in one document"
        raise limits.over(name, what, limits.MAX_DOCUMENT, remedy="Write it as NDJSON, one record a line.")
    return _parse(data.decode("utf-8-sig"), name, "the document")


def text(value: Any) -> str:
    """Return a scalar as text, a number digit for digit and without an exponent."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return plain(value) if isinstance(value, Number) else str(value)


def _dataset(head: dict[str, Any], rows: Iterator[Any], name: str) -> pa.Table:
    """Return a Dataset-JSON table; its own count of records must agree."""
    version = head[VERSION]
    if not isinstance(version, str) or not re.fullmatch(r"1\.1(\.\d+)?", version):
        raise _not_ours(name, f"`{VERSION}` is not 1.1")
    declared = head.get("columns")
    if not isinstance(declared, list) or not all(isinstance(c, dict) for c in declared):
        raise _not_ours(name, "`columns` is not a list of columns")
    names, kinds = [c.get("name") for c in declared], [c.get("dataType") for c in declared]
    if not all(isinstance(n, str) for n in names):
        raise _not_ours(name, "a column has no `name`")
    limits.column_names(name, names)
    for place, kind in enumerate(kinds, 1):
        if not isinstance(kind, str) or kind not in NUMBERS | TEXTS | {"boolean"}:
            raise _not_ours(name, f"column {place} has no `dataType` of Dataset-JSON 1.1")
    columns: list[list[str | None]] = [[] for _ in names]
    count = 0
    for count, row in enumerate(rows, 1):
        if not isinstance(row, list) or len(row) != len(names):
            raise _not_ours(name, f"row {count:,} does not have one value for each of {len(names):,} columns")
        limits.shape(name, count, len(names))
        for column, value, kind, label in zip(columns, row, kinds, names, strict=True):
            column.append(_value(value, str(kind), name, count, label))
    if str(head.get("records", count)) != str(count):
        raise _not_ours(name, f"{count:,} rows, and `records` says another number: the file is not whole")
    return _table(names, columns, name)


def _objects(first: Any, rest: Iterator[Any], name: str) -> pa.Table:
    """Return plain NDJSON: an object a line; a key that a line lacks is null there."""
    columns: dict[str, list[str | None]] = {}
    count = 0
    rows = [first] if first is not None else []
    for count, row in enumerate([*rows], 1):
        _add(columns, row, count, name)
    for count, row in enumerate(rest, count + 1):  # noqa: B020 - goes on counting
        _add(columns, row, count, name)
    for column in columns.values():
        column += [None] * (count - len(column))
    limits.column_names(name, list(columns))
    return _table(list(columns), list(columns.values()), name)


def _add(columns: dict[str, list[str | None]], row: Any, count: int, name: str) -> None:
    if not isinstance(row, dict):
        raise _not_ours(name, f"line {count:,} is not an object")
    if len(columns) + len(row) > 2 * limits.MAX_COLUMNS:
        limits.column_names(name, [""] * (limits.MAX_COLUMNS + 1))
    for key, value in row.items():
        column = columns.setdefault(key, [])
        column += [None] * (count - 1 - len(column))
        column.append(_value(value, None, name, count, None))
    limits.shape(name, count, len(columns))


def _value(value: Any, kind: str | None, name: str, row: int, label: str | None) -> str | None:
    """Return a scalar as text; `kind` is what a Dataset-JSON column declares."""
    if value is None:
        return None
    if isinstance(value, bool):
        fit = kind in (None, "boolean")
    elif isinstance(value, Number):
        fit = kind is None or kind in NUMBERS
    else:
        fit = isinstance(value, str) and (kind is None or kind in TEXTS or kind == "decimal" or value == "")
    if not fit:
        where = f"row {row:,}, column `{label}`" if label else f"line {row:,}"
        what = f"is not of the declared type `{kind}`" if kind else "holds a list or an object"
        raise _not_ours(name, f"{where}: a value {what}")
    # of a double `.0` says nothing, and Parquet has none: the same rows have the same keys in either
    return text(value).removesuffix(".0") if isinstance(value, Number) and kind != "decimal" else text(value)


def plain(number: str) -> str:
    """Return a JSON number without an exponent, digit for digit."""
    found = EXPONENT.fullmatch(number)
    if not found:
        return str(number)
    sign, whole, fraction, power = found[1], found[2], found[3] or "", int(found[4])
    if abs(power) > PLAIN:
        return str(number)
    digits, point = whole + fraction, len(whole) + power
    digits = digits.rjust(len(digits) - point + 1, "0") if point <= 0 else digits.ljust(point, "0")
    point = max(point, 1)
    return sign + (digits[:point].lstrip("0") or "0") + (f".{digits[point:]}" if digits[point:] else "")


def _table(names: list[str], columns: list[list[str | None]], name: str) -> pa.Table:
    try:
        table = pa.table({n: pa.array(c, pa.large_string()) for n, c in zip(names, columns, strict=True)})
    except UnicodeEncodeError:  # half of a surrogate pair, written as \ud800
        raise _not_ours(name, "a text holds half a character") from None
    limits.fields(name, table)
    return table


def lines(data: bytes, name: str) -> Iterator[Any]:
    """Yield the value of each line that is not blank."""
    start, place = (3 if data.startswith(b"\xef\xbb\xbf") else 0), 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        place += 1
        if end - start > limits.MAX_RECORD:
            raise limits.over(name, f"line {place:,} is too long", limits.MAX_RECORD)
        line = data[start:end].strip()
        start = end + 1
        if line:
            yield _parse(line.decode("utf-8"), name, f"line {place:,}")


def _parse(text: str, name: str, where: str) -> Any:
    try:
        return json.loads(
            text, parse_float=Number, parse_int=Number, parse_constant=_no_constant, object_pairs_hook=_object
        )
    except RecursionError:
        raise _not_ours(name, f"{where} is nested too deep") from None
    except ValueError:  # the message of the library may quote data
        raise _not_ours(name, f"{where} is not valid JSON, or repeats a key") from None


def _no_constant(_: str) -> None:
    msg = "NaN and Infinity are no JSON"
    raise ValueError(msg)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        msg = "a key stands twice"
        raise ValueError(msg)
    return out


def _not_ours(name: str, what: str) -> UsageError:
    return UsageError(f"{name}: {what}", remedy=AGAIN + " Nothing was landed.")
