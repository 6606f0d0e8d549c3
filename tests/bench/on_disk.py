"""The fold's own SQL as one DuckDB over the whole log with all threads, for logs that do not fit in memory.

DuckDB reads the segments itself, keeps its tables in a file, spills what it cannot hold, and writes the state as
Parquet. Like `plain` in run.py it verifies nothing and makes no digests; the SQL is the same, read from the same files.
"""

import tempfile
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from enfold import schema, study
from enfold.fold import fold as folding
from enfold.fold.cut import Cut
from enfold.ledger import engine
from enfold.ledger.ledger import Ledger

MEMORY = "14GB"  # of 23; the rest is for what DuckDB does not count


class Stored:
    """Rows of one type in Parquet files, as much like an Arrow table as the fold asks of them."""

    def __init__(self, con: duckdb.DuckDBPyConnection, name: str, files: list[str]) -> None:
        listed = ", ".join(f"'{f}'" for f in files)
        con.execute(f"CREATE VIEW stored_{name} AS FROM read_parquet([{listed}])")
        self.query = f"SELECT *, CAST(NULL AS VARCHAR) AS content FROM stored_{name}"
        self.column_names = [n for n, *_ in con.execute(f"DESCRIBE stored_{name}").fetchall()]
        filled = ", ".join(f'count("{n}")' for n in self.column_names)
        self.num_rows, *counts = engine.one_row(con, f"SELECT count(*), {filled} FROM stored_{name}")
        self._filled = dict(zip(self.column_names, counts, strict=True))

    def append_column(self, _name: str, _column: Any) -> "Stored":
        """Content digests are computed by the fold; the view has the empty column already."""
        return self

    def column(self, name: str) -> Any:
        """Return how many are null."""
        return pa.scalar(None) if name not in self._filled else _Column(self.num_rows - self._filled[name])


class _Column:
    def __init__(self, null_count: int) -> None:
        self.null_count = null_count


class _Connection:
    """A connection that makes views of stored rows when they are registered."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con

    def __getattr__(self, name: str) -> Any:
        return getattr(self._con, name)

    def register(self, name: str, rows: Any) -> None:
        """Register rows, stored ones as a view."""
        if isinstance(rows, Stored):
            self._con.execute(f'CREATE VIEW "{name}" AS {rows.query}')
        else:
            self._con.register(name, rows)


def fold(where: Path) -> dict[str, int]:
    """Fold the whole log of a study; return how many rows each state table has."""
    ledger = Ledger(where / "ledger")
    with tempfile.TemporaryDirectory(prefix="enfold-bench-") as folder:
        con = duckdb.connect(f"{folder}/fold.duckdb")
        for setting in ("TimeZone = 'UTC'", f"threads = {engine.cores()}", f"memory_limit = '{MEMORY}'",
                        f"temp_directory = '{folder}/spilled'", "preserve_insertion_order = false"):  # fmt: skip
            con.execute(f"SET {setting}")
        parts: dict[str, list[str]] = {}
        for s in ledger.segments:
            parts.setdefault(s.event_type, []).append(str(ledger.path / s.path))
        events = {t: Stored(con, t, files) for t, files in parts.items()}
        rows = {}

        def kept(con: Any, table: schema.Table, study_id: str, query: str) -> None:
            columns = ", ".join(f"'{study_id}' AS study_id" if c == "study_id" else f'"{c}"' for c in table.names)
            order = ", ".join(f'"{c}"' for c in table.key)
            con.execute(f'CREATE TABLE "kept_{table.name}" AS SELECT {columns} FROM ({query}) ORDER BY {order}')
            con.execute(f'CREATE TEMP VIEW "{table.name}" AS FROM "kept_{table.name}"')  # for later steps
            con.execute(f"COPY \"kept_{table.name}\" TO '{folder}/{table.name}.parquet' (COMPRESSION zstd)")
            rows[table.name] = engine.one_row(con, f'SELECT count(*) FROM "kept_{table.name}"')[0]

        folding._sorted = folding._taken = kept  # type: ignore[assignment]
        parsed = study.parse(ledger.study_text())
        folding._folded(_Connection(con), events, parsed, Cut(ledger.position), None)  # type: ignore[arg-type]
        return rows
