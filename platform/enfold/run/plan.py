"""Plan shards: ranges of slots that one worker holds in memory at once."""

from dataclasses import dataclass

from enfold.ledger.canonical import SLOTS
from enfold.ledger.ledger import Ledger

ROWS_PER_SHARD = 100_000


@dataclass(frozen=True)
class Shard:
    """A descriptor: a half-open range of slots."""

    slot_from: int
    slot_until: int

    @property
    def name(self) -> str:
        """Deterministic name of the shard's files."""
        return f"{self.slot_from:04d}-{self.slot_until:04d}"

    @classmethod
    def named(cls, name: str) -> "Shard":
        """Return the shard of that name."""
        begin, _, end = name.partition("-")
        return cls(int(begin), int(end))


def plan_shards(ledger: Ledger, rows_per_shard: int = ROWS_PER_SHARD) -> list[Shard]:
    """Return slot ranges of at most `rows_per_shard` rows, as far as slots allow; nothing is read but the manifest.

    A range that holds more is halved, so that where a range ends depends on nothing but what is in it: what lands
    later moves no other range, and an unchanged one need not be worked again.
    """
    before = [0.0]  # rows before each slot
    weight = [0.0] * SLOTS
    for segment in ledger.segments:
        width = segment.slot_until - segment.slot_from
        for slot in range(segment.slot_from, segment.slot_until):
            weight[slot] += segment.rows / width
    for rows in weight:
        before.append(before[-1] + rows)

    def halved(begin: int, end: int) -> list[Shard]:
        if end - begin == 1 or before[end] - before[begin] <= rows_per_shard:
            return [Shard(begin, end)]
        middle = (begin + end) // 2
        return [*halved(begin, middle), *halved(middle, end)]

    return halved(0, SLOTS)
