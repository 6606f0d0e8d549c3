"""The pytest plugin: rows of pages as tests, fixtures, and nothing imported or collected where nobody asked."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from enfold.cli.main import main as enfold

ROOT = Path(__file__).parents[2]
FIXTURES = """
def test_one_patient(enfold_judge):
    steps = ("infusion d0T10:00 product=car role=study_product", "W4 d28 PGA.PGA_0_3=0.6")
    by_visit = {r["visit_id"]: r["status"] for r in enfold_judge("acme_shown", *steps)}
    assert by_visit["W4"] == "not_met"
    assert {r["visit_id"]: r["status"] for r in enfold_judge("acme_shown", *steps, parameters="below = 1")}["W4"] == "met"

def test_many_patients(enfold_trial):
    trial = enfold_trial("acme_shown", patients=5)
    assert trial.rows.num_rows == 5 * 4  # at each planned visit
    assert trial.state["subjects"].num_rows == 5

def test_a_name_nobody_declares(enfold_judge):
    enfold_judge("other")
"""


def pytest_in(folder: Path, *words: str) -> tuple[int, str]:
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ours = ["-p", "enfold.testing.pytest_plugin", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", "-q", *ours, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env, cwd=folder)
    return done.returncode, done.stdout


def test_pytest_finds_it_by_an_entry_point_and_imports_nothing_heavy_for_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (module,) = project["entry-points"]["pytest11"].values()
    code = f"import sys, {module}; print(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"duckdb", "pyarrow", "numpy", "pandas", "apache_beam", "great_expectations", "scipy"}, loaded
    ours = subprocess.run(
        [sys.executable, "-c", f"import sys, {module}; print(*(m for m in sys.modules if m.startswith('enfold')))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert set(ours.stdout.split()) == {"enfold", "enfold.testing", module}


def test_rows_are_tests_and_say_what_is_wrong_and_where(tmp_path: Path) -> None:
    assert enfold(["plugin", "new", "acme-shown", "--into", str(tmp_path)]) == 0
    project = tmp_path / "acme-shown"
    page = project / "src" / "acme_shown" / "examples.md"
    page.write_text(page.read_text().replace("| just below | 0.49 |  | met |", "| just below | 0.49 |  | not_met |"))
    (project / "tests" / "test_plugin.py").write_text(FIXTURES)
    code, said = pytest_in(project)
    assert code == 1
    assert "2 failed, 6 passed" in said, said
    line = next(n for n, text in enumerate(page.read_text().splitlines(), 1) if "just below" in text)
    assert re.search(rf"examples.md:{line}: W4 overall.status: expected not_met, got met", said), said
    assert "nothing in `enfold_plugins` (acme_shown) declares `other`" in said, said


def test_a_folder_without_python_is_tested_too_and_a_project_that_says_nothing_is_left_alone(tmp_path: Path) -> None:
    source = ROOT / "tests" / "plugins" / "folders" / "acme_endpoints" / "low_pga"
    place = tmp_path / "endpoints" / "low_pga"
    place.mkdir(parents=True)
    for path in source.iterdir():
        (place / path.name).write_bytes(path.read_bytes())
    assert pytest_in(tmp_path)[0] == pytest.ExitCode.NO_TESTS_COLLECTED
    (tmp_path / "pytest.ini").write_text("[pytest]\nenfold_plugins = endpoints\n")
    code, said = pytest_in(tmp_path, "-vv")
    assert code == 0, said
    assert re.search(r"examples.md::\d+: acme_folder_pga just below PASSED", said), said
