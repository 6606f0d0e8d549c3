"""The example plugins of docs/examples: built, installed beside the wheel of bare enfold, tested there, and used as printed."""

import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from test_packaging import LIGHT, ROOT, build

EXAMPLES = ROOT / "docs" / "examples"
PLUGINS = ("example-recist", "example-wellbeing")
PYTEST = ("pytest", "iniconfig", "packaging", "pygments")
PAGE = (EXAMPLES / "README.md").read_text("utf-8")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    target = tmp_path_factory.mktemp("wheels")
    return [build(folder, target) for folder in (ROOT, *(EXAMPLES / p for p in PLUGINS))]


@pytest.fixture(scope="module")
def python(wheels: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new environment with bare enfold, pytest and the two plugins, from wheels."""
    folder = tmp_path_factory.mktemp("env")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    lock = (ROOT / ".lock" / "requirements.txt").read_text()
    blocks = re.findall(r"^[a-z0-9][^\n]*(?:\n    [^\n]*)*", lock, re.M)
    (folder / "light.txt").write_text("\n".join(b for b in blocks if b.partition("==")[0] in {*LIGHT, *PYTEST}) + "\n")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", str(folder / "light.txt")], check=True)
    subprocess.run([*pip, "--no-index", "--no-deps", *map(str, wheels)], check=True)
    return python


@pytest.mark.parametrize("plugin", PLUGINS)
def test_its_own_tests_pass_there(plugin: str, python: Path, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / plugin / "tests", tmp_path / "tests")
    shutil.copy(EXAMPLES / plugin / "pyproject.toml", tmp_path)
    (code,) = python.parents[1].glob(f"lib/python3*/site-packages/{plugin.replace('-', '_')}")
    words = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "pyproject.toml", "tests", str(code)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    pages = list((EXAMPLES / plugin).rglob("examples.md"))
    rows = sum(len(re.findall(r"^\| (?!case|---)", p.read_text("utf-8"), re.M)) for p in pages)
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) == 7 + rows  # the six laws, all pages at once, and each row by itself


def test_the_page_runs_as_printed(wheels: list[Path], tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--target", str(tmp_path / "site"), *map(str, wheels[1:])], check=True)
    shutil.copytree(EXAMPLES / "trial", tmp_path / "trial")
    ((commands, printed),) = re.findall(r"```sh\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.S)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(tmp_path / "site"), "ENFOLD_AUTHOR": "example"}
    done = subprocess.run(["bash", "-ec", commands], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(printed)
