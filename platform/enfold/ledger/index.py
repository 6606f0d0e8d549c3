"""The index of one open ledger: the files of `ids.py`, and what was committed since the last of them."""

import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import pyarrow as pa

from enfold import schema
from enfold.ledger import ids

if TYPE_CHECKING:
    from enfold.ledger.ledger import Ledger


class Index:
    """Entries of the events in a ledger; what was read once from its segments is kept."""

    def __init__(self, ledger: "Ledger") -> None:
        self._ledger = ledger
        self._folder = ledger.path / "index"
        self._after = self._upto = 0  # positions between which the entries kept lie
        self._kept = ids.SCHEMA.empty_table()

    def known(self, slots: Iterable[int]) -> pa.Table:
        """Return the entries of all stored events in these slots, at least."""
        blocks = {ids.block(s) for s in slots}
        while True:
            found = ids.ranges(self._folder, self._hashes())
            with contextlib.suppress(FileNotFoundError):  # a writer has merged it into another: look again
                parts = [part for r in found for part in r.read(blocks)]
                return pa.concat_tables([*parts, self._since(found[-1].until if found else 0)])

    def add(self, position: int, entries: list[pa.Table]) -> None:
        """Keep the entries of a commit that was just made at a position."""
        if self._upto == position - 1:
            self._upto, self._kept = position, pa.concat_tables([self._kept, *entries])

    def extend(self) -> None:
        """Write an index file when enough events, or commits, stand in none."""
        ledger, hashes = self._ledger, self._hashes()
        found = ids.ranges(self._folder, hashes)
        after = found[-1].until if found else 0
        tail = ledger.placed_after(after) if after >= ledger.generation.upto else ledger.segments
        rows = sum(s.rows for s in tail if s.last_position > after)
        if rows < ids.INDEX_AFTER and (
            ledger.position - after < ids.INDEX_COMMITS or ledger.position < 4 * ids.INDEX_COMMITS
        ):
            return
        ids.extend(self._folder, hashes, self._since(after))

    def _hashes(self) -> list[str]:
        return [s.hash for s in self._ledger.commits.stored]

    def _since(self, after: int) -> pa.Table:
        """Return the entries of all events after a position."""
        ledger = self._ledger
        if self._after != after:
            self._after = self._upto = after
            self._kept = ids.SCHEMA.empty_table()
        if self._upto < ledger.position:
            with schema.using(ledger.added):
                new = [ids.entries(t, ledger.read(t, after=self._upto)) for t in schema.events()]
            self._kept = pa.concat_tables([self._kept, *new])
        self._upto = ledger.position
        return self._kept
