"""A simulated disk: it records what storage asks of the system, and what of it is durable.

Files hold their synced content and the writes since; folders hold their synced entries and the
changes since. A crash image keeps what is synced; of the rest any part may be there: each change of
a folder or not, in any order, each write whole, torn, with holes, or not at all.
"""

import os
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class Killed(BaseException):
    """The process was killed: no call comes through any more."""


@dataclass
class File:
    """Content of one file: durable, and the writes since, in order."""

    synced: bytes = b""
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)  # offset, data; None truncates


@dataclass
class Folder:
    """Entries of one folder: durable, and the changes since, in order; a file is a number, a folder 0."""

    synced: dict[str, int] = field(default_factory=dict)
    pending: list[tuple[tuple[str, int | None], ...]] = field(default_factory=list)


class Record:
    """Everything that was asked, as steps that can be replayed up to any point."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.steps: list[tuple[Any, ...]] = []
        self._fds: dict[int, tuple[str, int]] = {}  # descriptor -> path, file number (0: a folder)
        self._inodes: dict[int, int] = {}  # the system's number -> ours, of files that are there
        self._at: dict[int, int] = {}
        self._lock = threading.RLock()
        self._dead = False
        self._kill_in: int | None = None
        self._count = 0

    def kill_in(self, calls: int) -> None:
        """Let no call through after so many that change something."""
        self._kill_in = calls

    def revive(self) -> None:
        """Start the next process."""
        self._dead, self._kill_in = False, None

    def mark(self, what: object) -> None:
        """Note that all so far was acknowledged, with what must be found from now on."""
        self.steps.append(("mark", what))

    def __call__(self, name: str, real: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Answer one call and note what it does."""
        with self._lock:
            if self._kill_in is not None and name not in {"open", "read", "listdir"}:
                self._kill_in -= 1
                self._dead = self._dead or self._kill_in < 0
            if self._dead:
                raise Killed
            return getattr(self, f"_{name}", lambda real, *args: real(*args))(real, *args)

    def _place(self, path: object) -> tuple[str, str]:
        inside = Path(str(path)).relative_to(self.root)
        return inside.parent.as_posix(), inside.name

    def _number(self, path: object) -> int:
        return self._inodes[Path(str(path)).stat().st_ino]

    def _open(self, real: Callable[..., int], path: object, flags: int, *mode: int) -> int:
        new = bool(flags & os.O_CREAT) and not Path(str(path)).exists()
        fd = real(path, flags, *mode)
        if new:
            self._count += 1
            self._inodes[os.fstat(fd).st_ino] = self._count
            self.steps.append(("entry", self._place(path)[0], ((self._place(path)[1], self._count),)))
        inside = Path(str(path)).is_relative_to(self.root)
        if inside:
            number = 0 if Path(str(path)).is_dir() else self._number(path)
            self._fds[fd] = (Path(str(path)).relative_to(self.root).as_posix(), number)
            self._at[fd] = 0
        else:
            self._fds.pop(fd, None)
        return fd

    def _write(self, real: Callable[..., int], fd: int, data: Any) -> int:
        done = real(fd, data)
        self.steps.append(("write", self._fds[fd][1], self._at[fd], bytes(data)[:done]))
        self._at[fd] += done
        return done

    def _pwrite(self, real: Callable[..., int], fd: int, data: Any, offset: int) -> int:
        done = real(fd, data, offset)
        self.steps.append(("write", self._fds[fd][1], offset, bytes(data)[:done]))
        return done

    def _ftruncate(self, real: Callable[..., None], fd: int, size: int) -> None:
        real(fd, size)
        self.steps.append(("write", self._fds[fd][1], size, None))

    def _fsync(self, real: Callable[..., None], fd: int) -> None:
        real(fd)
        if fd in self._fds:
            path, number = self._fds[fd]
            self.steps.append(("sync", number) if number else ("sync folder", path))

    def _link(self, real: Callable[..., None], old: object, new: object) -> None:
        real(old, new)
        folder, name = self._place(new)
        self.steps.append(("entry", folder, ((name, self._number(new)),)))

    def _rename(self, real: Callable[..., None], old: object, new: object) -> None:
        number = self._number(old)
        real(old, new)
        (folder, was), (_, name) = self._place(old), self._place(new)
        self.steps.append(("entry", folder, ((name, number), (was, None))))

    def _unlink(self, real: Callable[..., None], path: object) -> None:
        found = Path(str(path)).stat()
        real(path)
        if found.st_nlink == 1:  # the system may give its number to another file
            self._inodes.pop(found.st_ino, None)
        folder, name = self._place(path)
        self.steps.append(("entry", folder, ((name, None),)))

    def _mkdir(self, real: Callable[..., None], path: object) -> None:
        real(path)
        folder, name = self._place(path)
        self.steps.append(("entry", folder, ((name, 0),)))


