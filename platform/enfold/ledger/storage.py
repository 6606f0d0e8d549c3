"""The little that the ledger asks of a store: whole files, created once, durable when we say so.

Local files first; an object store with conditional put fits the same four functions.
"""

import contextlib
import hashlib
import os
import secrets
from pathlib import Path

from enfold.errors import IntegrityError


def sha256(data: bytes) -> str:
    """Return the SHA-256 of `data` in hex."""
    return hashlib.sha256(data).hexdigest()


def create(path: Path, data: bytes) -> None:
    """Create `path` with `data`, whole or not at all, durably.

    Raises:
        FileExistsError: `path` exists already; it is left as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        with aside.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(aside, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            aside.unlink()
    sync_folder(path.parent)


def replace(path: Path, data: bytes) -> None:
    """Write `data` to `path` by atomic rename; for derived files that may be rebuilt."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        with aside.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            aside.unlink()
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def read_verified(path: Path, digest: str) -> bytes:
    """Return the bytes of `path` if their SHA-256 is `digest`.

    Raises:
        IntegrityError: the file is missing or its bytes differ.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        msg = f"{path.name}: the file is missing"
        raise IntegrityError(msg, remedy="Restore it from a backup of the ledger.") from None
    if sha256(data) != digest:
        msg = f"{path.name}: SHA-256 differs from the manifest's; the file was damaged or altered"
        raise IntegrityError(msg, remedy="Restore it from a backup of the ledger.")
    return data
