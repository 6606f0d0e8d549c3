"""Digests of cuts, state and results: the same for any order, sharding, worker count or time zone."""

import hashlib
from collections.abc import Mapping

import pyarrow as pa

from enfold import schema
from enfold.ledger import engine
from enfold.ledger.canonical import slot_sql
from enfold.ledger.forms import forms

HOST_STAMPS = {"plugin", "plugin_version", "code_hash"}


def slot_digests(table: schema.Table, rows: pa.Table) -> dict[int, str]:
    """Return for each slot that has rows the SHA-256 over its canonical rows, in sorted order, `|` between them."""
    fields = [f for f in table.fields if f.name not in HOST_STAMPS]
    if table.name == "events":  # the cut: ids and content of what stands
        fields = [f for f in table.fields if f.name in {"study_id", "subject_id", "event_id", "content"}]
        rows = rows.filter(rows.column("effective"))
    keys = rows.select(["study_id", "subject_id"])
    con = engine.scratch()
    con.register("rows", keys.append_column("line", forms(fields, rows, before="|")))
    lines = con.sql(f"""
        WITH places AS (
            SELECT study_id, subject_id, {slot_sql()} AS slot
            FROM (SELECT DISTINCT study_id, subject_id FROM rows))
        SELECT slot, line FROM rows JOIN places USING (study_id, subject_id) ORDER BY slot, line
    """).to_arrow_table()
    sums: dict[int, hashlib._Hash] = {}
    for batch in lines.to_batches():
        slots, text = batch.column(0).to_numpy(), batch.column(1)
        ends = [*(slots[1:] != slots[:-1]).nonzero()[0] + 1, len(slots)]
        for begin, end in zip([0, *ends], ends, strict=False):
            octets = _octets(text.slice(begin, end - begin))
            slot = int(slots[begin])
            if slot in sums:
                sums[slot].update(octets)
            else:  # nothing stands before the first line
                sums[slot] = hashlib.sha256(octets[1:])
    return {slot: found.hexdigest() for slot, found in sums.items()}


def _octets(text: pa.StringArray) -> memoryview:
    """Return the octets of all strings, one after the other, without a copy."""
    _, offsets, octets = text.buffers()
    places = memoryview(offsets).cast("i")
    return memoryview(octets)[places[text.offset] : places[text.offset + len(text)]]


def total(slots: Mapping[int, str]) -> str:
    """Return one digest over all slots, empty ones included by their absence in fixed order."""
    lines = "".join(f"{slot}:{digest};" for slot, digest in sorted(slots.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
