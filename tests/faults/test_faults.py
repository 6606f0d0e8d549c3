"""The stated share of the faults that `make torture` does in full (counts.py; torture.py)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enfold.ledger import commits, storage
from enfold.ledger.ledger import Ledger
from faults import bitrot, counts, kills, limits, machine, powerloss, syscalls, writers

SEED = 1
OPERATIONS = ("land", "correct", "land a study file", "pack", "redact", "run")


def test_processes_killed_at_random_moments() -> None:
    """16 of the 1,000 kills of the torture: landing, correcting, packing, redacting, running, publishing."""
    tally = kills.kill(counts.KILLS.share, SEED)
    assert tally.kills == 16 == counts.KILLS.share


@pytest.mark.parametrize("operation", OPERATIONS)
def test_failing_system_calls(operation: str) -> None:
    """Every 6th call of each operation fails, in each of five ways (of a run every 24th); in the torture every call."""
    tally = syscalls.fail_all(counts.CALL_STEP.share, (operation,), SEED)
    assert counts.CALL_STEP.share == 6
    assert tally.faults >= 10
    assert 0 < tally.refused < tally.faults


def test_power_loss() -> None:
    """60 of the 2,000 crash images, of 3 of the 40 recorded histories."""
    tally = powerloss.lose_power(counts.POWER_RECORDS.share, counts.POWER_IMAGES.share, SEED)
    assert (tally.images, tally.records) == (60, 3)
    assert min(tally.in_flight, tally.healed, tally.lies) > 0


@pytest.mark.parametrize("trouble", limits.all_of_them())
def test_disks_that_refuse(trouble: str) -> None:
    """All of the torture's: full and read-only disks, files that may not grow, folders of somebody else."""
    try:
        limits.all_of_them()[trouble]()
    except limits.NotPermittedError as error:
        pytest.skip(str(error))


def test_bit_rot() -> None:
    """120 of the 5,000 mutants, over ten kinds of file."""
    tally = bitrot.rot(counts.MUTANTS.share, SEED)
    assert tally.mutants == 120
    assert set(tally.found) == set(bitrot.KINDS)
    assert set(tally.harmless) <= {"index", "generation", "serving file"}


@pytest.mark.parametrize("processes", counts.WRITERS[False])
def test_concurrent_writers(processes: int) -> None:
    """2 and 4 processes × 15 commits; in the torture 2, 8 and 32 × 500."""
    tally = writers.write(processes, counts.WRITER_COMMITS.share, counts.READERS)
    assert tally.commits == 15 * processes
    assert tally.looks > 0


def test_a_model_of_the_ledger() -> None:
    """4 of the 60 histories, of 15 steps each instead of 40."""
    assert machine.live(counts.MACHINE_RUNS.share, counts.MACHINE_STEPS.share) > 15


# would they notice? faults planted in the platform must be found by the part meant for it


def _no_sync_of_folders(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    monkeypatch.setattr(storage, "sync_folder", lambda folder: None)
    return lambda: powerloss.lose_power(1, 40, SEED)


def _no_sync_after_a_kill(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    monkeypatch.setattr(storage, "sync_tree", lambda folder: None)
    return lambda: powerloss.lose_power(12, 240, SEED)


def _nobody_heals(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    monkeypatch.setattr(Ledger, "heal", lambda self: None)
    return lambda: syscalls.fail_all(1, ("pack",), SEED)


def _damage_is_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    monkeypatch.setattr(commits, "sha256", lambda data: "0" * 64)
    monkeypatch.setattr(storage, "read_verified", lambda path, digest, blocks=(): Path(path).read_bytes())
    return lambda: bitrot.rot(40, SEED)


def _first_writer_wins_nothing(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    monkeypatch.setattr(storage, "create", storage.replace)
    monkeypatch.setattr(storage, "_again", _half_done(storage._again))
    return lambda: syscalls.fail_all(6, ("land",), SEED)


def _half_done(real: Callable[..., Any]) -> Callable[..., Any]:
    def once(call: Callable[..., Any], *args: object) -> Any:
        return call(*args)  # an interrupted call is not made again

    return once


@pytest.mark.parametrize(
    "plant", [_no_sync_of_folders, _nobody_heals, _damage_is_not_looked_for, _first_writer_wins_nothing]
)
def test_a_planted_fault_is_found(
    plant: Callable[[pytest.MonkeyPatch], Callable[[], Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    look = plant(monkeypatch)
    with pytest.raises(Exception) as found:  # noqa: PT011 - an assertion, or an error where there must be none
        look()
    assert not isinstance(found.value, AttributeError | TypeError), found.value
