"""DuckDB as enfold opens it."""

import os
import stat
import subprocess
import tempfile
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from enfold.errors import DeniedError
from enfold.ledger import engine


def test_what_does_not_fit_in_memory_never_lands_where_the_command_was_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    engine.close_idle()  # what other tests left keeps its files
    folder = Path(tempfile.gettempdir()) / f"enfold-{os.getuid()}"
    con = engine.connect()
    con.execute("SET memory_limit = '60MB'")
    con.execute("CREATE TABLE t AS SELECT sha256(range::VARCHAR) AS h FROM range(1_500_000)")
    con.execute("CREATE TABLE u AS FROM t ORDER BY h")
    spilled = list(folder.glob(f"duckdb_temp_{os.getpid()}_*"))
    assert spilled  # else the test shows nothing
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    con.close()
    assert not any(p.exists() for p in spilled)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_processspilled_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = tmp_path / f"enfold-{os.getuid()}"
    folder.mkdir()
    ended = subprocess.Popen(["true"])
    ended.wait()
    (folder / f"duckdb_temp_{ended.pid}_0_storage.tmp").write_bytes(b"left behind")
    (folder / f"duckdb_temp_{os.getpid()}_0_storage.tmp").write_bytes(b"in use")
    engine.spill.cache_clear()
    engine.connect().close()
    assert [p.name for p in folder.iterdir()] == [f"duckdb_temp_{os.getpid()}_0_storage.tmp"]
    engine.spill.cache_clear()


def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"enfold-{os.getuid()}").symlink_to(tmp_path)
    engine.spill.cache_clear()
    with pytest.raises(DeniedError, match="not a folder of yours"):
        engine.connect()
    engine.spill.cache_clear()


def test_what_one_shard_made_is_not_there_for_the_next() -> None:
    rows = pa.table({"a": [1]})
    with engine.kept("100MB") as con:
        con.register("rows", rows)
        con.execute("CREATE TABLE t AS FROM rows; CREATE VIEW v AS FROM t; CREATE MACRO twice(x) AS 2 * x")
        first = engine.one_row(con, "SELECT current_database()")
        allocated = pa.total_allocated_bytes()
    del rows
    assert pa.total_allocated_bytes() < allocated  # what was registered is let go
    with engine.kept("100MB") as con:
        assert engine.one_row(con, "SELECT current_database()") == first
        for query in ("FROM rows", "FROM t", "FROM v", "SELECT twice(1)"):
            with pytest.raises(duckdb.CatalogException):
                con.sql(query)
            con.rollback()
            con.begin()


def test_a_database_is_used_a_few_times_and_not_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    monkeypatch.setattr(engine, "_IDLE", {})
    monkeypatch.setattr(engine, "connect", lambda: opened.append(duckdb.connect()) or opened[-1])
    for _ in range(engine.USES + 1):
        with engine.kept("100MB") as con:
            con.execute("SELECT 1")
    assert len(opened) == 2
    with pytest.raises(duckdb.OutOfMemoryException), engine.kept("100MB") as con:
        con.execute("SET memory_limit = '1MB'").execute("SELECT list(range) FROM range(1_000_000)")
    with engine.kept("100MB") as con, engine.kept("100MB") as other:  # two at once have one each
        assert [engine.one_row(c, "SELECT current_setting('memory_limit')") for c in (con, other)] == [
            ("95.3 MiB",)
        ] * 2
    assert len(opened) == 4
    engine.close_idle()
    for database in opened:
        with pytest.raises(duckdb.ConnectionException):
            database.execute("SELECT 1")


class _Public:
    """A connection of a DuckDB that has nothing but what it documents."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.sql = con.sql


def test_rows_as_arrow_are_those_of_a_relation() -> None:
    con = engine.connect()
    con.execute(
        "CREATE TABLE numbers AS SELECT range AS n, [range::VARCHAR] AS texts, NULL::DECIMAL(38, 9) AS none FROM range(300000)"
    )
    query = "SELECT n, texts, none FROM numbers ORDER BY n"
    assert hasattr(con, "_submit"), "else every state table is bound twice: see engine.to_arrow"
    rows = engine.to_arrow(con, query)
    assert rows.num_rows == 300_000
    assert rows.equals(con.sql(query).to_arrow_table())
    assert rows.equals(engine.to_arrow(_Public(con), query))  # type: ignore[arg-type]
    with pytest.raises(duckdb.ConversionException):
        engine.to_arrow(con, "SELECT n, CAST(texts[1] || 'x' AS BIGINT) FROM numbers")


def test_all_statements_but_the_last_are_executed() -> None:
    con = engine.connect()
    last = engine.execute_all_but_last(con, "CREATE TABLE t AS SELECT 1 AS n; -- then\nSELECT n FROM t -- all;\n;\n")
    assert con.execute(f"SELECT n FROM ({last})").fetchall() == [(1,)]
