"""The README's tour, executed as printed; and that documentation links lead somewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from enfold.testing.demo.main import main as make_demo

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
TOUR = README[README.index("## Five minutes") : README.index("## What is where")]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like a clone after `make demo`: .venv/bin and .demo stand in it."""
    folder = tmp_path_factory.mktemp("clone")
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    argv = sys.argv
    sys.argv = ["demo", str(folder / ".demo")]
    try:
        assert make_demo() == 0
    finally:
        sys.argv = argv
    return folder


def test_the_tour_runs_and_says_what_it_prints(place: Path) -> None:
    outputs = []
    for kind, block in re.findall(r"```(sh|console|python)\n(.*?)```", TOUR, re.S):
        if kind == "python":
            command = [sys.executable, "-c", block]
            expected = ""
        elif kind == "console":
            first, expected = block.split("\n", 1)
            command = ["bash", "-ec", first.removeprefix("$ ")]
        else:
            command, expected = ["bash", "-ec", block], ""
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (block, done.stderr)
        if expected:
            assert done.stdout.replace("\r\n", "\n") == expected
        outputs.append(done.stdout)
    tour = "\n".join(outputs)
    assert "6/22" in tour  # one DORIS responder fewer, as the text says
    assert "intact" in tour


def test_set_up_is_two_commands_of_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"make ([a-z-]+)", README))
    assert {"demo", "test"} <= named <= targets


@pytest.mark.parametrize("page", [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"], ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / link).exists(), link


def test_the_landing_example_from_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from enfold.cli.main import main as enfold
    from enfold.shipped import package_file

    (tmp_path / "study.toml").write_text(package_file("testing/demo/study.toml"), "utf-8")
    assert enfold(["init", str(tmp_path / "STUDY"), str(tmp_path / "study.toml")]) == 0
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "how-to" / "land-data.md").read_text("utf-8"), re.S)
    exec(block, {})


def test_every_data_finding_code_is_documented() -> None:
    sql = (ROOT / "platform" / "enfold" / "fold" / "sql" / "80_data_findings.sql").read_text("utf-8")
    resolve = (ROOT / "platform" / "enfold" / "fold" / "resolve.py").read_text("utf-8")
    codes = set(re.findall(r"'([a-z_]+)', '(?:info|query|error)'", sql)) | set(
        re.findall(r"'([a-z_]+)'(?: AS code)?, '(?:info|query|error)'", resolve)
    )
    page = (ROOT / "docs" / "reference" / "data-findings.md").read_text("utf-8")
    assert len(codes) >= 10
    assert all(f"`{c}`" in page for c in codes)
