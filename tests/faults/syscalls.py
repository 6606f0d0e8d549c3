"""Failing system calls: of each operation the k-th call fails, for every k, in each way a call can fail.

Afterwards the ledger opens and verifies; it holds what it held before, or the whole of what was
asked; and doing it again succeeds, lands nothing twice and leaves nothing behind.
"""

import errno
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from enfold.errors import DeniedError, StorageError
from enfold.ledger.pack import pack
from enfold.ledger.redact import redact
from enfold.run import run
from enfold.serve.build import build
from faults import scene
from faults.calls import NAMES, through
from tests_support import STUDY

FAULTS = {
    "EIO": (errno.EIO, NAMES),
    "ENOSPC": (errno.ENOSPC, ("open", "write", "fsync", "link", "rename", "mkdir")),
    "EACCES": (errno.EACCES, ("open", "link", "rename", "unlink", "mkdir")),
    "EINTR": (errno.EINTR, NAMES),
    "short write": (0, ("write",)),
}
HARMLESS = {"EINTR", "short write"}  # the operation succeeds all the same


@dataclass
class Failing:
    """Lets the k-th call among some names fail, once."""

    fault: str
    k: int
    seen: int = 0
    fired: bool = False

    def __call__(self, name: str, real: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Answer one call."""
        number, names = FAULTS[self.fault]
        if name not in names:
            return real(*args)
        self.seen += 1
        if self.seen != self.k:
            return real(*args)
        self.fired = True
        if self.fault == "short write":
            fd, data = args
            return real(fd, bytes(data)[: max(1, len(data) // 2)])
        raise OSError(number, "injected")


@dataclass
class Tally:
    """What came out."""

    faults: int = 0
    refused: int = 0
    whole: int = 0  # refused, though all of it was there: only the last sync failed
    by_operation: dict[str, int] = field(default_factory=dict)


@contextmanager
def operations(base: Path) -> Iterator[dict[str, Callable[[Path], object]]]:
    """Yield the operations by name; each takes the study's folder."""
    later = scene.staged("visit", scene.visits("d"))
    changed = scene.staged("visit", scene.correction("c.2", "c.2c"))
    with scene.quick_runs(base):
        yield {
            "land": lambda study: scene.land(study / "ledger", {"visit": later}),
            "correct": lambda study: scene.land(study / "ledger", {"visit": changed}),
            "land a study file": lambda study: scene.land_study(study, STUDY.replace("test", "amended")),
            "pack": lambda study: pack(study / "ledger"),
            "redact": lambda study: redact(study / "ledger", ["c.1"], author="a", reason="r"),
            "run": lambda study: run.run(study),
            "publish": lambda study: build(study, scene.current_run(study)),
        }


def fail_all(step: int, only: tuple[str, ...] = (), start: int = 0, faults: tuple[str, ...] = tuple(FAULTS)) -> Tally:
    """Fail every `step`-th call of every operation in every way; return what came out.

    A run makes many calls that are all alike, one file a table: of those a part takes every fourth again.
    """
    tally = Tally()
    with scene.folder() as root:
        base = scene.small_study(root / "base")
        before = scene.state(base / "ledger")
        with operations(base) as todo:
            build(base, run.run(base)["run"][:16])
            for name, operation in todo.items():
                if only and name not in only:
                    continue
                whole = Path(shutil.copytree(base, root / "whole"))
                operation(whole)
                expected = before, scene.state(whole / "ledger"), _results(whole, name)
                shutil.rmtree(whole)
                for n, fault in enumerate(faults):
                    stride = 1 if fault == "short write" else step * (4 if name == "run" and step > 1 else 1)
                    k = 1 + (start + n) % stride
                    while _one(root, base, operation, Failing(fault, k), expected, tally, name):
                        k += stride
    return tally


def _one(
    root: Path,
    base: Path,
    operation: Callable[[Path], object],
    failing: Failing,
    expected: tuple[dict[str, Any], dict[str, Any], Any],
    tally: Tally,
    name: str,
) -> bool:
    """Do the operation with one call failing, look, and do it again; return whether it came to that call."""
    before, after, results = expected
    what = f"{name}: {failing.fault} at call {failing.k}"
    study = Path(shutil.copytree(base, root / "study"))
    try:
        refused = False
        try:
            with through(failing):
                operation(study)
        except (StorageError, DeniedError):
            refused = True
        if not failing.fired:
            assert not refused, what
            return False
        assert not (refused and failing.fault in HARMLESS), f"{what}: refused"
        found = scene.state(study / "ledger")
        _results(study, name, what)
        assert found in ((before, after) if refused else (after,)), f"{what}: neither before nor whole"
        operation(study)
        assert scene.state(study / "ledger") == after, f"{what}: doing it again does not give the whole"
        assert _results(study, name) == results, f"{what}: another result"
        assert scene.left_behind(study / "ledger") == [], what
        left = [p.name for p in (study / "serve").iterdir() if p.name.startswith(".") and p.name != ".lock"]
        assert name != "publish" or left == [], what
        tally.faults += 1
        tally.refused += refused
        tally.whole += refused and found == after != before
        tally.by_operation[name] = tally.by_operation.get(name, 0) + 1
    finally:
        shutil.rmtree(study)
    return True


def _results(study: Path, name: str, what: str = "") -> Any:
    """Return what a run wrote and what is served; whatever failed, something whole is served all the while."""
    if name not in {"run", "publish"}:
        return None
    served = scene.served(study)
    assert served["subjects"], what
    files = (study / "runs").rglob("*.parquet")
    return served, {p.relative_to(study / "runs").as_posix().partition("/")[2]: p.read_bytes() for p in files}
