"""Many processes that write at once, while others read and one packs."""

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from enfold.ledger.ledger import Ledger
from enfold.ledger.verify import verify
from faults import children, processes, scene

PATIENCE = 3_600  # seconds


@dataclass
class Tally:
    """What came out."""

    writers: int = 0
    commits: int = 0
    looks: int = 0  # of all readers
    packings: int = 0


def write(writers: int, commits: int, readers: int) -> Tally:
    """Let so many processes append so many commits each; return what came out."""
    with scene.folder() as root:
        path = Ledger.create(root / "study" / "ledger").path
        watching = [processes.start(children.read, str(path), str(root / f"read{n}")) for n in range(readers)]
        watching.append(processes.start(children.move, str(path), str(root / "move")))
        writing = [
            processes.start(children.write, str(path), f"w{n}", commits, str(root / f"write{n}"))
            for n in range(writers)
        ]
        until = time.monotonic() + PATIENCE
        for process in writing:
            process.join(max(0.0, until - time.monotonic()))
        for process in watching:
            assert process.is_alive(), "\n".join(_lines(root, "read") + _lines(root, "move"))[-2_000:]
            process.kill()
            process.join()
        assert [p.exitcode for p in writing] == [0] * writers, "a writer failed"
        said = dict(line.split() for line in _lines(root, "write"))
        ledger = Ledger(path)
        rows = ledger.read("visit")
        held = dict(zip(rows.column("event_id").to_pylist(), rows.column("position").to_pylist(), strict=True))
        assert Counter(rows.column("event_id").to_pylist()).most_common(1)[0][1] == 1, "a commit is there twice"
        assert held == {i: int(p) for i, p in said.items()}, "not what was acknowledged"
        assert sorted(held.values()) == list(range(1, writers * commits + 1)), "positions are not dense"
        verify(path)
        looks, packings = _lines(root, "read"), _lines(root, "move")
        assert {*looks} <= {"ok"}, set(looks)
        assert all(p.startswith("ok") for p in packings), packings
        scene.land(path, {"visit": scene.staged("visit", scene.visits("after"))})
        assert scene.left_behind(path) == []
        return Tally(writers, len(held), len(looks), len(packings))


def _lines(root: Path, name: str) -> list[str]:
    return [line for p in sorted(root.glob(f"{name}*")) for line in p.read_text("utf-8").splitlines()]
