"""Reuse: shards that need no work, because they are there already or nothing in them changed.

A run that was interrupted, or lost a file, keeps those of its shards that are whole. A new run takes over, by hard
link, the shards of the run in force that no event landed in, if nothing but the ledger's end differs between the two.
"""

import json
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from enfold import schema
from enfold.errors import IntegrityError
from enfold.ledger import storage
from enfold.ledger.ledger import Ledger
from enfold.run import manifest
from enfold.run.pins import same_but_for_the_ledger
from enfold.run.plan import Shard
from enfold.run.withdraw import MARK

SHARE = 4  # where more than a quarter of all events is new, everything is worked


def whole(target: Path, shards: list[Shard]) -> set[Shard]:
    """Return the shards that an earlier attempt at the same run finished; every file is verified."""
    return {s for s in shards if _is_whole(target, s)}


def _is_whole(target: Path, shard: Shard) -> bool:
    try:
        summary = json.loads(storage.read(target / "shards" / f"{shard.name}.json"))
        for name, digest in summary["files"].items():
            storage.read_verified(target / name / f"{shard.name}.parquet", digest)
        tables = {*schema.state(), *schema.results()}
        return bool(summary["shard"] == shard.name and set(summary["files"]) == tables and not summary["failures"]
                    and MARK not in summary)  # fmt: skip
    except (FileNotFoundError, IntegrityError, ValueError, KeyError, TypeError, AttributeError):
        return False  # it is worked again


def unchanged(
    folder: Path, target: Path, ledger: Ledger, pinned: dict[str, Any], shards: list[Shard]
) -> tuple[set[Shard], int]:
    """Link the shards of the run in force in which nothing changed into `target`; return them.

    Also returns how many rows were read to know what changed.
    """
    try:
        name = manifest.pointed(folder / "runs" / "current.json")["run"]
        before = manifest.read(folder, name)
    except (FileNotFoundError, IntegrityError):  # there is none to take over from
        return set(), 0
    source = folder / "runs" / name
    if source == target or before["failures"] or not same_but_for_the_ledger(before["pins"], pinned):
        return set(), 0
    touched, rows = _touched(ledger, *sorted((before["pins"]["position"], pinned["position"])))
    if touched is None:
        return set(), rows
    there = set(before["shards"])
    same = {s for s in shards if s.name in there and not any(s.slot_from <= t < s.slot_until for t in touched)}
    for shard in same:
        summary = storage.read(source / "shards" / f"{shard.name}.json")
        if storage.sha256(summary) != before["summaries"][shard.name]:
            return set(), rows
        for table in json.loads(summary)["files"]:
            storage.share(source / table / f"{shard.name}.parquet", target / table / f"{shard.name}.parquet")
        storage.share(source / "shards" / f"{shard.name}.json", target / "shards" / f"{shard.name}.json")
    storage.sync_tree(target)
    return same, rows


def _touched(ledger: Ledger, after: int, upto: int) -> tuple[set[int] | None, int]:
    """Return the slots that the commits after a position speak of, and how many rows were read to know.

    None where that is not known, or is so much that everything may as well be worked.
    """
    new = ledger.commits[after:upto]
    rows = sum(n for c in new for n in c.rows.values())
    if any(c.kind == "redaction" for c in new) or rows * SHARE > sum(s.rows for s in ledger.segments):
        return None, 0
    touched, ids, read = set[int](), set[str](), 0
    for event_type in schema.events():
        found = ledger.read(event_type, after=after, upto=upto)
        read += found.num_rows
        touched |= set(pc.unique(found.column("slot")).to_pylist())
        ids |= set(found.column("event_id").to_pylist())
    asked = {i for c in new for q in c.details.get("queries", []) for i in q["event_ids"]}
    return (touched if asked <= ids else None), read  # a suite may have doubted what landed before
