"""Power loss: whatever was acknowledged is there after it; what was not is whole, or is not there.

A history is lived through once on the recording disk (disk.py). Then the power fails at many points
of it, and each time the disk keeps another part of what was not synced.
"""

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from enfold.errors import IntegrityError
from enfold.ledger import ids, storage
from enfold.ledger.commits import commit_name
from enfold.ledger.ledger import Ledger
from enfold.ledger.pack import pack
from enfold.ledger.redact import redact
from faults import scene
from faults.calls import through
from faults.disk import Disk, Killed, Record
from tests_support import STUDY

NEXT = "the next command"


@dataclass
class Tally:
    """What was looked at."""

    records: int = 0
    images: int = 0
    in_flight: int = 0  # images in which something not acknowledged was there, whole
    healed: int = 0  # images in which something was left behind and the next writer removed it
    lies: int = 0  # torn commits found, on a disk that lies


@dataclass(frozen=True)
class Mark:
    """What must be found once it was acknowledged."""

    commits: int
    rows: tuple[Any, ...]
    redacted: frozenset[str]
    run: str | None = None


def lose_power(records: int, images: int, seed: int) -> Tally:
    """Record histories and look at crash images of them; return what was looked at."""
    tally = Tally()
    with scene.folder() as root:
        for n in range(records):
            rng = random.Random(f"{seed}/{n}")
            record = lived(root / "lived", rng if n else None)
            shutil.rmtree(root / "lived")
            tally.records += 1
            for m in range(n, images, records):
                _image(root / "image", record, random.Random(f"{seed}/{n}/{m}"), tally, f"seed {seed}/{n}/{m}")
    return tally


def lived(root: Path, rng: random.Random | None) -> Record:
    """Live through a history and return its record; with `rng` it is killed now and then, and goes on."""
    root.mkdir()
    study = root / "study"
    record = Record(root)
    run: list[str | None] = [None]
    with small_index(), scene.quick_runs(study) as make_run:

        def published() -> None:
            run[0] = make_run()["run"][:16]

        todo: list[Callable[[], object]] = [
            lambda: Ledger.create(study / "ledger"),
            lambda: scene.land_study(study),
            *(lambda b=b: scene.land(study / "ledger", {"visit": scene.staged("visit", scene.visits(b))}) for b in "ab"),
            lambda: scene.land(
                study / "ledger",
                {
                    "visit": scene.staged("visit", scene.correction("a.1", "a.1c")),
                    "disposition": scene.staged("disposition", [{"event_id": "x.1", "milestone": "completed"}]),
                },
            ),
            lambda: redact(study / "ledger", ["b.2"], author="a", reason="r"),
            published,
            lambda: pack(study / "ledger"),
            lambda: scene.land(study / "ledger", {"visit": scene.staged("visit", scene.visits("c"))}),
            lambda: redact(study / "ledger", ["a.1", "a.1c"], author="a", reason="r"),
            lambda: scene.land_study(study, STUDY.replace("test", "amended")),
            lambda: scene.land(study / "ledger", {"visit": scene.staged("visit", scene.visits("d"))}),
            lambda: pack(study / "ledger"),
        ]  # fmt: skip
        with through(record):
            for do in todo:
                if rng and rng.random() < 0.5:
                    record.kill_in(rng.randrange(100 if do is published else 24))
                try:
                    do()
                except Killed:
                    record.revive()
                    if rng and rng.random() < 0.5:  # the next command is the same one, or another one first
                        _other(study, len(record.steps))
                    do()
                record.revive()
                ledger = Ledger(study / "ledger")
                record.mark(Mark(ledger.position, tuple(scene.held(ledger)), frozenset(ledger.redactions), run[0]))
    return record


def _other(study: Path, n: int) -> None:
    storage.make_folder(study / "ledger" / "commits")
    scene.land(study / "ledger", {"visit": scene.staged("visit", scene.visits(f"k{n}"))})


@contextmanager
def small_index() -> Iterator[None]:
    """Let even a small ledger have an id index."""
    real = ids.INDEX_AFTER
    ids.INDEX_AFTER = 4
    try:
        yield
    finally:
        ids.INDEX_AFTER = real


