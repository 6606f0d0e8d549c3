"""Verify: read everything back and recompute every digest."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from enfold.errors import IntegrityError
from enfold.ledger import engine, merkle, placement, segments, storage
from enfold.ledger.canonical import Shape
from enfold.ledger.commits import Segment
from enfold.ledger.ledger import Ledger


@dataclass(frozen=True)
class Verified:
    """What was checked: the head hash is what a printed anchor is compared with."""

    commits: int
    events: int
    segments: int
    redacted: int
    head: str | None
    anchored_at: int | None = None


def verify(path: Path, anchor: str | None = None) -> Verified:
    """Check chain, seals, schemas, segment digests, counts, slot order and content roots.

    Args:
        path: the ledger folder.
        anchor: hash of a commit as it was printed or exported once; it must still be in the chain.

    Raises:
        IntegrityError: names every file that is missing, damaged or altered, and between which octets.
    """
    while True:
        ledger = Ledger(path)
        try:
            return _verify(ledger, anchor)
        except IntegrityError:
            if placement.newest(path, ledger.commits).number == ledger.generation.number:
                raise  # else rows moved while they were read


def _verify(ledger: Ledger, anchor: str | None) -> Verified:
    hashes = [s.hash for s in ledger.commits.stored]
    if anchor is not None and anchor not in hashes:
        msg = f"no commit of this ledger has the hash {anchor}: it was rewritten, cut short, or is another ledger"
        raise IntegrityError(msg, remedy="Restore the ledger from a backup that holds this commit.")
    problems: list[str] = []
    for digest in sorted({c.schemas for c in ledger.commits}):
        try:
            ledger.bundle(digest)
        except IntegrityError as error:
            problems.append(error.message)
    batches = list(_batches(ledger, problems)) if not problems else []
    if not problems:
        _roots(ledger, batches, problems)
    if problems:
        more = f"; and {len(problems) - 1} more:\n  " + "\n  ".join(problems[1:20]) if problems[1:] else ""
        raise IntegrityError(problems[0] + more, remedy="Restore the ledger from a backup.")
    return Verified(
        commits=len(hashes),
        events=sum(s.rows for s in ledger.segments),
        segments=len(ledger.segments),
        redacted=len(ledger.generation.redacted),
        head=ledger.commits.head,
        anchored_at=hashes.index(anchor) + 1 if anchor else None,
    )


def _batches(ledger: Ledger, problems: list[str]) -> Iterator[tuple[Segment, Shape]]:
    for s in ledger.segments:
        try:
            rows = segments.decode(storage.read_verified(ledger.path / s.path, s.sha256, s.blocks))
        except IntegrityError as error:
            problems.append(error.message)
            continue
        slots, places = rows.column("slot").to_pylist(), rows.column("position").to_pylist()
        ordered = slots == sorted(slots) and all(s.slot_from <= n < s.slot_until for n in {*slots})
        if not ordered or rows.num_rows != s.rows or not {*places} <= {*range(s.first_position, s.last_position + 1)}:
            problems.append(f"{s.path}: rows are not in slot order, or not those that its commit names")
            continue
        yield s, ledger.shape(s)


def _roots(ledger: Ledger, batches: list[tuple[Segment, Shape]], problems: list[str]) -> None:
    """Recompute the counts and the root of every commit."""
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for r in ledger.generation.redacted:
        counts[r.position][r.event_type] += 1
    gone = pa.table(
        {
            "position": pa.array([r.position for r in ledger.generation.redacted], pa.int64()),
            "leaf": pa.array([bytes.fromhex(r.leaf) for r in ledger.generation.redacted], pa.binary(32)),
        }
    )

    def leaves() -> Iterator[pa.Table]:
        yield gone
        for s, shape in batches:
            rows = segments.decode(storage.read_verified(ledger.path / s.path, s.sha256))
            for found in rows.column("position").value_counts().to_pylist():
                counts[found["values"]][s.event_type] += found["counts"]
            yield merkle.leaves(shape, rows, engine.cores())

    roots = merkle.roots(leaves())
    for commit in ledger.commits:
        if dict(counts[commit.position]) != commit.rows:
            problems.append(f"commit {commit.position}: row counts differ from those recorded")
        elif roots.get(commit.position, merkle.EMPTY_ROOT) != commit.root:
            problems.append(f"commit {commit.position}: the content root differs; events were altered")
