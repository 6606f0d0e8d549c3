"""Digests of cuts, state and results: the same for any sharding, worker count or time zone.

A slot is hashed column by column, mostly from the octets that Arrow holds already. The order of rows is that of the
table's key, so that nothing depends on how they came.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from enfold import schema
from enfold.ledger.forms import columns
from enfold.run.slots import slots_of

HOST_STAMPS = {"plugin", "plugin_version", "code_hash"}
CUT = {"study_id", "subject_id", "event_id", "content"}  # ids and content of what stands
SHORT = 32  # rows: where a slot's rows lie apart in shorter runs than that, they are first brought together


def slot_digests(table: schema.Table, rows: pa.Table) -> dict[int, str]:
    """Return for each slot that has rows a SHA-256 over them; rows must be in the order of the table's key.

    Hashed are the number of rows, in 8 octets, and for each column that holds something in the slot, in the order of
    the schema: its name, `=`, the size in octets of each row's canonical text (ledger/canonical.py), -1 if it has
    none, in 4 octets, and all those texts. Numbers of octets are little-endian.
    """
    names = CUT if table.name == "events" else {*table.names} - HOST_STAMPS
    fields = [f for f in table.fields if f.name in names]
    if table.name == "events":
        rows = rows.filter(rows.column("effective"))
    rows = rows.select([f.name for f in fields])
    if not rows.num_rows:
        return {}
    slots = slots_of(rows)
    edges = _edges(slots)
    if len(slots) < SHORT * len(edges):
        order = slots.argsort(kind="stable")
        rows, slots = rows.take(pa.array(order)), slots[order]
        edges = _edges(slots)
    runs: dict[int, list[int]] = {}
    for number, slot in enumerate(slots[edges[:-1]].tolist()):
        runs.setdefault(slot, []).append(number)
    counted = np.diff(edges)
    sums = {slot: hashlib.sha256(int(counted[own].sum()).to_bytes(8, "little")) for slot, own in runs.items()}
    for name, texts in columns(fields, rows):
        _add(sums, runs, edges, f"{name}=".encode(), texts)
    return {slot: sum_.hexdigest() for slot, sum_ in sorted(sums.items())}


def _edges(slots: Any) -> Any:
    """Return where each run of rows of one slot begins, and the last ends."""
    return np.concatenate([[0], np.flatnonzero(slots[1:] != slots[:-1]) + 1, [len(slots)]])


def _add(sums: Mapping[int, Any], runs: Mapping[int, list[int]], edges: Any, head: bytes, texts: pa.Array) -> None:
    """Add a column to the hash of each slot in which it holds something."""
    _, offsets, octets = pc.fill_null(texts, "").buffers()  # what is null may have octets
    at = np.frombuffer(offsets, np.int32, len(texts) + 1, texts.offset * 4)
    sizes = np.where(texts.is_valid(), np.diff(at), -1).astype("<i4")
    held = (np.maximum.reduceat(sizes, edges[:-1]) >= 0).tolist()
    parts = [(sizes.data.cast("B"), (edges * 4).tolist()), (memoryview(octets or b""), at[edges].tolist())]
    for slot, own in runs.items():
        if any(held[n] for n in own):
            sums[slot].update(head)
            for part, ends in parts:
                for n in own:
                    sums[slot].update(part[ends[n] : ends[n + 1]])


def total(slots: Mapping[int, str]) -> str:
    """Return one digest over all slots, empty ones included by their absence in fixed order."""
    lines = "".join(f"{slot}:{digest};" for slot, digest in sorted(slots.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
