"""Plan shards: slots that one worker holds in memory at once."""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, groupby
from operator import itemgetter

from enfold.ledger.canonical import SLOTS
from enfold.ledger.ledger import Ledger

ROWS_PER_SHARD = 85_000  # of a fold: more would take less time, and with two workers more than a GiB
ROWS_WITH_RULES = 190_000  # rules take a second however little is in a shard

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Shard:
    """A descriptor: half-open ranges of slots, in order, apart from one another."""

    ranges: Ranges

    @classmethod
    def of(cls, slots: Iterable[int]) -> "Shard":
        """Return the shard of these slots."""
        return cls(in_ranges(slots))

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Return the shard that was described by `text`."""
        pairs = (pair.split("-") for pair in text.split())
        return cls(tuple((int(begin), int(end)) for begin, end in pairs))

    @property
    def text(self) -> str:
        """All of its ranges, as a worker is told."""
        return " ".join(f"{begin:04d}-{end:04d}" for begin, end in self.ranges)

    @property
    def name(self) -> str:
        """Name of its files; it depends on the slots alone."""
        if len(self.ranges) == 1:
            return self.text
        digest = hashlib.sha256(self.text.encode()).hexdigest()[:8]
        return f"{self.ranges[0][0]:04d}-{self.ranges[-1][1]:04d}-{digest}"

    @cached_property
    def slots(self) -> frozenset[int]:
        """Every slot."""
        return frozenset(slot for begin, end in self.ranges for slot in range(begin, end))


def in_ranges(slots: Iterable[int]) -> Ranges:
    """Return slots as half-open ranges, in order."""
    out: list[list[int]] = []
    for slot in sorted(slots):
        if out and out[-1][1] == slot:
            out[-1][1] += 1
        else:
            out.append([slot, slot + 1])
    return tuple((begin, end) for begin, end in out)


def rows_by_slot(ledger: Ledger) -> list[float]:
    """Return about how many rows each slot holds; nothing is read but the manifest."""
    weight = [0.0] * SLOTS
    for segment in ledger.segments:
        width = segment.slot_until - segment.slot_from
        for slot in range(segment.slot_from, segment.slot_until):
            weight[slot] += segment.rows / width
    return weight


def plan_shards(ledger: Ledger, rows_per_shard: int = ROWS_PER_SHARD) -> list[Shard]:
    """Return ranges of all slots, as few as hold at most about `rows_per_shard` rows each, and evenly filled.

    Every shard costs some planning however little is in it, so many that are half full would cost twice as much.
    """
    rows = rows_by_slot(ledger)
    whole = sum(rows)
    many = max(1, math.ceil(whole / rows_per_shard))
    middles = (end - held / 2 for end, held in zip(accumulate(rows), rows, strict=True))
    numbers = [min(int(middle * many / whole), many - 1) if whole else 0 for middle in middles]
    return [Shard.of(slot for slot, _ in some) for _, some in groupby(enumerate(numbers), key=itemgetter(1))]


def plan_some(slots: Iterable[int], rows: Sequence[float], rows_per_shard: int = ROWS_PER_SHARD) -> list[Shard]:
    """Return shards of these slots alone, filled in order; `rows` says how many each slot holds."""
    out: list[list[int]] = []
    held = 0.0
    for slot in sorted(slots):
        if not out or held + rows[slot] > rows_per_shard:
            out.append([])
            held = 0.0
        out[-1].append(slot)
        held += rows[slot]
    return [Shard.of(some) for some in out]
