"""Processes killed at random moments of landing, correcting, packing, redacting, running and publishing.

What a process said was done is there; what it had begun is there as a whole or not at all; and the
next command heals: nothing of the killed one is left, and doing it again lands nothing twice.

Every other process dies at a random moment. Writing takes only a small part of its time, so each
second one dies in it: at a random call with which storage changes something, before or after it.
"""

import json
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import enfold
from enfold.errors import IntegrityError
from enfold.ledger.ledger import Ledger
from enfold.ledger.verify import verify
from enfold.run import manifest
from enfold.serve.build import build
from faults import children, processes, scene
from faults.counts import KILLS_A_STUDY

LONGEST = {"land": 0.5, "correct": 0.9, "pack": 0.3, "redact": 0.9, "run": 4.0, "publish": 1.0}


@dataclass
class Tally:
    """What was killed, and what it had done by then."""

    kills: int = 0
    during: Counter[str] = field(default_factory=Counter)
    acknowledged: Counter[str] = field(default_factory=Counter)
    whole: int = 0  # begun and not acknowledged, and there all the same, whole
    healed: int = 0  # something was left behind, and the next command removed it

    def add(self, other: "Tally") -> None:
        """Add what another one counted."""
        self.kills += other.kills
        self.during += other.during
        self.acknowledged += other.acknowledged
        self.whole += other.whole
        self.healed += other.healed


@dataclass
class Said:
    """What the processes of one study said, all of them together."""

    landed: list[list[str]] = field(default_factory=list)
    begun: list[list[str]] = field(default_factory=list)
    redacted: set[str] = field(default_factory=set)
    redacting: set[str] = field(default_factory=set)


def kill(kills: int, seed: int, parallel: int = 1) -> Tally:
    """Kill so many processes; return what came out."""
    tally = Tally()
    parts = [(n, min(KILLS_A_STUDY, kills - n)) for n in range(0, kills, KILLS_A_STUDY)]
    with ThreadPoolExecutor(parallel) as pool:
        for part in pool.map(lambda p: _one_study(p[0], p[1], seed), parts):
            tally.add(part)
    return tally


def _one_study(begin: int, kills: int, seed: int) -> Tally:
    tally, said = Tally(), Said()
    with scene.folder() as root:
        study = scene.small_study(root / "study")
        first = processes.start(children.publish, str(study))
        first.join()
        assert first.exitcode == 0
        for n in range(begin, begin + kills):
            rng = random.Random(f"{seed}/{n}")
            lines = _one_life(root / f"{n}.log", study, f"{seed}-{n}", children.WAYS[n % len(children.WAYS)], rng)
            what = f"seed {seed}/{n}, killed at {lines[-1] if lines else 'the start'}"
            _note(lines, said, tally)
            _look(study, said, tally, what)
            _heal(study, said, tally, f"{seed}-{n}-healing", what)
    return tally


def _one_life(log: Path, study: Path, seed: str, first: str, rng: random.Random) -> list[dict[str, Any]]:
    """Start a process, let it live for a while, kill it; return what it said."""
    fuse = rng.randrange(1, 110 if first == "run" else 24) if rng.random() < 0.5 else None
    process = processes.start(children.live, str(study), seed, str(log), first, fuse)
    until = time.monotonic() + 60
    while not (log.exists() and log.stat().st_size):
        assert process.is_alive() or log.exists(), f"{seed}: ended before it began, {process.exitcode}"
        assert time.monotonic() < until, f"{seed}: does not start"
        time.sleep(0.002)
    process.join(60 if fuse else rng.uniform(0, LONGEST[first]))
    ended = process.exitcode
    process.kill()
    process.join()
    assert ended == (-signal.SIGKILL if fuse else None), f"{seed}: ended by itself, {ended}: {log.read_text('utf-8')}"
    return list(_lines(log))


def _lines(log: Path) -> Iterator[dict[str, Any]]:
    for line in log.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):  # a line half-written was not said
            yield json.loads(line)


def _note(lines: list[dict[str, Any]], said: Said, tally: Tally) -> None:
    tally.kills += 1
    tally.during[lines[-1].get("way", "start") if lines[-1]["what"] == "try" else "between"] += 1
    for line in lines:
        if line["what"] == "done":
            tally.acknowledged[line["way"]] += 1
        match line["what"], line.get("way"):
            case "try", "land":
                said.begun.append(line["ids"])
            case "done", "land":
                said.landed.append(line["ids"])
            case "try", "redact":
                said.redacting |= set(line["ids"])
            case "done", "redact":
                said.redacted |= set(line["ids"])
            case _:
                pass


def _look(study: Path, said: Said, tally: Tally, what: str) -> None:
    """Before anything else is done: all that was acknowledged, and nothing in part."""
    path = study / "ledger"
    verify(path)
    ledger = Ledger(path)
    ids = Counter(r[1] for r in scene.held(ledger))
    gone = set(ledger.redactions)
    assert said.redacted <= gone, f"{what}: a redaction was lost"
    assert gone <= said.redacted | said.redacting | {"b.2"}, f"{what}: redacted, and nobody asked"
    assert not gone & set(ids), f"{what}: a redacted event is read"
    for batch in said.landed:
        for event in batch:
            assert ids[event] == (event not in gone), f"{what}: {event} is there {ids[event]} times"
    for batch in said.begun:
        there = sum(ids[e] + (e in gone) for e in batch)
        assert there in (0, len(batch)), f"{what}: {there} of {len(batch)} rows of one landing"
        tally.whole += there > 0 and batch not in said.landed
    assert enfold.open(study).table("subjects").num_rows > 0, f"{what}: nothing is served"


def _heal(study: Path, said: Said, tally: Tally, batch: str, what: str) -> None:
    """The next commands: the one that was killed once more, and another one."""
    path = study / "ledger"
    tally.healed += bool(scene.left_behind(path))
    if said.begun and not set(said.begun[-1]) & (said.redacting | said.redacted):
        again = said.begun[-1]
        rows = children.changed(again[0][:-1]) if len(again) == 1 else children.rows_of(again[0].rpartition(".")[0])
        children.put(study, rows)
        said.landed.append(again)
    rows = children.rows_of(batch)
    children.put(study, rows)
    said.landed.append([r["event_id"] for r in rows])
    _look(study, said, Tally(), f"{what}, healed")
    assert scene.left_behind(path) == [], f"{what}: {scene.left_behind(path)}"
    gone = set(Ledger(path).redactions) & scene.stored_ids(path)
    assert not gone, f"{what}: redacted, and still in a file: {gone}"
    pointer = study / "runs" / "current.json"
    if pointer.exists():
        name = manifest.pointed(pointer)["run"]
        try:
            build(study, name)
        except IntegrityError:  # this cut was being run again; what is served stands until it is run once more
            assert not (study / "runs" / name / "manifest.json").exists(), what
            return
        left = [p.name for p in (study / "serve").iterdir() if p.name.startswith(".") and p.name != ".lock"]
        assert left == [], f"{what}: {left} in serve/"