class Disk:
    """What the disk holds after some of the steps."""

    def __init__(self) -> None:
        self.files: dict[int, File] = {}
        self.folders: dict[str, Folder] = {}
        self.marks: list[Any] = []

    def replay(self, steps: list[tuple[Any, ...]]) -> None:
        """Apply steps."""
        for what, *args in steps:
            if what == "mark":
                self.marks.append(args[0])
            elif what == "entry":
                self.folders.setdefault(args[0], Folder()).pending.append(args[1])
            elif what == "write":
                self.files.setdefault(args[0], File()).pending.append((args[1], args[2]))
            elif what == "sync":
                file = self.files.setdefault(args[0], File())
                file.synced, file.pending = _written(file.synced, file.pending), []
            else:
                folder = self.folders.setdefault(args[0], Folder())
                for change in folder.pending:
                    _change(folder.synced, change)
                folder.pending = []

    def image(self, rng: random.Random, target: Path) -> None:
        """Write one crash image."""
        share = rng.choice([0.0, 0.2, 0.5, 0.8, 1.0])  # of what was not synced, this much survives
        self._folder(rng, share, ".", target)

    def _folder(self, rng: random.Random, share: float, path: str, target: Path) -> None:
        folder = self.folders.get(path, Folder())
        entries = dict(folder.synced)
        left = [c for c in folder.pending if rng.random() < share]
        if rng.random() < 0.3:
            rng.shuffle(left)
        for change in left:
            # a rename is one change for all that the standards say; some disks keep both names
            _change(entries, change[:1] if len(change) > 1 and rng.random() < 0.2 else change)
        target.mkdir(exist_ok=True)
        for name, number in sorted(entries.items()):
            if number:
                (target / name).write_bytes(self._content(rng, share, self.files.get(number, File())))
            else:
                self._folder(rng, share, name if path == "." else f"{path}/{name}", target / name)

    def _content(self, rng: random.Random, share: float, file: File) -> bytes:
        pending = [w for w in file.pending if rng.random() < share]
        if pending and rng.random() < 0.5:
            offset, data = pending[-1]
            if data:
                kept = rng.randrange(len(data))
                # torn: an end is missing; or holes: the length is there and some of the blocks are not
                torn = data[:kept] if rng.random() < 0.5 else data[:kept] + bytes(len(data) - kept)
                pending[-1] = (offset, torn)
        return _written(file.synced, pending)


def _written(content: bytes, writes: list[tuple[int, bytes | None]]) -> bytes:
    out = bytearray(content)
    for offset, data in writes:
        if data is None:
            del out[offset:]
            out.extend(bytes(offset - len(out)))
        else:
            out.extend(bytes(max(0, offset - len(out))))
            out[offset : offset + len(data)] = data
    return bytes(out)


def _change(entries: dict[str, int], change: tuple[tuple[str, int | None], ...]) -> None:
    for name, number in change:
        if number is None:
            entries.pop(name, None)
        else:
            entries[name] = number
