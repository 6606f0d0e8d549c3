"""An endpoint that fails in one shard has rows in none; what does not need it keeps its rows to the digest."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from enfold import schema
from enfold.cli.main import main as enfold
from enfold.evaluate import isolation
from enfold.run import manifest as manifest_file
from enfold.run.digest import slot_digests, total
from enfold.run.run import run
from tests_support import STUDY

TOML = 'id = "{0}"\nversion = "1"\ncitation = "test"\ngrain = "subject"\nneeds = [{1}]\n[reads]\nsubjects = ["sex"]\n'
FINE = "SELECT subject_id, 'overall' AS criterion, verdict(sex = 'F') AS status FROM subjects"
BROKEN = FINE.replace("verdict(", "CASE WHEN subject_id = '07' THEN error('x') END || verdict(")
NAMES = ("broken", "reads_broken", "fine")


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Path]:
    """Twenty patients; three endpoints in folders, one of which stumbles over one patient."""
    folder = tmp_path / "study"
    asked = "".join(f'[[endpoints]]\nendpoint = "{n}"\n' for n in NAMES)
    (tmp_path / "study.toml").write_text(STUDY.replace("plugins = []\n", "") + asked)
    assert enfold(["init", str(folder), str(tmp_path / "study.toml")]) == 0
    rules = {"broken": BROKEN.replace("THEN error('x') END ||", "THEN error('x') ELSE '' END ||"), "fine": FINE}
    for name in NAMES:
        place = folder / "endpoints" / name
        place.mkdir(parents=True)
        (place / "endpoint.toml").write_text(TOML.format(name, '"broken"' if name == "reads_broken" else ""))
        (place / "rule.sql").write_text(rules.get(name, FINE))
        assert enfold(["plugin", "trust", str(folder), f"local-{name.replace('_', '-')}"]) == 0
    rows = "".join(f"S,{n:02},e{n},2026-01-01,{'FM'[n % 2]}\n" for n in range(20))
    (tmp_path / "enrolment.csv").write_text("study_id,subject_id,event_id,occurred,sex\n" + rows)
    assert enfold(["land", str(folder), str(tmp_path / "enrolment.csv")]) == 0
    yield folder
    isolation.end_all()


def verdicts(folder: Path, manifest: dict[str, Any]) -> pa.Table:
    return pa.concat_tables(manifest_file.parts(folder, manifest["run"][:16], manifest, "verdicts"))


def test_its_rows_and_those_of_what_reads_it_are_in_no_shard(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = run(study, rows_per_shard=5)
    shards = len(manifest["shards"])
    assert shards > 3
    rows = verdicts(study, manifest)
    assert rows.column("id").unique().to_pylist() == ["fine"]
    assert rows.num_rows == manifest["rows"]["verdicts"] == 20
    assert total(slot_digests(schema.results()["verdicts"], rows)) == manifest["verdicts_digest"]
    assert manifest["withdrawn"] == {n: {"failed": 1, "of": shards} for n in ("broken", "reads_broken")}
    assert {(f["declaration"], f["alias"]) for f in manifest["failures"]} == {
        (n, n) for n in ("broken", "reads_broken")
    }

    before = manifest["worked"]
    assert sorted(run(study, rows_per_shard=5)["worked"]) == sorted(before)  # nothing of it counts as finished
    assert enfold(["run", str(study), "--json"]) == 6
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["verdicts_digest"] == manifest["verdicts_digest"]

    (study / "endpoints" / "broken" / "rule.sql").write_text(FINE)
    assert enfold(["plugin", "trust", str(study), "local-broken"]) == 0
    mended = run(study, rows_per_shard=5)
    assert mended["withdrawn"] == {}
    both = verdicts(study, mended)
    assert both.num_rows == 60
    fine = both.filter(pa.compute.equal(both.column("id"), "fine"))
    assert total(slot_digests(schema.results()["verdicts"], fine)) == manifest["verdicts_digest"]


def test_a_worker_that_has_another_version_of_a_plugin_gives_no_rows(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker of a cluster may have installed another version, or fail to load it: it must not go unnoticed."""
    from enfold.run import run as running

    real = running.expected
    monkeypatch.setattr(
        running, "expected", lambda tasks: tuple((a, p, "0" * 16 if a == "fine" else c) for a, p, c in real(tasks))
    )
    manifest = run(study)
    (failure,) = (f for f in manifest["failures"] if f["alias"] == "fine")
    assert (failure["stage"], failure["message"]) == ("load", "a worker has another version of it")
    assert "fine" not in verdicts(study, manifest).column("id").to_pylist()
