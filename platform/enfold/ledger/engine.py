"""One way to open DuckDB: in memory, UTC, one thread unless asked, no access to the outside."""

import atexit
import os
import shutil
import tempfile
from functools import cache
from typing import Any

import duckdb


def connect(threads: int = 1) -> duckdb.DuckDBPyConnection:
    """Return an in-memory connection pinned to UTC; external access stays off."""
    con = duckdb.connect(":memory:")
    con.execute("SET TimeZone = 'UTC'")
    con.execute(f"SET threads = {threads:d}")
    con.execute(f"SET temp_directory = '{_spill(os.getpid()).replace(chr(39), chr(39) * 2)}'")
    con.execute("SET enable_external_access = false")
    con.execute("SET preserve_insertion_order = false")
    return con


@cache
def _spill(process: int) -> str:
    """Return this process's folder for what does not fit in memory.

    DuckDB would use the folder that the command was called in. This one is the user's alone, because patient data
    may pass through it, and goes with the process.
    """
    folder = tempfile.mkdtemp(prefix=f"enfold-{process}-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def cores() -> int:
    """Return how many threads one command may use; a shard's worker uses one."""
    return max(1, min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1))


def one_row(con: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    """Return the only row of `query`; drains the result, which else would own the connection."""
    (row,) = con.execute(query).fetchall()
    return tuple(row)
