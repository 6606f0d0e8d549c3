"""Stands between enfold.ledger.storage and the system: every call can be seen, refused or cut short."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from enfold.ledger import storage

NAMES = (
    "open",
    "read",
    "pread",
    "write",
    "pwrite",
    "fsync",
    "link",
    "rename",
    "unlink",
    "mkdir",
    "ftruncate",
    "listdir",
)


class Calls:
    """The module `os` as storage sees it; `asked(name, real, args)` answers the calls of NAMES."""

    def __init__(self, asked: Callable[[str, Callable[..., Any], tuple[Any, ...]], Any]) -> None:
        self._asked = asked

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in NAMES:
            return real
        return lambda *args: self._asked(name, real, args)


@contextmanager
def through(asked: Callable[[str, Callable[..., Any], tuple[Any, ...]], Any]) -> Iterator[None]:
    """Let all calls of storage go through `asked`."""
    storage.os = Calls(asked)  # type: ignore[assignment]
    try:
        yield
    finally:
        storage.os = os
