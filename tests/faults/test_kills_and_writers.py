"""Killed processes and concurrent ones: the stated share of what `make torture` does in full."""

import pytest

from faults import counts, kills, writers


def test_processes_killed_at_random_moments() -> None:
    """12 of the 1,000 kills of the torture: landing, correcting, packing, redacting, running, publishing."""
    tally = kills.kill(counts.KILLS.share, 1)
    assert tally.kills == 12 == counts.KILLS.share


@pytest.mark.parametrize("processes", counts.WRITERS[False])
def test_concurrent_writers(processes: int) -> None:
    """2 and 4 processes of 15 commits each; in the torture 2, 8 and 32 of 500 each."""
    tally = writers.write(processes, counts.WRITER_COMMITS.share, counts.READERS)
    assert tally.commits == 15 * processes
    assert tally.looks > 0
