"""Watching a run work: progress with rate and time left, and what the shards cost."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from enfold.run.plan import Shard
from enfold.run.shard import WATCHED

EVERY = 2.0  # seconds


@contextlib.contextmanager
def watched(target: Path, todo: list[Shard], events: int, say: Callable[[str], None]) -> Iterator[None]:
    """Say now and then how far the work is; the files tell, so any runner can be watched.

    Args:
        target: folder of the run.
        todo: shards that are being worked.
        events: about how many events they hold, to tell the time that is left.
        say: takes one line.
    """
    done, begin = threading.Event(), time.monotonic()
    names = {f"{s.name}.json" for s in todo}

    def watch() -> None:
        seen: dict[str, int] = {}
        while not done.wait(EVERY):
            for name in names - seen.keys():
                with contextlib.suppress(OSError, ValueError, KeyError):  # not there yet
                    seen[name] = json.loads((target / WATCHED / name).read_text("utf-8"))["rows"]
            say(_line(len(seen), len(names), sum(seen.values()), events, time.monotonic() - begin))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _line(shards: int, of: int, rows: int, events: int, seconds: float) -> str:
    text = f"  {shards} of {of} shards, {rows} events after {seconds:.0f} s"
    if rows:
        left = max(0.0, events - rows) * seconds / rows
        text += f", {rows / seconds:.0f} events/s, about {left:.0f} s left"
    return text


def observed(target: Path, worked: list[Shard]) -> dict[str, Any]:
    """Return what the worked shards cost together: seconds by stage, rows read, peak memory of a process in octets."""
    seconds: dict[str, float] = {}
    rows = peak = 0
    for shard in worked:
        found = json.loads((target / WATCHED / f"{shard.name}.json").read_text("utf-8"))
        for stage, took in found["seconds"].items():
            seconds[stage] = round(seconds.get(stage, 0.0) + took, 3)
        rows += found["rows_read"]
        peak = max(peak, found["peak_memory"])
    return {"stage_seconds": seconds, "rows_read": rows, "peak_memory": peak}
