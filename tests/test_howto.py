"""The how-to pages, executed as printed on a copy of the demo trial."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs" / "how-to"


@pytest.mark.parametrize(
    "page",
    [
        "change-data.md",
        "cut-and-compare.md",
        "export.md",
        "land-exports.md",
        "other-engines.md",
        "parcel.md",
        "pictures.md",
        "report.md",
        "run.md",
    ],
)
def test_every_command_of_the_page_runs(page: str, demo_copy: Path, tmp_path: Path) -> None:
    from enfold.testing.demo.main import write

    demo_copy.rename(tmp_path / "STUDY")
    shutil.rmtree(tmp_path / "edc", ignore_errors=True)
    write(tmp_path / "edc")
    shutil.copytree(DOCS / "exports", tmp_path / "exports")
    blocks = re.findall(r"```(sh|python)\n(.*?)```", (DOCS / page).read_text("utf-8"), re.S)
    assert blocks
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "ENFOLD_AUTHOR": "data manager"}
    for language, block in blocks:
        shell = ["bash", "-ec"] if language == "sh" else [sys.executable, "-c"]
        done = subprocess.run([*shell, block], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
