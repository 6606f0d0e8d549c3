"""Room: how many rows the workers of one process may have in hand together.

Slots spread subjects evenly, but all of a subject's events are in one shard. Where one subject has most of them, that
shard is worked alone, so that it does not add to what others hold.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Room:
    """Places for so many rows; first come, first served."""

    def __init__(self, rows: int) -> None:
        self._all = self._free = rows
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def of(self, rows: int) -> Iterator[None]:
        """Hold places for `rows` rows; more than there are means all of them."""
        wanted, me = min(rows, self._all), object()
        with self._changed:
            self._waiting.append(me)
            self._changed.wait_for(lambda: self._waiting[0] is me and self._free >= wanted)
            self._waiting.popleft()
            self._free -= wanted
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += wanted
                self._changed.notify_all()
