"""Power loss, damage and disks that refuse: the stated share of what `make torture` does in full."""

import pytest

from faults import bitrot, counts, limits, powerloss


def test_power_loss() -> None:
    """40 of the 2,000 crash images, of 2 of the 40 recorded histories."""
    tally = powerloss.lose_power(counts.POWER_RECORDS.share, counts.POWER_IMAGES.share, 1)
    assert (tally.images, tally.records) == (40, 2)
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
    tally = bitrot.rot(counts.MUTANTS.share, 1)
    assert tally.mutants == 120
    assert set(tally.found) == set(bitrot.KINDS)
    assert set(tally.harmless) <= {"index", "generation", "serving file"}
