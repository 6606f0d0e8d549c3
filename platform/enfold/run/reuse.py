"""Reuse: what needs no work, because it is there already or because nothing in it changed.

A run that was interrupted, or lost a file, keeps those of its shards that are whole. A new run takes over, by hard
link, the shards of the run in force, if nothing but the ledger's end differs between the two; only the slots in which
something landed are worked, in shards of their own, which count instead of what an older shard says of those slots.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from enfold import schema
from enfold.errors import IntegrityError
from enfold.ledger import storage
from enfold.ledger.canonical import SLOTS
from enfold.ledger.ledger import Ledger
from enfold.run import manifest
from enfold.run.pins import same_but_for_the_ledger
from enfold.run.plan import Shard, plan_shards, plan_some, rows_by_slot
from enfold.run.withdraw import MARK

SHARE = 4  # where more than a quarter of all events is new, or lies in changed slots, everything is worked
THIN = 64  # as many shards may hold less than half of what one may; beyond that they are worked into whole ones


@dataclass(frozen=True)
class Plan:
    """Shards oldest first: those taken over, then those to work. And how many rows were read to know."""

    kept: list[Shard] = field(default_factory=list)
    work: list[Shard] = field(default_factory=list)
    rows_read: int = 0


def finished(folder: Path, target: Path) -> list[Shard]:
    """Return the shards of the run in `target` if it was finished once."""
    try:
        found = manifest.read(folder, target.name)
        return [_described(target, found, name)[0] for name in found["shards"]]
    except (FileNotFoundError, IntegrityError):
        return []


def whole(target: Path, shards: Iterable[Shard]) -> set[Shard]:
    """Return the shards that an earlier attempt at the same run finished; every file is verified."""
    return {s for s in shards if _is_whole(target, s)}


def _is_whole(target: Path, shard: Shard) -> bool:
    try:
        summary = json.loads(storage.read(target / "shards" / f"{shard.name}.json"))
        for name, digest in summary["files"].items():
            storage.read_verified(target / name / f"{shard.name}.parquet", digest)
        tables = set(schema.tables())
        return bool(summary["shard"] == shard.text and set(summary["files"]) == tables and not summary["failures"]
                    and MARK not in summary)  # fmt: skip
    except (FileNotFoundError, IntegrityError, ValueError, KeyError, TypeError, AttributeError):
        return False  # it is worked again


def plan(folder: Path, target: Path, ledger: Ledger, pinned: dict[str, Any], rows_per_shard: int) -> Plan:
    """Plan a run, and link what it takes over from the run in force into `target`."""
    everything = plan_shards(ledger, rows_per_shard)
    try:
        name = manifest.pointed(folder / "runs" / "current.json")["run"]
        before = manifest.read(folder, name)
    except (FileNotFoundError, IntegrityError):  # there is none to take over from
        return Plan(work=everything)
    source = folder / "runs" / name
    if source == target or before["failures"] or not same_but_for_the_ledger(before["pins"], pinned):
        return Plan(work=everything)
    touched, read = _touched(ledger, *sorted((before["pins"]["position"], pinned["position"])))
    if touched is None:
        return Plan(work=everything, rows_read=read)
    try:
        found = [_described(source, before, shard) for shard in before["shards"]]
    except (FileNotFoundError, IntegrityError):
        return Plan(work=everything, rows_read=read)
    counts = [{s for b, e in before["slots"][shard.name] for s in range(b, e)} - touched for shard, _ in found]
    thin = [c for c, (_, held) in zip(counts, found, strict=True) if 2 * sum(held[s] for s in c) < rows_per_shard]
    if len(thin) > THIN:
        touched = touched.union(*thin)
    rows = rows_by_slot(ledger)
    if SHARE * sum(rows[s] for s in touched) > sum(rows):
        return Plan(work=everything, rows_read=read)
    kept = [shard for c, (shard, _) in zip(counts, found, strict=True) if c - touched]
    _link(source, target, kept)
    storage.sync_tree(target)
    return Plan(kept, plan_some(touched, rows, rows_per_shard), read)


def _described(source: Path, before: dict[str, Any], name: str) -> tuple[Shard, list[int]]:
    """Return a shard of a finished run by its verified summary, and how many events each slot has in it."""
    summary = json.loads(storage.read_verified(source / "shards" / f"{name}.json", before["summaries"][name]))
    rows = [0] * SLOTS
    for slot, count in summary["rows"]["events"].items():
        rows[int(slot)] = count
    return Shard.parse(summary["shard"]), rows


def _link(source: Path, target: Path, shards: list[Shard]) -> None:
    for folder, suffix in [("shards", "json"), *((t, "parquet") for t in schema.tables())]:
        storage.share_all(source / folder, target / folder, [f"{shard.name}.{suffix}" for shard in shards])


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
        found, count = ledger.read_counting(event_type, after=after, upto=upto)
        read += count
        touched |= set(pc.unique(found.column("slot")).to_pylist())
        ids |= set(found.column("event_id").to_pylist())
    asked = {i for c in new for q in c.details.get("queries", []) for i in q["event_ids"]}
    return (touched if asked <= ids else None), read  # a suite may have doubted what landed before
