"""Analysis results as data: each printed cell as rows with table, population, filter, method, statistic and value.

A table is a view of these rows, and two runs are compared by them.
"""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from enfold.ledger import storage
from enfold.report.sheet import Sheet

SCHEMA = pa.schema(
    [
        ("run", pa.string()), ("table_key", pa.string()), ("row", pa.int32()), ("column", pa.int32()),
        ("part", pa.int32()), ("label", pa.string()), ("header", pa.string()), ("population", pa.string()),
        ("estimand", pa.string()), ("filter", pa.string()), ("method", pa.string()), ("statistic", pa.string()),
        ("value", pa.string()), ("printed", pa.string()), ("synthetic", pa.bool_()),
    ]
)  # fmt: skip
KEY = ("table_key", "label", "column", "header", "part", "statistic")


def results(run: str, sheets: list[Sheet]) -> pa.Table:
    """Return one row for each number of each printed cell, in the order of the report."""
    return pa.Table.from_pylist([{"run": run, **r} for s in sheets for r in s.results()], schema=SCHEMA)


def write(target: Path, rows: pa.Table) -> None:
    """Write them as Parquet: the same rows, the same bytes."""
    out = pa.BufferOutputStream()
    pq.write_table(rows, out, compression="zstd", write_page_checksum=True)
    storage.replace(target, out.getvalue().to_pybytes())


def compare(one: pa.Table, two: pa.Table) -> list[dict[str, Any]]:
    """Return every number that differs, in the order of the second report, then what only the first one has."""
    was, now = (_by_key(t) for t in (one, two))
    out = []
    for key in [*now, *(k for k in was if k not in now)]:
        old, new = was.get(key), now.get(key)
        if old != new:
            names = dict(zip(KEY, key, strict=True))
            sides = {
                f"{side}_{n}": r and r[n] for side, r in (("old", old), ("new", new)) for n in ("value", "printed")
            }
            out.append({k: names[k] for k in ("table_key", "label", "header", "statistic")} | sides)
    return out


def _by_key(rows: pa.Table) -> dict[tuple[Any, ...], dict[str, Any]]:
    compared = ("value", "printed", "method")
    return {tuple(r[k] for k in KEY): {n: r[n] for n in compared} for r in rows.to_pylist()}
