"""Digests of cuts, state and results: the same for any order, sharding, worker count or time zone.

A cut is hashed row by row, as it was from the first: its digest must be the same for ever. State and results are hashed
column by column, mostly from the octets that Arrow holds already, which takes about half the time.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from enfold import schema
from enfold.ledger.forms import columns, each
from enfold.run.slots import slots_of

HOST_STAMPS = {"plugin", "plugin_version", "code_hash"}
CUT = {"study_id", "subject_id", "event_id", "content"}  # ids and content of what stands
ROWS = 1 << 16  # of a cut: copied at once to be hashed
SHORT = 128  # rows: where a slot's rows lie apart in shorter runs than that, they are first brought together


def slot_digests(table: schema.Table, rows: pa.Table) -> dict[int, str]:
    """Return for each slot that has rows a SHA-256 over them.

    Of a cut, the table of events: over the canonical rows of what stands, in sorted order, `|` between them. Of other
    tables, whose rows must be in the order of the key: over the number of rows, in 8 octets, and for each column that
    holds something in the slot, in the order of the schema: its name, `=`, the size in octets of each row's canonical
    text (ledger/canonical.py), -1 if it has none, in 4 octets, and all those texts. Sizes are little-endian.
    """
    if table.name == "events":
        stands = rows.column("effective")
        rows = rows if pc.all(stands).as_py() else rows.filter(stands)
        return _by_row([f for f in table.fields if f.name in CUT], rows) if rows.num_rows else {}
    return _by_column([f for f in table.fields if f.name not in HOST_STAMPS], rows) if rows.num_rows else {}


def _by_row(fields: list[schema.Field], rows: pa.Table) -> dict[int, str]:
    slots = slots_of(rows)
    found = _in_order(each(fields, rows, before="|"), slots)
    if found is None:
        lines = pa.concat_arrays([c.cast(pa.large_string()) for c in each(fields, rows, before="|")])
        order = pc.array_sort_indices(lines)
        parts = (lines.take(order.slice(at, ROWS)) for at in range(0, len(order), ROWS))
        found = _in_order(parts, slots[order.to_numpy()])
        assert found is not None
    return found


def _in_order(parts: Iterable[pa.Array], slots: Any) -> dict[int, str] | None:
    """Return the SHA-256 of each slot's lines, which come in parts; None if they do not come in order.

    They do where ids are of one length, since rows are in the order of the key.
    """
    sums: dict[int, Any] = {}
    last, done = pa.scalar(""), 0
    for part in parts:
        if pc.less(part[0], last).as_py() or pc.any(pc.greater(part[:-1], part[1:])).as_py():
            return None
        octets, ends = _octets(part.cast(pa.large_string()))
        own = slots[done : done + len(part)]
        edges = _edges(own).tolist()
        for begin, end, slot in zip(edges, edges[1:], own[edges[:-1]].tolist(), strict=False):
            start = ends[begin] + (slot not in sums)  # nothing stands before the first line
            sums.setdefault(slot, hashlib.sha256()).update(octets[start : ends[end]])
        last, done = part[-1], done + len(part)
    return {slot: sum_.hexdigest() for slot, sum_ in sorted(sums.items())}


def _octets(text: pa.LargeStringArray) -> tuple[memoryview, memoryview]:
    """Return the octets of all strings, one after the other, and where each begins, and the last ends, among them."""
    _, offsets, octets = text.buffers()
    return memoryview(octets), memoryview(offsets).cast("q")[text.offset : text.offset + len(text) + 1]


def _by_column(fields: list[schema.Field], rows: pa.Table) -> dict[int, str]:
    slots = slots_of(rows)
    edges, order = _edges(slots), None
    if len(slots) < SHORT * len(edges):
        by_slot = slots.argsort(kind="stable")
        slots, order = slots[by_slot], pa.array(by_slot)
        edges = _edges(slots)
    runs: dict[int, list[int]] = {}
    for number, slot in enumerate(slots[edges[:-1]].tolist()):
        runs.setdefault(slot, []).append(number)
    counted = np.diff(edges)
    sums = {slot: hashlib.sha256(int(counted[own].sum()).to_bytes(8, "little")) for slot, own in runs.items()}
    for name, texts in columns(fields, rows, order):
        _add(sums, runs, edges, f"{name}=".encode(), texts)
    return {slot: sum_.hexdigest() for slot, sum_ in sorted(sums.items())}


def _edges(slots: Any) -> Any:
    """Return where each run of rows of one slot begins, and the last ends."""
    return np.concatenate([[0], np.flatnonzero(slots[1:] != slots[:-1]) + 1, [len(slots)]])


def _add(sums: Mapping[int, Any], runs: Mapping[int, list[int]], edges: Any, head: bytes, texts: pa.Array) -> None:
    """Add a column to the hash of each slot in which it holds something."""
    filled = pc.fill_null(texts, "")  # what is null may have octets
    _, offsets, octets = filled.buffers()
    at = np.frombuffer(offsets, np.int32, len(filled) + 1, filled.offset * 4)
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
