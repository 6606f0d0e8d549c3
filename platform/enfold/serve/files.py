"""A table to write, with what is said of its columns; and one value as text."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa

from enfold.serve.specification import Variable


@dataclass(frozen=True)
class File:
    """One table to write: `rows` has the columns of `variables`, in their order and of their kinds."""

    name: str
    label: str
    variables: tuple[Variable, ...]
    rows: pa.Table
    key: tuple[str, ...] = ()


def texts(name: str, label: str, rows: pa.Table) -> File:
    """Return a table whose columns are all text, labelled by their names."""
    return File(name, label, tuple(Variable(c, label=c) for c in rows.column_names), rows)


def plain(value: Any) -> str:
    """Return one value as text: decimals without exponent and trailing zeros, dates as ISO 8601."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        text = format(value, "f")
        return (text.rstrip("0").rstrip(".") or "0") if "." in text else text
    return value.isoformat() if isinstance(value, dt.date | dt.time) else str(value)
