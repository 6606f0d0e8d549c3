"""A model of the ledger: the stated share of what `make torture` does in full."""

from faults import counts, machine


def test_a_model_of_the_ledger() -> None:
    """3 of the 60 histories, of 12 steps each instead of 40."""
    assert machine.live(counts.MACHINE_RUNS.share, counts.MACHINE_STEPS.share) > 12
