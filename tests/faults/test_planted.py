"""Would they notice? A fault planted in the platform is found by the part that is meant for it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enfold.ledger import commits, storage, writing
from faults import bitrot, powerloss, syscalls

SEED = 1


def _no_sync_of_folders(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    monkeypatch.setattr(storage, "sync_folder", lambda folder: None)
    return lambda: powerloss.lose_power(1, 40, SEED)


def _no_sync_after_a_kill(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    monkeypatch.setattr(storage, "sync_tree", lambda folder: None)
    return lambda: powerloss.lose_power(10, 200, 5)


def _nobody_heals(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    monkeypatch.setattr(writing, "heal", lambda ledger: None)
    return lambda: syscalls.fail_all(1, ("pack",), SEED, ("EIO",))


def _damage_is_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    monkeypatch.setattr(commits, "sha256", lambda data: "0" * 64)
    monkeypatch.setattr(storage, "read_verified", lambda path, digest, blocks=(): Path(path).read_bytes())
    return lambda: bitrot.rot(40, SEED)


def _interrupted_calls_are_given_up(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    monkeypatch.setattr(storage, "_again", lambda call, *args: call(*args))
    return lambda: syscalls.fail_all(5, ("land",), SEED, ("EINTR",))


@pytest.mark.parametrize(
    "plant",
    [
        _no_sync_of_folders,
        _no_sync_after_a_kill,
        _nobody_heals,
        _damage_is_not_looked_for,
        _interrupted_calls_are_given_up,
    ],
)
def test_a_planted_fault_is_found(
    plant: Callable[[pytest.MonkeyPatch], Callable[[], Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    look = plant(monkeypatch)
    with pytest.raises(Exception) as found:
        look()
    assert not isinstance(found.value, AttributeError | TypeError), found.value
