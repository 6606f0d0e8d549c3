"""SAS transport files, version 5, written by pyreadstat from values that write_check.py found to fit.

Numbers become doubles of at most 15 significant digits, dates days since 1960 with the format DATE9. The library
stamps the file with the clock; the stamps are set to the instant given, so that the same content has the same bytes.
"""

import datetime as dt
import tempfile
from pathlib import Path
from typing import Any

from enfold import extras
from enfold.serve.files import File

EPOCH = dt.date(1960, 1, 1)
STAMPS = (144, 160, 464, 480)  # of the library's and the dataset's header: created and modified
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def libraries() -> tuple[Any, Any]:
    """Return pandas and pyreadstat.

    Raises:
        UsageError: one is not installed.
    """
    pd, pyreadstat = extras.load("writing SAS transport files", "pandas", "pyreadstat")
    return pd, pyreadstat


def encoded(file: File, made: dt.datetime) -> bytes:
    """Return the octets of one transport file.

    Raises:
        UsageError: a library is not installed.
    """
    pd, pyreadstat = libraries()
    columns: dict[str, Any] = {}
    for variable in file.variables:
        values = file.rows.column(variable.name).to_pylist()
        if variable.kind == "text":
            columns[variable.name] = pd.Series(values, dtype=object)
        else:
            columns[variable.name] = pd.Series([_number(v) for v in values], dtype="float64")
    formats = {v.name: "DATE9." for v in file.variables if v.kind == "date"}
    labels = {v.name: v.label for v in file.variables}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "out.xpt"
        pyreadstat.write_xport(
            pd.DataFrame(columns), path, file_label=file.label, column_labels=labels, table_name=file.name,
            file_format_version=5, variable_format=formats,
        )  # fmt: skip
        data = bytearray(path.read_bytes())
    stamp = f"{made.day:02}{MONTHS[made.month - 1]}{made.year % 100:02}:{made:%H:%M:%S}".encode()
    for place in STAMPS:
        data[place : place + 16] = stamp
    return bytes(data)


def _number(value: Any) -> float | None:
    if isinstance(value, dt.date):
        return float((value - EPOCH).days)
    return None if value is None else float(value)
