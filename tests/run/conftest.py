"""A study that runs in several shards."""

import re
from pathlib import Path

import pytest

from enfold.cli.main import main as enfold
from enfold.run.run import run
from tests_support import SMALL


@pytest.fixture(scope="module")
def light(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's events under a study file that asks for two endpoints, run in several shards."""
    root = tmp_path_factory.mktemp("light")
    text = (demo.parent / "incoming" / "study.toml").read_text("utf-8")
    head, *parts = text.split("[[")
    few = ('endpoint = "crs"', 'endpoint = "icans"')
    kept = [p for p in parts if not p.startswith(("endpoints", "estimands")) or any(name in p for name in few)]
    head = re.sub(r"plugins = \[.*?\]", 'plugins = ["enfold-crs", "enfold-icans"]', head, flags=re.DOTALL)
    (root / "study.toml").write_text("[[".join([head, *kept]), "utf-8")
    study = root / "study"
    assert enfold(["init", str(study), str(root / "study.toml"), "--author", "test"]) == 0
    files = sorted((demo.parent / "incoming").glob("*.csv"))
    assert enfold(["land", str(study), *map(str, files), "--author", "test"]) == 0
    assert len(run(study, rows_per_shard=SMALL)["shards"]) == 8
    return study
