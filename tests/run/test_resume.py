"""A run does again only what is missing or changed, and says what stopped a shard."""

import json
import math
import random
import shutil
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest

from enfold import schema
from enfold.cli.main import main as enfold
from enfold.errors import EnfoldError
from enfold.ledger.canonical import slot
from enfold.ledger.ledger import Draft, Ledger
from enfold.run import manifest as manifest_file
from enfold.run import reuse
from enfold.run.plan import Shard, plan_shards, rows_by_slot
from enfold.run.run import run
from enfold.serve.build import build, current
from enfold.serve.study import connect
from tests_support import SMALL, same


def land(study: Path, tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    assert enfold(["land", str(study), str(path), "--author", "test"]) == 0


@pytest.fixture
def sharded(light: Path, tmp_path: Path) -> tuple[Path, dict[str, object]]:
    study = Path(shutil.copytree(light, tmp_path / "study"))
    name = manifest_file.pointed(study / "runs" / "current.json")["run"]
    return study, manifest_file.read(study, name)


def summary(study: Path, manifest: dict[str, object], shard: str) -> dict[str, dict[str, dict[str, int]]]:
    return manifest_file.summary(study, str(manifest["run"])[:16], manifest, shard)


def folder(study: Path, manifest: dict[str, object]) -> Path:
    return study / "runs" / str(manifest["run"])[:16]


def test_an_interrupted_run_works_only_what_is_missing(sharded: tuple[Path, dict[str, object]]) -> None:
    study, first = sharded
    target = folder(study, first)
    (target / "manifest.json").unlink()
    lost, damaged, torn, *_ = first["worked"]
    (target / "shards" / f"{lost}.json").unlink()
    rows = target / "verdicts" / f"{damaged}.parquet"
    rows.write_bytes(rows.read_bytes()[:-9] + b"123456789")
    (target / "shards" / f"{torn}.json").write_text("{")
    second = run(study, rows_per_shard=SMALL)
    assert second["worked"] == sorted([lost, damaged, torn])
    assert same(first, second)
    assert run(study, rows_per_shard=SMALL)["worked"] == []
    assert run(study, rows_per_shard=SMALL, again=True)["worked"] == first["worked"]


def test_a_run_with_other_shards_leaves_no_file_of_the_earlier_ones(sharded: tuple[Path, dict[str, object]]) -> None:
    study, first = sharded
    second = run(study)
    assert same(first, second)
    stems = {p.stem for p in folder(study, second).rglob("*.parquet")}
    assert stems == set(second["shards"])


def test_one_new_event_works_one_slot_and_equals_the_full_run(
    sharded: tuple[Path, dict[str, object]], tmp_path: Path
) -> None:
    study, first = sharded
    land(study, tmp_path, "visit.csv", "event_id,subject_id,occurred,status\nlate,DEMO-001,2025-06-01,held\n")
    second = run(study, rows_per_shard=SMALL)
    place = slot("DEMO", "DEMO-001")
    assert second["worked"] == [Shard.of({place}).name]
    assert second["slots"][second["worked"][0]] == ((place, place + 1),)
    assert set(first["shards"]) <= set(second["shards"]), "none holds this slot alone, so all are taken over"
    assert second["rows_read"] < first["rows_read"] / 3
    assert not same(first, second)
    full = run(study, rows_per_shard=SMALL, again=True)
    assert same(second, full)
    assert full["worked"] == full["shards"]
    build(study, str(second["run"])[:16])
    found = connect(current(study)).execute("SELECT count(*) FROM events WHERE event_id = 'late'").fetchall()
    assert found == [(1,)]


def test_a_history_of_changes_run_step_by_step_equals_each_full_run(
    sharded: tuple[Path, dict[str, object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New facts, corrections, retractions, a new subject and a redaction, in an order drawn by chance."""
    study, first = sharded
    thin = [s for s in first["shards"] if 2 * sum(summary(study, first, s)["rows"]["events"].values()) < SMALL]
    monkeypatch.setattr(reuse, "THIN", len(thin) + 2)  # so that small shards are merged on the way
    rng = random.Random(5)
    ids = sorted(Ledger(study / "ledger").read("assessment").column("event_id").to_pylist())
    steps = []
    for n in range(2):
        one, other = rng.sample(ids, 2)
        subject = f"DEMO-{rng.randrange(1, 23):03d}"
        steps += [
            ("visit.csv", f"event_id,subject_id,occurred,status\nv{n},{subject},2025-07-0{n + 1},held\n"),
            ("correct", one),
            ("retract", other),
        ]
    steps += [("enrolment.csv", "event_id,subject_id,occurred\nnew,DEMO-099,2025-01-01\n")]
    rng.shuffle(steps)
    worked, shards = 0, [len(first["shards"])]
    for what, value in steps:
        if what == "retract":
            assert enfold(["retract", str(study), value, "--reason", "test", "--author", "test"]) == 0
        elif what == "correct":
            command = ["correct", str(study), value, "value_text=seen again", "--reason", "test", "--author", "test"]
            assert enfold(command) == 0
        else:
            land(study, tmp_path, what, value)
        step = run(study, rows_per_shard=SMALL)
        worked += len(step["worked"])
        shards.append(len(step["shards"]))
    assert worked < 3 * len(steps)
    assert any(later < sooner for sooner, later in pairwise(shards)), "small shards were merged"
    assert same(step, run(study, rows_per_shard=SMALL, again=True))


def test_after_a_redaction_nothing_is_taken_over(sharded: tuple[Path, dict[str, object]]) -> None:
    study, _ = sharded
    assert enfold(["redact", str(study), "DEMO-016/sledai/BL/SEIZ", "--reason", "test", "--author", "test"]) == 0
    found = run(study, rows_per_shard=SMALL)
    assert found["worked"] == found["shards"] == [s.name for s in plan_shards(Ledger(study / "ledger"), SMALL)]


def test_an_older_cut_takes_over_what_it_shares_with_the_run_in_force(
    sharded: tuple[Path, dict[str, object]], tmp_path: Path
) -> None:
    study, first = sharded
    position = Ledger(study / "ledger").position
    land(study, tmp_path, "visit.csv", "event_id,subject_id,occurred,status\nlate,DEMO-001,2025-06-01,held\n")
    run(study, rows_per_shard=SMALL)
    from enfold.fold.cut import Cut

    (folder(study, first) / "manifest.json").unlink()
    for path in (folder(study, first) / "shards").glob("*.json"):
        path.unlink()
    old = run(study, Cut(position), rows_per_shard=SMALL)
    assert len(old["worked"]) == 1
    assert same(old, first)


def test_another_study_file_works_everything(sharded: tuple[Path, dict[str, object]], tmp_path: Path) -> None:
    study, first = sharded
    text = Ledger(study / "ledger").study_text()
    land(study, tmp_path, "study.toml", text + "\n# another\n")
    assert run(study, rows_per_shard=SMALL)["worked"] == first["shards"]


def test_shards_are_few_and_evenly_filled(sharded: tuple[Path, dict[str, object]]) -> None:
    ledger = Ledger(sharded[0] / "ledger")
    rows = rows_by_slot(ledger)
    for most in (300, SMALL, 5_000, 10**9):
        shards = plan_shards(ledger, most)
        assert [slot for s in shards for slot in sorted(s.slots)] == list(range(1024))
        held = [sum(rows[slot] for slot in s.slots) for s in shards]
        assert len(shards) <= math.ceil(sum(rows) / most), "no more than are needed"
        assert max(held) - min(held) <= 2 * max(rows), "but for the slots at their ends they hold as much"


# --- a shard that cannot be worked


def poison(study: Path, ids: tuple[str, ...], subject: str = "DEMO-007") -> int:
    """Append events that landing would refuse, their clinical time is not a time; return their slot."""
    ledger = Ledger(study / "ledger")
    shape = schema.event_arrow("visit")
    row = {"study_id": "DEMO", "subject_id": subject, "schema_version": 1, "occurred": "2025-99-99", "status": "held"}
    rows = pa.Table.from_pylist([{**row, "event_id": i} for i in ids], schema=shape)
    ledger.append(lambda _: Draft({"visit": rows}), kind="landing", author="test", reason="test")
    return slot("DEMO", subject)


def test_a_poisoned_shard_names_its_events_and_the_others_finish(sharded: tuple[Path, dict[str, object]]) -> None:
    study, first = sharded
    build(study, str(first["run"])[:16])
    served = current(study)
    place = poison(study, ("bad-1",))
    (hit,) = [s for s in plan_shards(Ledger(study / "ledger"), SMALL) if place in s.slots]
    with pytest.raises(EnfoldError) as caught:
        run(study, rows_per_shard=SMALL, again=True)
    text = str(caught.value)
    assert f"shard {hit.name} failed in stage fold: ConversionException" in text
    assert "1 of " in text
    assert "1 events: bad-1" in text
    assert "2025-99-99" not in text
    assert f"{len(first['shards']) - 1} of {len(first['shards'])} shards are worked" in text
    assert current(study) == served
    # the event withdrawn, the run that follows has only that slot left
    assert enfold(["retract", str(study), "bad-1", "--reason", "test", "--author", "test"]) == 0
    healed = run(study, rows_per_shard=SMALL)
    assert healed["worked"] == [Shard.of({place}).name]
    assert same({**healed, "events": 0}, {**run(study, rows_per_shard=SMALL, again=True), "events": 0})


def test_several_poisoned_events_are_counted_and_named(sharded: tuple[Path, dict[str, object]]) -> None:
    study, _ = sharded
    target = study / "runs"
    poison(study, ("bad-1",), "DEMO-007")
    poison(study, ("bad-2",), "DEMO-008")
    with pytest.raises(EnfoldError) as caught:
        run(study, rows_per_shard=SMALL)
    assert "bad-" in str(caught.value)
    failed = [json.loads(p.read_text("utf-8")) for p in sorted(target.glob("*/failed/*.json"))]
    assert {i for f in failed for i in f["event_ids"]} <= {"bad-1", "bad-2"}
    assert all(f["stage"] == "fold" and f["message"] is None for f in failed)


# --- watching


def test_the_manifest_says_what_the_run_cost(sharded: tuple[Path, dict[str, object]]) -> None:
    _, manifest = sharded
    assert set(manifest["stage_seconds"]) == {"open", "read", "fold", "evaluate", "digest", "write"}
    assert manifest["rows_read"] >= manifest["events"]  # a row group of several shards is read by each
    assert manifest["peak_memory"] > 50_000_000
    assert manifest["pins"]["libraries"]["duckdb"].startswith("2.")


def test_progress_tells_rate_and_time_left(
    sharded: tuple[Path, dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enfold.run.watch.EVERY", 0.05)
    said: list[str] = []
    run(sharded[0], rows_per_shard=SMALL, again=True, say=said.append)
    assert any("events/s, about" in line and "s left" in line for line in said)


def test_files_of_another_layout_are_left_alone(
    sharded: tuple[Path, dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    study, before = sharded
    monkeypatch.setattr("enfold.run.pins.LAYOUT", 0)
    after = run(study, rows_per_shard=SMALL)
    assert after["run"] != before["run"]
    assert len(after["worked"]) == len(after["shards"])
    assert same(before, after)
