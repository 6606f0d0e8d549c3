"""Verify: read everything back and recompute every digest."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from enfold.errors import IntegrityError
from enfold.ledger import commits, segments, storage
from enfold.ledger.ledger import Ledger


@dataclass(frozen=True)
class Verified:
    """What was checked: the head hash is what a printed anchor is compared with."""

    commits: int
    events: int
    segments: int
    head: str | None


def verify(path: Path) -> Verified:
    """Check chain, seals, schemas, segment digests, counts, slot order and content roots.

    Raises:
        IntegrityError: names the first file that is missing, damaged or altered.
    """
    ledger = Ledger(path)
    events = files = 0
    for commit in ledger.commits:
        bundle = path / "schemas" / f"{commit.schemas[:16]}.json"
        storage.read_verified(bundle, commit.schemas)
        batches: dict[str, pa.Table] = {}
        for segment in commits.read_manifest(path, commit):
            data = storage.read_verified(path / segment.path, segment.sha256)
            rows = segments.decode(data)
            _check_order(rows, segment)
            batches[segment.event_type] = rows
            events += rows.num_rows
            files += 1
        if {t: r.num_rows for t, r in batches.items()} != commit.rows:
            msg = f"commit {commit.position}: row counts differ from those recorded"
            raise IntegrityError(msg, remedy="Restore the ledger from a backup.")
        if segments.content_root(batches) != commit.root:
            msg = f"commit {commit.position}: the content root differs; events were altered"
            raise IntegrityError(msg, remedy="Restore the ledger from a backup.")
    return Verified(len(ledger.commits), events, files, ledger.head.hash if ledger.head else None)


def _check_order(rows: pa.Table, segment: commits.Segment) -> None:
    slots = rows.column("slot").to_pylist()
    if slots != sorted(slots) or rows.num_rows != segment.rows:
        msg = f"{segment.path}: rows are not in slot order or their number differs"
        raise IntegrityError(msg, remedy="Restore the ledger from a backup.")
