"""Same events, same digests: whatever the landing order, sharding, runner, time zone or hash seed."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from enfold.cli.main import main as enfold
from enfold.fold.cut import Cut
from enfold.ledger.ledger import Ledger
from enfold.run.plan import plan_shards
from enfold.run.run import run

DIGESTS = ("cut_digest", "state_digest", "verdicts_digest")


def digests(manifest: dict[str, str]) -> tuple[str, ...]:
    return tuple(manifest[d] for d in DIGESTS)


@pytest.fixture(scope="module")
def expected(demo: Path) -> tuple[str, ...]:
    return digests(run(demo))


def test_many_small_shards(demo_copy: Path, expected: tuple[str, ...]) -> None:
    assert len(plan_shards(Ledger(demo_copy / "ledger"), 2_000)) > 4
    assert digests(run(demo_copy, rows_per_shard=2_000, again=True)) == expected


def test_shards_partition_all_slots(demo: Path) -> None:
    shards = plan_shards(Ledger(demo / "ledger"), 1_000)
    assert sorted(slot for s in shards for slot in s.slots) == list(range(1024))


def test_direct_runner_resolves_with_a_notice(
    demo_copy: Path, expected: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert enfold(["run", str(demo_copy), "--runner", "DirectRunner", "--again", "--json"]) == 0
    streams = capsys.readouterr()
    assert "FnApiRunner" in streams.err
    assert digests(json.loads(streams.out)) == expected


def test_options_pass_through_to_beam(demo_copy: Path, expected: tuple[str, ...]) -> None:
    options = ["--direct_running_mode=multi_threading", "--direct_num_workers=2"]
    assert digests(run(demo_copy, options=options, rows_per_shard=3_000, again=True)) == expected


def test_landing_order_and_splitting(demo: Path, tmp_path: Path, expected: tuple[str, ...]) -> None:
    """All rows shuffled, in three files a type, landed in another order."""
    rng = random.Random(7)
    files = []
    for path in sorted((demo.parent / "incoming").glob("*.csv")):
        head, *lines = path.read_text("utf-8").splitlines()
        rng.shuffle(lines)
        for part in range(3):
            folder = tmp_path / str(part)
            folder.mkdir(exist_ok=True)
            if lines[part::3]:
                (folder / path.name).write_text("\n".join([head, *lines[part::3]]) + "\n", "utf-8")
                files.append(str(folder / path.name))
    rng.shuffle(files)
    study = tmp_path / "study"
    assert enfold(["init", str(study), str(demo.parent / "incoming" / "study.toml")]) == 0
    assert enfold(["land", str(study), *files]) == 0
    assert digests(run(study)) == expected


def test_time_zone_locale_and_hash_seed_of_the_process(demo_copy: Path, expected: tuple[str, ...]) -> None:
    env = {**os.environ, "TZ": "America/St_Johns", "PYTHONHASHSEED": "123", "LC_ALL": "C.UTF-8"}
    command = [sys.executable, "-m", "enfold.cli.main", "run", str(demo_copy), "--again", "--json"]
    out = subprocess.run(command, env=env, capture_output=True, check=True).stdout
    assert digests(json.loads(out)) == expected


def test_ec_76_an_old_cut_is_recomputed_to_the_same_digests(
    demo_copy: Path, tmp_path: Path, expected: tuple[str, ...]
) -> None:
    position = Ledger(demo_copy / "ledger").position
    path = tmp_path / "visit.csv"
    path.write_text("event_id,subject_id,occurred,status\nlate,DEMO-001,2025-06-01,held\n")
    assert enfold(["land", str(demo_copy), str(path)]) == 0
    assert digests(run(demo_copy, Cut(position), again=True)) == expected
    assert digests(run(demo_copy)) != expected


def test_a_bound_in_recorded_time_hides_what_was_recorded_later(demo_copy: Path) -> None:
    import datetime as dt

    position = Ledger(demo_copy / "ledger").position
    bound = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
    early = run(demo_copy, Cut(position, recorded_until=bound))
    assert 0 < early["events"] < run(demo_copy)["events"]


def test_a_failed_shard_is_an_error_and_leaves_results_served(demo_copy: Path) -> None:
    before = (demo_copy / "serve" / "current.json").read_text()
    path = next((demo_copy / "ledger" / "segments" / "visit").glob("*.parquet"))
    path.write_bytes(b"x" + path.read_bytes()[1:])
    assert enfold(["run", str(demo_copy), "--again"]) == 4
    assert (demo_copy / "serve" / "current.json").read_text() == before
    assert enfold(["report", str(demo_copy)]) == 0


def test_ec_93_another_definition_makes_another_result_beside_the_old(demo_copy: Path, tmp_path: Path) -> None:
    before = run(demo_copy)
    text = Ledger(demo_copy / "ledger").study_text()
    path = tmp_path / "study.toml"
    path.write_text(text.replace("sledai_drop = 4", "sledai_drop = 5"))
    assert enfold(["land", str(demo_copy), str(path), "--author", "test"]) == 0
    after = run(demo_copy)
    assert before["run"] != after["run"]
    for manifest in (before, after):
        kept = json.loads((demo_copy / "runs" / manifest["run"][:16] / "manifest.json").read_text("utf-8"))
        assert kept["verdicts_digest"] == manifest["verdicts_digest"]
