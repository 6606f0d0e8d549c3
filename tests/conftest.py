"""Shared: the demo study, built once per worker."""

import shutil
from pathlib import Path

import pytest

from enfold.cli.main import main as enfold
from enfold.testing.demo.main import write


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo trial, landed, run and served; read-only for tests."""
    root = tmp_path_factory.mktemp("demo")
    paths = write(root / "incoming")
    study = root / "study"
    assert enfold(["init", str(study), str(root / "incoming" / "study.toml"), "--author", "test"]) == 0
    assert enfold(["land", str(study), *map(str, paths), "--author", "test", "--strict"]) == 0
    assert enfold(["run", str(study)]) == 0
    return study


@pytest.fixture
def demo_copy(demo: Path, tmp_path: Path) -> Path:
    """A copy of the demo study that a test may change."""
    return Path(shutil.copytree(demo, tmp_path / "study"))
