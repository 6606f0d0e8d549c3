"""The little that the ledger asks of a store: whole files, created once, durable when we say so.

Local files first; an object store with conditional put fits the same few functions. Every system
call that may fail stands here, so that faults can be injected in one place. A call that fails
leaves at worst a file whose name starts with a dot: nothing reads those, and the next writer
removes them.
"""

import contextlib
import errno
import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

from enfold.errors import BusyError, DeniedError, IntegrityError, StorageError

T = TypeVar("T")
WAIT = 120.0  # seconds that a writer waits for another one
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_NO_LINKS = {errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS}


def sha256(data: bytes) -> str:
    """Return the SHA-256 of `data` in hex."""
    return hashlib.sha256(data).hexdigest()


def create(path: Path, data: bytes) -> None:
    """Create `path` with `data`, whole or not at all, durably.

    Raises:
        FileExistsError: `path` exists already; it is left as it was.
        StorageError, DeniedError: the system refused; `path` was not acknowledged.
    """
    _place(path, data, os.link)


def replace(path: Path, data: bytes) -> None:
    """Write `data` to `path` by atomic rename; for derived files that may be rebuilt."""
    _place(path, data, os.rename)


def share(source: Path, target: Path) -> None:
    """Give a file that is never written to a second name, or copy it where the system has no links; not yet durable.

    Raises:
        FileNotFoundError: `source` is not there.
        StorageError, DeniedError: the system refused.
    """
    with _said(target):
        make_folder(target.parent)
        with contextlib.suppress(FileNotFoundError):
            _again(os.unlink, target)
        _link(source, target)


def share_all(source: Path, target: Path, names: Iterable[str]) -> None:
    """Share files of one folder with another, as `share` does; thousands of them."""
    with _said(target):
        make_folder(target)
        there = set(_again(os.listdir, target))
        for name in names:
            if name in there:
                _again(os.unlink, f"{target}/{name}")
            _link(f"{source}/{name}", f"{target}/{name}")


