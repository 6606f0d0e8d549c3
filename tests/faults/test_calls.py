"""Failing system calls: the stated share of what `make torture` does in full."""

import pytest

from faults import counts, syscalls

OPERATIONS = ("land", "correct", "land a study file", "pack", "redact", "run", "publish")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_failing_system_calls(operation: str) -> None:
    """Every 10th call of each operation fails, in each of five ways (of a run every 40th); in the torture every call."""
    tally = syscalls.fail_all(counts.CALL_STEP.share, (operation,), 1)
    assert counts.CALL_STEP.share == 10
    assert tally.faults >= 5
    assert 0 < tally.refused < tally.faults
