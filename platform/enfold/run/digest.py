"""Digests of cuts, state and results: the same for any order, sharding, worker count or time zone."""

import hashlib
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from enfold import schema
from enfold.ledger.forms import forms
from enfold.run.slots import slots_of

ROWS = 1 << 16  # copied at once to be hashed
HOST_STAMPS = {"plugin", "plugin_version", "code_hash"}


def slot_digests(table: schema.Table, rows: pa.Table) -> dict[int, str]:
    """Return for each slot that has rows the SHA-256 over its canonical rows, in sorted order, `|` between them."""
    fields = [f for f in table.fields if f.name not in HOST_STAMPS]
    if table.name == "events":  # the cut: ids and content of what stands
        fields = [f for f in table.fields if f.name in {"study_id", "subject_id", "event_id", "content"}]
        rows = rows.filter(rows.column("effective"))
    if not rows.num_rows:
        return {}
    slots = slots_of(rows)
    lines = pa.concat_arrays([c.cast(pa.large_string()) for c in forms(fields, rows, before="|").chunks])
    in_order = pc.array_sort_indices(lines).to_numpy()
    in_order = in_order[slots[in_order].argsort(kind="stable")]  # by slot, and in it by line
    found, begins = np.unique(slots[in_order], return_index=True)
    sums = [hashlib.sha256() for _ in found]
    for at in range(0, len(slots), ROWS):
        octets, ends = _octets(lines.take(pa.array(in_order[at : at + ROWS])))
        first = int(begins.searchsorted(at, "right")) - 1
        for sum_, begin, end in zip(sums[first:], begins[first:], [*begins[first + 1 :], len(slots)], strict=True):
            if begin >= at + len(ends) - 1:
                break
            start = ends[max(begin - at, 0)] + (begin >= at)  # nothing stands before the first line
            sum_.update(octets[start : ends[min(end - at, len(ends) - 1)]])
    return {slot: sum_.hexdigest() for slot, sum_ in zip(found.tolist(), sums, strict=True)}


def _octets(text: pa.LargeStringArray) -> tuple[memoryview, memoryview]:
    """Return the octets of all strings, one after the other, and where each begins, and the last ends, among them."""
    _, offsets, octets = text.buffers()
    return memoryview(octets), memoryview(offsets).cast("q")[: len(text) + 1]


def total(slots: Mapping[int, str]) -> str:
    """Return one digest over all slots, empty ones included by their absence in fixed order."""
    lines = "".join(f"{slot}:{digest};" for slot, digest in sorted(slots.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
