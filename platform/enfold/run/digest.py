"""Digests of cuts, state and results: the same for any order, sharding, worker count or time zone."""

import hashlib
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from enfold import schema
from enfold.ledger.forms import forms
from enfold.run.slots import slots_of

ROWS = 1 << 18  # in memory at once while they are hashed
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
    lines = forms(fields, rows, before="|")
    in_order = pc.sort_indices(lines).to_numpy()
    in_order = in_order[slots[in_order].argsort(kind="stable")]  # by slot, and in it by line
    found, begins = np.unique(slots[in_order], return_index=True)
    whole = lines.chunk(0) if lines.num_chunks == 1 else lines
    digests = {}
    for place, begin, end in zip(found.tolist(), begins, [*begins[1:], len(slots)], strict=True):
        sum_ = hashlib.sha256()
        for at in range(begin, end, ROWS):
            taken = whole.take(pa.array(in_order[at : min(at + ROWS, end)]))
            octets = _octets(taken if isinstance(taken, pa.Array) else taken.combine_chunks())
            sum_.update(octets if at > begin else octets[1:])  # nothing stands before the first line
        digests[place] = sum_.hexdigest()
    return digests


def _octets(text: pa.StringArray) -> memoryview:
    """Return the octets of all strings, one after the other, without a copy."""
    _, offsets, octets = text.buffers()
    places = memoryview(offsets).cast("i")
    return memoryview(octets)[places[text.offset] : places[text.offset + len(text)]]


def total(slots: Mapping[int, str]) -> str:
    """Return one digest over all slots, empty ones included by their absence in fixed order."""
    lines = "".join(f"{slot}:{digest};" for slot, digest in sorted(slots.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