@contextmanager
def restarted() -> Iterator[None]:
    """Let the system have started anew."""
    real = storage.finished
    storage.finished = lambda: b"finished after the restart\n"
    try:
        yield
    finally:
        storage.finished = real


def _image(target: Path, record: Record, rng: random.Random, tally: Tally, what: str) -> None:
    """Make one crash image, open it, go on with it."""
    disk = Disk()
    steps = record.steps[: rng.randrange(len(record.steps) + 1)]
    disk.replay(steps)
    disk.image(rng, target)
    path = target / "study" / "ledger"
    acknowledged: Mark | None = disk.marks[-1] if disk.marks else None
    try:
        if acknowledged is None and not (path / "commits").is_dir():
            storage.make_folder(path / "commits")  # not even the empty ledger was acknowledged
        _look(path, acknowledged, [s[1] for s in record.steps if s[0] == "mark"][len(disk.marks) :], tally, what)
        if acknowledged and acknowledged.run:
            _results(target / "study", acknowledged.run, rng, what)
        with restarted():
            tally.healed += bool(scene.left_behind(path))
            scene.land(path, {"visit": scene.staged("visit", scene.visits(NEXT.replace(" ", "-"), 1))})
            found = scene.state(path)
            assert scene.left_behind(path) == [], f"{what}: {scene.left_behind(path)}"
            gone = set(found["redacted"]) & scene.stored_ids(path)
            assert not gone, f"{what}: redacted, and still in a file: {gone}"
        if rng.random() < 0.2:
            _lie(path, rng)
            tally.lies += 1
        tally.images += 1
    finally:
        shutil.rmtree(target)


def _look(path: Path, acknowledged: Mark | None, later: list[Mark], tally: Tally, what: str) -> None:
    """What was acknowledged is there; of what came next, all or nothing of each commit."""
    found = scene.state(path)
    rows = set(found["rows"])
    commits = acknowledged.commits if acknowledged else 0
    assert len(found["commits"]) >= commits, f"{what}: a commit was lost"
    if acknowledged:
        lost = {r for r in acknowledged.rows if r not in rows and r[1] not in found["redacted"]}
        assert not lost, f"{what}: acknowledged rows were lost: {lost}"
        assert acknowledged.redacted <= set(found["redacted"]), f"{what}: a redaction was lost"
    new = [r for r in rows if int(r[2]) > commits]
    counts = {position: sum(kinds.values()) for position, _, kinds in found["commits"]}
    for position in {int(r[2]) for r in new}:
        hidden = sum(p == position for p in _positions(path, found["redacted"]))
        assert sum(int(r[2]) == position for r in new) + hidden == counts[position], f"{what}: part of a commit"
    known = {r for m in later for r in m.rows} | set(acknowledged.rows if acknowledged else ())
    strange = {r for r in rows if r not in known}
    assert all(r[1].startswith("k") for r in strange) or not later, f"{what}: rows that nobody landed: {strange}"
    tally.in_flight += len(found["commits"]) > commits


def _positions(path: Path, redacted: dict[str, int]) -> list[int]:
    ledger = Ledger(path)
    logged = [e for c in ledger.commits.of_kind("redaction") for e in c.details["record"]["events"]]
    return [e["position"] for e in logged if e["event_id"] in redacted]


def _results(study: Path, run: str, rng: random.Random, what: str) -> None:
    """A run that was acknowledged is whole: it can be served."""
    assert (study / "runs" / run / "manifest.json").exists(), f"{what}: the run was lost"
    if rng.random() < 0.1:
        from enfold.serve.build import build

        build(study, run)
        assert len(scene.served(study)["events"]) > 0, what


def _lie(path: Path, rng: random.Random) -> None:
    """A disk that says synced and is not: the newest commit is empty or torn."""
    file = path / "commits" / commit_name(Ledger(path).position)
    data = file.read_bytes()
    file.write_bytes(data[: rng.choice([0, len(data) // 2, rng.randrange(len(data))])])
    with pytest.raises(IntegrityError):
        Ledger(path)
    with pytest.raises(IntegrityError):
        scene.land(path, {"visit": scene.staged("visit", scene.visits("z", 1))})