def _link(source: Path | str, target: Path | str) -> None:
    try:
        _again(os.link, source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        replace(Path(target), read(Path(source)))


def read(path: Path) -> bytes:
    """Return the bytes of `path`.

    Raises:
        FileNotFoundError: there is none.
        StorageError, DeniedError: the system refused.
    """
    with _said(path):
        fd = _again(os.open, path, os.O_RDONLY)
        try:
            parts = []
            while part := _again(os.read, fd, 1 << 24):
                parts.append(part)
            return b"".join(parts)
        finally:
            os.close(fd)


def read_verified(path: Path, digest: str, blocks: tuple[str, ...] = ()) -> bytes:
    """Return the bytes of `path` if their SHA-256 is `digest`.

    Args:
        path: the file.
        digest: SHA-256 of the whole.
        blocks: of each 64 KiB the first 16 hex digits of its SHA-256; they tell where damage is.

    Raises:
        IntegrityError: the file is missing or its bytes differ; says between which octets.
    """
    try:
        data = read(path)
    except FileNotFoundError:
        raise _missing(path) from None
    if sha256(data) != digest:
        raise _damaged(path, _where(data, blocks))
    return data


BLOCK = 1 << 16


def read_blocks(path: Path, blocks: tuple[str, ...], first: int, last: int) -> bytes:
    """Return the octets of the blocks `first` to `last` of a file, each block verified; nothing else is read.

    Args:
        path: the file.
        blocks: digests of all its blocks.
        first: number of the first block wanted.
        last: number of the last; the file's last block also shows whether the file ends where it should.

    Raises:
        IntegrityError: the file is missing, or a block differs; says between which octets.
    """
    with _said(path):
        try:
            fd = _again(os.open, path, os.O_RDONLY)
        except FileNotFoundError:
            raise _missing(path) from None
        try:
            begin, parts = first * BLOCK, []
            end = (last + 1) * BLOCK + (last + 1 == len(blocks))  # one octet more than there should be
            while begin < end and (part := _again(os.pread, fd, end - begin, begin)):
                parts.append(part)
                begin += len(part)
        finally:
            os.close(fd)
    data = b"".join(parts)
    if block_digests(data) != blocks[first : last + 1]:
        where = _where(data, blocks[first : last + 1], first * BLOCK)
        raise _damaged(path, where)
    return data


def block_digests(data: bytes) -> tuple[str, ...]:
    """Return the first 16 hex digits of the SHA-256 of each 64 KiB of `data`."""
    return tuple(sha256(data[i : i + BLOCK])[:16] for i in range(0, len(data), BLOCK))


def remove(path: Path) -> None:
    """Remove `path` if it is there, durably."""
    with _said(path):
        with contextlib.suppress(FileNotFoundError):
            _again(os.unlink, path)
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable."""
    with _said(folder):
        fd = _again(os.open, folder, os.O_RDONLY)
        try:
            _again(os.fsync, fd)
        finally:
            os.close(fd)


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[bool]:
    """Hold the writers' lock of `folder`; yields whether the writer before may not have finished.

    The system frees the lock when its holder ends, however it ends. The lock spares writers lost
    races; that of two writers one wins is the doing of `create`, with or without it. A writer that
    finished says so in the lock file, with the start of the system: after a power loss, which may
    undo what was not yet durable, nobody has finished.

    Raises:
        BusyError: another writer held it for two minutes.
    """
    import fcntl

    with _said(folder):
        make_folder(folder)
        fd = _again(os.open, folder / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        until = time.monotonic() + WAIT
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    msg = f"{folder.parent.name}: another process has been writing for {WAIT:.0f} s"
                    raise BusyError(msg, remedy="Nothing was written; run the command again.") from None
                time.sleep(0.002 + secrets.randbelow(8) / 1000)
        with _said(folder):
            unfinished = _again(os.read, fd, 64) != finished()
            _again(os.ftruncate, fd, 0)
        yield unfinished
        with contextlib.suppress(OSError):  # all was written; the next writer looks once more, that is all
            _again(os.pwrite, fd, finished(), 0)
    finally:
        os.close(fd)


def finished() -> bytes:
    """Return what the lock file holds after a writer that finished since the system started."""
    with contextlib.suppress(OSError):
        return b"finished " + Path("/proc/sys/kernel/random/boot_id").read_bytes()
    return b"finished\n"


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder.

    Raises:
        StorageError, DeniedError: the system does not let us look.
    """
    with _said(path):
        return path.is_dir()


def listing(folder: Path, suffix: str) -> list[str]:
    """Return the names in `folder` that end in `suffix`, sorted; a folder that is not there is empty."""
    with _said(folder):
        try:
            return sorted(n for n in _again(os.listdir, folder) if n.endswith(suffix))
        except FileNotFoundError:
            return []


def sweep(folder: Path, keep: Callable[[Path], bool]) -> int:
    """Remove what an interrupted writer left under `folder`: files aside, and those not to `keep`."""
    gone = 0
    for inner, _, names in os.walk(folder):
        for path in (Path(inner, n) for n in sorted(names) if n != ".lock"):
            if path.name.endswith(".tmp") or not keep(path):
                with _said(path):
                    _again(os.unlink, path)
                gone += 1
    return gone


def sync_tree(folder: Path) -> None:
    """Make every entry under `folder` durable: who finds a file there may rely on it from then on."""
    for inner, _, _ in os.walk(folder):
        sync_folder(Path(inner))


def make_folder(folder: Path) -> None:
    """Create `folder` and its parents, each entry durable."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with contextlib.suppress(FileExistsError):
        _again(os.mkdir, folder)
    sync_folder(folder.parent)


def _place(path: Path, data: bytes, publish: Callable[[Path, Path], None]) -> None:
    with _aside(path, publish) as fd:
        rest = memoryview(data)
        while rest:  # the system may take less than it was given
            rest = rest[_again(os.write, fd, rest) :]


@contextlib.contextmanager
def creating(path: Path) -> Iterator[BinaryIO]:
    """Create `path` with what is written to the file given, piece by piece; otherwise as `create`."""
    with _aside(path, os.link) as fd, os.fdopen(os.dup(fd), "wb") as file:
        yield file


@contextlib.contextmanager
def _aside(path: Path, publish: Callable[[Path, Path], None]) -> Iterator[int]:
    """Give an open file to be written aside; afterwards it is synced and put in its place."""
    with _said(path):
        make_folder(path.parent)
        aside = path.parent / f".{secrets.token_hex(8)}.tmp"
        try:
            fd = _again(os.open, aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            try:
                yield fd
                _again(os.fsync, fd)
            finally:
                os.close(fd)
            _again(publish, aside, path)
        finally:
            with contextlib.suppress(FileNotFoundError):  # one that stays is an error: the next writer sweeps it
                _again(os.unlink, aside)
        sync_folder(path.parent)


def _again(call: Callable[..., T], *args: object) -> T:
    """Call the system; an interrupted call is made again."""
    while True:
        try:
            return call(*args)
        except InterruptedError:
            continue


@contextlib.contextmanager
def _said(path: Path) -> Iterator[None]:
    """Turn what the system says into an error that names the file and what it means."""
    try:
        yield
    except (FileExistsError, FileNotFoundError):
        raise
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        msg = f"{path.name}: {reason}"
        if error.errno in _REFUSED:
            raise DeniedError(msg, remedy="Nothing was half-written; mend the permissions.") from None
        remedy = "Nothing was half-written. Mend the disk, then run the command again: what landed is known by its ids."
        raise StorageError(msg, remedy=remedy) from None


def _missing(path: Path) -> IntegrityError:
    return IntegrityError(f"{path.name}: the file is missing", remedy="Restore it from a backup of the ledger.")


def _damaged(path: Path, where: str) -> IntegrityError:
    msg = f"{path.name}: its SHA-256 is not the one recorded; damaged or altered {where}"
    return IntegrityError(msg, remedy="Restore it from a backup of the ledger.")


def _where(data: bytes, blocks: tuple[str, ...], offset: int = 0) -> str:
    found = block_digests(data)
    for n, (was, now) in enumerate(zip(blocks, found, strict=False)):
        if was != now:
            return f"between octets {offset + n * BLOCK} and {offset + min((n + 1) * BLOCK, len(data))}"
    return f"at or before octet {offset + len(data)}"
