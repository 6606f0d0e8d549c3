"""DuckDB as enfold opens it."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from enfold.ledger import engine


def test_what_does_not_fit_in_memory_never_lands_where_the_command_was_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    con = engine.connect()
    con.execute("SET memory_limit = '60MB'")
    con.execute("CREATE TABLE t AS SELECT sha256(range::VARCHAR) AS h FROM range(1_500_000)")
    con.execute("CREATE TABLE u AS FROM t ORDER BY h")
    (folder,) = Path(tempfile.gettempdir()).glob(f"enfold-{os.getpid()}-*")
    spilled = list(folder.iterdir())
    assert spilled  # else the test shows nothing
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    con.close()
    assert not any(p.exists() for p in spilled)
    assert list(tmp_path.iterdir()) == []
