"""`enfold plugin`: a new distribution passes its own tests, is trusted by hash, runs apart, and is refused when edited."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from enfold.cli.main import main as enfold
from enfold.evaluate import isolation
from tests_support import STUDY


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A place on the path with a distribution that `plugin new` wrote, installed as a user would."""
    root = tmp_path_factory.mktemp("new")
    before = list(sys.path)
    assert enfold(["plugin", "new", "acme-low-pga", "--into", str(root)]) == 0
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    target = root / "site"
    subprocess.run(
        [*pip, "--disable-pip-version-check", "--target", str(target), str(root / "acme-low-pga")], check=True
    )
    sys.path.append(str(target))
    yield root
    isolation.end_all()
    sys.path[:] = before


@pytest.fixture
def study(site: Path, tmp_path: Path) -> Path:
    """A small study that asks for the endpoint, with one patient."""
    text = STUDY.replace("plugins = []", 'plugins = ["acme-low-pga"]') + '[[endpoints]]\nendpoint = "acme_low_pga"\n'
    (tmp_path / "study.toml").write_text(text)
    (tmp_path / "enrolment.csv").write_text("study_id,subject_id,event_id,occurred,sex\nS,01,e1,2026-01-01,F\n")
    (tmp_path / "infusion.csv").write_text(
        "study_id,subject_id,event_id,occurred,product,role\nS,01,i1,2026-02-01T10:00,car,study_product\n"
    )
    folder = tmp_path / "study"
    assert enfold(["init", str(folder), str(tmp_path / "study.toml")]) == 0
    assert enfold(["land", str(folder), str(tmp_path / "enrolment.csv"), str(tmp_path / "infusion.csv")]) == 0
    return folder


def answer(capsys: pytest.CaptureFixture[str], code: int, *words: str) -> dict[str, object]:
    capsys.readouterr()
    assert enfold([*words, "--json"]) == code
    return dict(json.loads(capsys.readouterr().out))


def test_its_own_tests_pass_at_once(site: Path) -> None:
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    ours = ["-p", "enfold.testing.pytest_plugin"]  # as the entry point of an installed enfold does
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *ours, str(site / "acme-low-pga")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env, cwd=site)
    assert done.returncode == 0, done.stdout
    assert "12 passed" in done.stdout  # seven of PluginLaws, five rows of the page
    assert len((site / "acme-low-pga" / "tests" / "test_plugin.py").read_text().splitlines()) == 4


def test_a_bad_name_or_an_existing_folder_is_refused(site: Path, tmp_path: Path) -> None:
    assert enfold(["plugin", "new", "Acme_Thing", "--into", str(tmp_path)]) == 2
    assert enfold(["plugin", "new", "acme-low-pga", "--into", str(site)]) == 2


def test_unpinned_is_listed_and_never_imported(
    study: Path, capsys: pytest.CaptureFixture[str], site: Path, tmp_path: Path
) -> None:
    listed = answer(capsys, 6, "plugin", "list", str(study))
    (failure,) = listed["failures"]  # type: ignore[misc]
    assert failure["stage"] == "trust"
    assert "enfold plugin trust" in failure["message"]
    assert "acme_low_pga" not in sys.modules
    none = tmp_path / "none.toml"
    none.write_text(STUDY)
    assert enfold(["init", str(tmp_path / "other"), str(none)]) == 0
    other = answer(capsys, 0, "plugin", "list", str(tmp_path / "other"))
    assert "acme-low-pga" in other["not_allowed"]  # type: ignore[operator]


def test_trusted_it_runs_apart_and_edited_it_is_refused(
    study: Path, capsys: pytest.CaptureFixture[str], site: Path
) -> None:
    assert enfold(["plugin", "trust", str(study), "acme-low-pga"]) == 0
    (offer,) = answer(capsys, 0, "plugin", "list", str(study))["offered"]  # type: ignore[misc]
    assert (offer["id"], offer["trust"], offer["parameters"]) == ("acme_low_pga", "pinned", {"below": "0.5"})
    manifest = answer(capsys, 0, "run", str(study))
    assert "acme_low_pga" not in sys.modules
    assert manifest["rows"]["verdicts"] == 2  # type: ignore[index]
    assert manifest["unlocked"] is None

    code = site / "site" / "acme_low_pga" / "rule.sql"
    before = code.read_text()
    code.write_text(before + "-- edited\n")
    try:
        refused = answer(capsys, 6, "run", str(study))
        assert refused["failures"][0]["stage"] == "trust"  # type: ignore[index]
        assert "not those that study.toml trusts" in refused["failures"][0]["message"]  # type: ignore[index]
        assert refused["rows"]["verdicts"] == 0  # type: ignore[index]
        unlocked = answer(capsys, 0, "run", str(study), "--dev")
        assert unlocked["unlocked"] == ["acme-low-pga"]
        assert unlocked["rows"]["verdicts"] == 2  # type: ignore[index]
        assert unlocked["run"] != manifest["run"]
        assert enfold(["sql", str(study), "SELECT DISTINCT plugin_version FROM verdicts", "--format", "csv"]) == 0
        assert "0.1.0 (unlocked)" in capsys.readouterr().out
    finally:
        code.write_text(before)


def test_the_graph_names_what_reads_what(capsys: pytest.CaptureFixture[str]) -> None:
    graph = answer(capsys, 0, "plugin", "graph")["graph"]
    order = [n["id"] for n in graph]  # type: ignore[attr-defined]
    assert order.index("sledai_2k") < order.index("sri")


def test_check_prints_a_conformance_report(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = answer(capsys, 0, "plugin", "check", "acme-low-pga")
    assert report["conforms"] is True
    laws = {f["law"] for f in report["findings"]}  # type: ignore[attr-defined]
    assert {"order-free", "patient-local", "total", "repeatable", "no foresight", "honest"} < laws
    assert "acme_low_pga" not in sys.modules
    assert enfold(["plugin", "check", "nobody-has-this"]) == 6
