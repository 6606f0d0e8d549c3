"""How many faults: `full` in `make torture`, `share` in `make test`. Every number stands here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Count:
    """One number: all of it, and the share that every test run does."""

    full: int
    share: int

    def of(self, full: bool) -> int:
        """Return the number for a torture (all) or a test run (the share)."""
        return self.full if full else self.share


KILLS = Count(1_000, 12)  # processes killed
KILLS_A_STUDY = 25  # kills before a study is thrown away for a new one
CALL_STEP = Count(1, 10)  # of the calls that an operation makes, each n-th fails
POWER_RECORDS = Count(40, 2)  # recorded histories; all but the first are also killed now and then on the way
POWER_IMAGES = Count(2_000, 40)  # crash images over all of them
MUTANTS = Count(5_000, 120)  # damaged files
FORMAT_MUTANTS = Count(10_000, 200)  # damaged source files of each format
WRITERS = {True: (2, 8, 32), False: (2, 4)}  # processes that write at once: in full, and the share
WRITER_COMMITS = Count(500, 15)  # commits by each
READERS = 2
MACHINE_RUNS = Count(60, 3)  # histories that the model lives through
MACHINE_STEPS = Count(40, 12)  # steps of each
MISDEEDS = Count(20, 1)  # times that each misbehaving plugin is called
STUDIES = Count(1_000, 200)  # generated studies, landed and run in ways that must not matter
