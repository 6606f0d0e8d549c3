"""Digests of cuts, state and results: the same for any order, sharding, worker count or time zone."""

import hashlib
from collections.abc import Mapping

import pyarrow as pa

from enfold import schema
from enfold.ledger import engine
from enfold.ledger.canonical import form, slot_sql

HOST_STAMPS = {"plugin", "plugin_version", "code_hash"}


def slot_digests(table: schema.Table, rows: pa.Table) -> dict[int, str]:
    """Return for each slot that has rows the SHA-256 over its canonical rows in sorted order."""
    fields = [f for f in table.fields if f.name not in HOST_STAMPS]
    if table.name == "events":  # the cut: ids and content of what stands
        fields = [f for f in table.fields if f.name in {"study_id", "subject_id", "event_id", "content"}]
        rows = rows.filter(rows.column("effective"))
    con = engine.connect()
    con.register("rows", rows)
    found = con.execute(f"""
        SELECT {slot_sql()} AS slot, sha256(string_agg(line, '|' ORDER BY line)) FROM (
            SELECT study_id, subject_id, {form(fields)} AS line FROM rows)
        GROUP BY slot
    """).fetchall()
    return {int(slot): str(digest) for slot, digest in found}


def total(slots: Mapping[int, str]) -> str:
    """Return one digest over all slots, empty ones included by their absence in fixed order."""
    lines = "".join(f"{slot}:{digest};" for slot, digest in sorted(slots.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
