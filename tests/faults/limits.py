"""Disks that are full or read-only, files that may not grow, folders that belong to somebody else.

Each time the ledger says so with the error meant for it, can still be read where reading is allowed,
holds what it held, and goes on when the trouble is over.
"""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from faults import children, processes, scene
from tests_support import STUDY

WRITES = ("land", "redact", "pack", "study")
FREE = (0, 4, 8, 12, 16, 24, 32)  # KiB left on the full disk
SIZE = 4096  # KiB of it


class NotPermittedError(Exception):
    """This machine does not let us make the trouble."""


@contextmanager
def own_disk() -> Iterator[Path]:
    """Yield the folder of a small disk in memory; only root may mount one."""
    with scene.folder() as root:
        (root / "disk").mkdir()
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SIZE}k", "enfold-faults", str(root / "disk")],
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        if made.returncode:
            msg = f"mounting a disk is not permitted: {made.stderr.strip()}"
            raise NotPermittedError(msg)
        try:
            yield root / "disk"
        finally:
            subprocess.run(["umount", str(root / "disk")], check=True)


def all_of_them() -> dict[str, Callable[[], dict[str, str]]]:
    """Return every kind of trouble by name."""
    return {
        **{f"full disk, {free} KiB left": partial(full, free) for free in FREE},
        "read-only disk": read_only,
        "no file may grow": may_not_grow,
        "somebody else's, to be read": partial(somebody_elses, 0o755 if os.geteuid() == 0 else 0o555),
        "somebody else's, not to be read": partial(somebody_elses, 0o700 if os.geteuid() == 0 else 0o000),
    }


def full(free: int) -> dict[str, str]:
    """Fill a disk up to so many KiB; return what each operation said."""
    with own_disk() as disk:
        study = _study(disk)
        _fill(disk, free)
        said = _try(study, "as it is", disk.parent)
        assert said["open"] == said["read"] == "ok", said
        assert all(said[w] == "ok" or said[w].startswith("74 ") for w in WRITES), said
        (disk / "filler").unlink()
        _goes_on(study, said)
        return said


def read_only() -> dict[str, str]:
    """Make a disk read-only; return what each operation said."""
    with own_disk() as disk:
        study = _study(disk)
        before = scene.state(study / "ledger")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        said = _try(study, "as it is", disk.parent)
        assert said["open"] == said["read"] == "ok", said
        assert all(said[w].startswith("5 ") for w in WRITES), said
        assert scene.state(study / "ledger") == before
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        _goes_on(study, said)
        return said


def may_not_grow() -> dict[str, str]:
    """Let no file grow beyond 2,000 octets; return what each operation said."""
    with scene.folder() as root:
        study = _study(root)
        said = _try(study, "limit", root)
        assert said["open"] == said["read"] == "ok", said
        assert all(said[w].startswith("74 ") for w in ("land", "redact", "pack")), said
        _goes_on(study, said)
        return said


def somebody_elses(mode: int) -> dict[str, str]:
    """Take permissions away; root has them all the same, so the process becomes another user."""
    with scene.folder() as root:
        study = _study(root)
        before = scene.state(study / "ledger")
        root.chmod(0o755)
        folders = [study, *(p for p in study.rglob("*") if p.is_dir())]
        for folder in folders:
            folder.chmod(mode)
        said = _try(study, "other user" if os.geteuid() == 0 else "as it is", root)
        for folder in folders:
            folder.chmod(0o755)
        if mode & 0o5 == 0o5:
            assert said["open"] == said["read"] == "ok", said
        else:
            assert said["open"].startswith("5 "), said
        assert all(said[w].startswith("5 ") for w in WRITES), said
        assert scene.state(study / "ledger") == before
        _goes_on(study, said)
        return said


def _study(root: Path) -> Path:
    study = scene.small_study(root / "study")
    scene.land(study / "ledger", {"visit": scene.staged("visit", scene.visits("f"))})  # so that packing has work
    return study


def _fill(disk: Path, free: int) -> None:
    with (disk / "filler").open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(4096))
            except OSError:
                break
        file.truncate(max(0, file.tell() // 4096 * 4096 - free * 1024))


def _try(study: Path, how: str, root: Path) -> dict[str, str]:
    log = root / "log"
    log.with_name("other.toml").write_text(STUDY.replace("test", "amended"), "utf-8")
    process = processes.start(children.limited, str(study), str(log), how)
    process.join(120)
    assert process.exitcode == 0, process.exitcode
    return dict(line.split(": ", 1) for line in log.read_text("utf-8").splitlines())


def _goes_on(study: Path, said: dict[str, str]) -> None:
    """The trouble is over: what was refused is done now, what was done stays, nothing is there twice."""
    path = study / "ledger"
    scene.state(path)
    again = children.put(study, children.rows_of("new"))
    assert again.landed == (0 if said["land"] == "ok" else 3), again
    children.redact(path, ["c.1"], author="a", reason="r")
    found = scene.state(path)
    ids = [r[1] for r in found["rows"]]
    assert len(ids) == len(set(ids))
    assert {"new.1", "new.2", "new.3"} <= set(ids)
    assert "c.1" in found["redacted"]
    assert "c.1" not in scene.stored_ids(path)
    assert scene.left_behind(path) == []
