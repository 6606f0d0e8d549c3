"""DuckDB as enfold opens it."""

import os
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest

from enfold.errors import DeniedError
from enfold.ledger import engine


def test_what_does_not_fit_in_memory_never_lands_where_the_command_was_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
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
