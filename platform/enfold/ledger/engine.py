"""One way to open DuckDB: in memory, UTC, one thread unless asked, no access to the outside."""

import atexit
import contextlib
import os
import stat
import tempfile
import threading
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from enfold.errors import DeniedError
from enfold.quoting import literal


def connect(threads: int = 1) -> duckdb.DuckDBPyConnection:
    """Return an in-memory connection pinned to UTC; external access stays off."""
    con = duckdb.connect(":memory:")
    con.execute("SET GLOBAL TimeZone = 'UTC'")  # cursors too
    con.execute(f"SET threads = {threads:d}")
    con.execute(f"SET temp_directory = {literal(spill())}")
    con.execute("SET enable_external_access = false")
    con.execute("SET preserve_insertion_order = false")
    return con


def scratch() -> duckdb.DuckDBPyConnection:
    """Return a connection for one short question about tables registered with it; rows keep their order.

    A database costs 15 ms to open, and a run asks some hundred such questions a shard: they share one, each by a
    connection of its own, so that no question sees another's tables.
    """
    with _SHARED:
        return _shared(os.getpid()).cursor()


def of_size(rows: int) -> duckdb.DuckDBPyConnection:
    """Return a connection for questions about so many rows, which keep their order: few share the scratch database.

    Tables made in it must be TEMP, so that no other connection sees them.
    """
    if rows <= FEW:
        return scratch()
    con = connect(threads=cores())
    con.execute("SET preserve_insertion_order = true")
    return con


@contextlib.contextmanager
def kept(memory: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection, in a transaction, to a database that holds at most `memory`; nothing is left in it.

    A few shards, one after the other, use the same database. A new one for each would give all memory back to the
    system and ask for it again, page by page: an eighth of the time of folding a million events. One for all of a run
    becomes slower with every transaction, by a fifth after some sixty. Call `close_idle` when there are no more.
    """
    idle = _IDLE.setdefault((os.getpid(), memory), [])  # a process that was forked has its own
    try:
        database, uses = idle.pop()
    except IndexError:
        database, uses = connect(), 0
        database.execute(f"SET memory_limit = '{memory}'")
    con = database.cursor()
    try:
        con.begin()
        yield con
    except BaseException:
        uses = USES  # after some errors a database answers nothing any more
        raise
    finally:
        con.close()  # and with it all that was made
        if uses + 1 < USES:
            idle.append((database, uses + 1))
        else:
            database.close()


USES = 8  # shards
_IDLE: dict[tuple[int, str], list[tuple[duckdb.DuckDBPyConnection, int]]] = {}  # databases that nobody uses now


@atexit.register
def close_idle() -> None:
    """Close the databases that shards have left."""
    for (process, _), idle in list(_IDLE.items()):  # another thread may add to it
        while idle and process == os.getpid():
            idle.pop()[0].close()


FEW = 10_000  # rows that a database of their own, and threads, would not serve faster
_SHARED = threading.Lock()


@cache
def _shared(process: int) -> duckdb.DuckDBPyConnection:
    """Return the database that this process's questions share; one that was forked has its own."""
    con = connect()
    con.execute("SET preserve_insertion_order = true")
    atexit.register(con.close)  # while its threads can still be waited for: later the interpreter is half gone
    return con


@cache
def spill() -> str:
    """Return the folder for what does not fit in memory.

    DuckDB would use the folder that the command was called in. This one is the user's alone, because patient data
    may pass through it. DuckDB removes its files when it ends; those of a process that was killed go here.
    """
    folder = Path(tempfile.gettempdir()) / f"enfold-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or (hasattr(os, "getuid") and found.st_uid != os.getuid()):
        msg = f"{folder} is not a folder of yours"
        raise DeniedError(msg, remedy="Set TMPDIR to a folder of your own.")
    folder.chmod(0o700)
    for path in folder.glob("duckdb_temp_*"):
        process = path.name.split("_")[2]
        if process.isdigit() and not _lives(int(process)):
            path.unlink(missing_ok=True)
    return str(folder)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def execute(
    con: duckdb.DuckDBPyConnection, query: str, parameters: Mapping[str, Any] | None = None
) -> duckdb.DuckDBPyConnection:
    """Execute statements that come again with every shard: each text is parsed once. Parameters are the last one's."""
    return con.execute(_last(con, query), parameters)


def execute_all_but_last(con: duckdb.DuckDBPyConnection, query: str) -> str:
    """Execute statements as `execute` does, but for the last, which is returned: its reader makes part of it."""
    return _last(con, query).query.strip().rstrip(";") + "\n"  # it may end with a comment


def _last(con: duckdb.DuckDBPyConnection, query: str) -> duckdb.Statement:
    """Execute all statements but the last, and return that."""
    *first, last = _parsed(query)
    for statement in first:
        con.execute(statement)
    return last


def to_arrow(con: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    """Return the rows of a query.

    A relation is bound when it is made and again when it is run, which for a shard's state tables takes a twentieth of
    its fold; `execute` would hold the rows twice. So where this version of DuckDB has it, what a relation calls to run
    is called at once.
    """
    submit = getattr(con, "_submit", None)
    return submit(query, None, "arrow").arrow_table() if submit else con.sql(query).to_arrow_table()


@lru_cache(maxsize=512)
def _parsed(query: str) -> list[duckdb.Statement]:
    return scratch().extract_statements(query)


def cores() -> int:
    """Return how many threads one command may use; a shard's worker uses one."""
    return max(1, min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1))


def one_row(con: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    """Return the only row of `query`; drains the result, which else would own the connection."""
    (row,) = con.execute(query).fetchall()
    return tuple(row)
