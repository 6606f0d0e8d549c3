"""Bit rot: flipped bits and truncation in every kind of file. Found, or harmless; never a wrong answer.

Of the ledger, `verify` must find all damage to what is in force. The id index is disposable: damage
to it is found or left aside. Results are made of a run's files and served from one more: damage is
found by the build or by the reading that meets it.
"""

import random
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from enfold.errors import IntegrityError
from enfold.ledger.ledger import Ledger
from enfold.ledger.verify import verify
from enfold.serve.build import build
from faults import scene
from faults.powerloss import small_index

KINDS = {
    "commit": "ledger/commits/*.json",
    "generation": "ledger/manifest/*.json",
    "segment": "ledger/segments/*/*.parquet",
    "schema bundle": "ledger/schemas/*.json",
    "index": "ledger/index/*.ids",
    "run table": "runs/*/*/*.parquet",
    "run summary": "runs/*/shards/*.json",
    "run manifest": "runs/*/manifest.json",
    "serving file": "serve/*.duckdb",
    "pointer": "serve/current.json",
}


@dataclass
class Tally:
    """What came out, by kind of file."""

    found: Counter[str] = field(default_factory=Counter)
    harmless: Counter[str] = field(default_factory=Counter)

    @property
    def mutants(self) -> int:
        """All of them."""
        return self.found.total() + self.harmless.total()


def rot(mutants: int, seed: int) -> Tally:
    """Damage one file at a time and look."""
    tally = Tally()
    with scene.folder() as root, small_index():
        study = scene.small_study(root / "study")
        scene.land(study / "ledger", {"visit": scene.staged("visit", scene.visits("e", 9))})
        with scene.quick_runs(study) as run:
            name = run()["run"][:16]
        build(study, name)
        look = _looks(study, name)
        files = {kind: sorted(study.glob(where)) for kind, where in KINDS.items()}
        for n in range(mutants):
            rng = random.Random(f"{seed}/{n}")
            kind = list(KINDS)[n % len(KINDS)]
            path = rng.choice(files[kind])
            data = path.read_bytes()
            path.write_bytes(damaged(data, rng))
            what = f"seed {seed}/{n}: {path.relative_to(study)}"
            try:
                found = look[kind](what)
            finally:
                path.write_bytes(data)
            (tally.found if found else tally.harmless)[kind] += 1
        verify(study / "ledger")
    return tally


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Return `data` cut short, or with one to four bits flipped."""
    if rng.random() < 0.2:
        return data[: rng.randrange(len(data))]
    out = bytearray(data)
    bits = rng.sample(range(8 * len(data)), rng.randint(1, 4))
    if rng.random() < 0.3:  # ends are where the footers are
        bits = [8 * len(data) - 1 - b % 512 for b in bits]
    for bit in set(bits):
        out[bit // 8] ^= 1 << bit % 8
    return bytes(out)


def _looks(study: Path, run: str) -> dict[str, Callable[[str], bool]]:
    """Return by kind the function that looks at the damaged study: whether it was found; wrong answers raise."""
    path = study / "ledger"
    ledger = Ledger(path)
    rows, served = scene.held(ledger), scene.served(study)
    known = _known(ledger)
    newest = max(path.glob("manifest/*.json")).name
    whole = scene.state(path)

    def of_the_ledger(what: str) -> bool:
        if _refuses(lambda: verify(path)):
            try:
                found = scene.held(Ledger(path))
            except IntegrityError:
                return True
            assert found == rows, f"{what}: verify finds it, and yet reading answers wrongly"
            return True
        if "ledger/manifest/" in what and newest not in what:  # no longer in force
            assert scene.state(path) == whole, what
            return False
        raise AssertionError(f"{what}: verify does not find it")

    def of_the_index(what: str) -> bool:
        verify(path)
        opened = Ledger(path)
        found = _refuses(lambda: opened.index.known(range(1024)))
        if not found:
            assert _known(opened) == known, f"{what}: other ids are known"
        return found

    def of_the_run(what: str) -> bool:
        shutil.copytree(study / "serve", study / "kept")
        try:
            if _refuses(lambda: build(study, run, anew=True)):
                return True
            assert scene.served(study) == served, f"{what}: another result is served"
        finally:
            shutil.rmtree(study / "serve")
            (study / "kept").rename(study / "serve")
        return False

    def of_what_is_served(what: str) -> bool:
        try:
            found = scene.served(study)
        except (IntegrityError, duckdb.Error):
            return True
        assert found == served, f"{what}: another result is served"
        return False

    return {
        **dict.fromkeys(("commit", "generation", "segment", "schema bundle"), of_the_ledger),
        "index": of_the_index,
        **dict.fromkeys(("run table", "run summary", "run manifest"), of_the_run),
        **dict.fromkeys(("serving file", "pointer"), of_what_is_served),
    }


def _known(ledger: Ledger) -> set[tuple[Any, ...]]:
    return {tuple(r.values()) for r in ledger.index.known(range(1024)).to_pylist()}


def _refuses(do: Callable[[], object]) -> bool:
    """Whether it says that something is damaged; any other error is one of ours."""
    try:
        do()
    except IntegrityError:
        return True
    return False
