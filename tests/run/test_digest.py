"""The digest of a slot is what its definition says, whatever Arrow's buffers look like."""

import datetime as dt
import hashlib
import struct
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enfold import schema
from enfold.ledger.canonical import canonical_text, slot
from enfold.run import digest

TABLE = schema.state()["occurrences"]
EVENTS = schema.state()["events"]
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)
KINDS = {
    "count": st.integers(-99, 99),
    "flag": st.booleans(),
    "number": st.decimals(-9, 9, places=2) | st.just(Decimal("-12345678901234567890123456789.123456789")),
    "date": st.dates(dt.date(1969, 1, 1), dt.date(2026, 1, 1)),
    "instant": st.datetimes(dt.datetime(1969, 1, 1), dt.datetime(2026, 1, 1), timezones=st.just(dt.UTC)),
    "ids": st.lists(texts, max_size=3),
}
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _value(field: schema.Field) -> st.SearchStrategy[object]:
    if field.name == "study_id":
        return st.just("S")
    if field.name == "subject_id":
        return st.sampled_from("ABCD")  # so that a slot has many rows
    known = KINDS.get(field.kind, texts)
    return st.none() | known if field.optional else known


ROWS = st.lists(st.fixed_dictionaries({f.name: _value(f) for f in TABLE.fields}), max_size=12)
VERSIONS = st.lists(st.fixed_dictionaries({f.name: _value(f) for f in EVENTS.fields}), max_size=12)


def _text(kind: str, value: object) -> bytes:
    if kind == "instant":
        return str((value - EPOCH) // dt.timedelta(microseconds=1)).encode()  # type: ignore[operator]
    text = canonical_text(kind, value)
    return text[text.index(":") + 1 :].encode()


def defined_of_a_cut(rows: list[dict[str, object]]) -> dict[int, str]:
    """Return the SHA-256 over the sorted forms of the effective events of each slot, by plain Python."""
    lines: dict[int, list[str]] = {}
    for row in rows:
        if row["effective"]:
            kept = [f for f in EVENTS.fields if f.name in digest.CUT]
            line = "".join(f"{f.name}={canonical_text(f.kind, row[f.name])}" for f in kept)
            lines.setdefault(slot("S", str(row["subject_id"])), []).append(line)
    return {s: hashlib.sha256("|".join(sorted(own, key=str.encode)).encode()).hexdigest() for s, own in lines.items()}


def defined(rows: list[dict[str, object]]) -> dict[int, str]:
    """Return the digest of each slot by plain Python, as its documentation defines it."""
    slots: dict[int, list[dict[str, object]]] = {}
    for row in rows:
        slots.setdefault(slot("S", str(row["subject_id"])), []).append(row)
    found = {}
    for number, own in slots.items():
        octets = struct.pack("<q", len(own))
        for f in TABLE.fields:
            texts = [None if row[f.name] is None else _text(f.kind, row[f.name]) for row in own]
            if any(t is not None for t in texts):
                octets += f"{f.name}=".encode() + b"".join(
                    struct.pack("<i", -1 if t is None else len(t)) for t in texts
                )
                octets += b"".join(t for t in texts if t)
        found[number] = hashlib.sha256(octets).hexdigest()
    return found


@settings(deadline=None)
@given(rows=ROWS, before=st.integers(0, 3), parts=st.integers(1, 3), together=st.sampled_from([0, 128]))
def test_a_slot_digest_is_the_hash_of_its_columns(
    rows: list[dict[str, object]], before: int, parts: int, together: int
) -> None:
    held = pa.Table.from_pylist([*rows[:before], *rows], schema=TABLE.arrow()).slice(len(rows[:before]))
    step = -(-len(rows) // parts) or 1
    table = pa.concat_tables([held.slice(at, step) for at in range(0, len(rows), step)] or [held])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(digest, "SHORT", together)  # whether rows of one slot are brought together first
        assert digest.slot_digests(TABLE, table) == defined(rows)


@settings(deadline=None)
@given(rows=VERSIONS, at_once=st.sampled_from([1, 2, 3, 7, 1 << 18]))
def test_the_digest_of_a_cut_is_the_hash_of_its_sorted_rows(rows: list[dict[str, object]], at_once: int) -> None:
    table = pa.Table.from_pylist(rows, schema=EVENTS.arrow())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(digest, "ROWS", at_once)
        assert digest.slot_digests(EVENTS, table) == defined_of_a_cut(rows)


def test_a_column_that_holds_nothing_moves_no_digest() -> None:
    row = {f.name: None for f in TABLE.fields} | {"study_id": "S", "subject_id": "A", "occurrence_id": "x"}
    fewer = schema.Table(TABLE.name, TABLE.class_, 1, "", tuple(f for f in TABLE.fields if f.name != "flow"), TABLE.key)
    table = pa.table({n: pa.array([v], TABLE.arrow().field(n).type) for n, v in row.items()})
    assert digest.slot_digests(TABLE, table) == digest.slot_digests(fewer, table)
    flowing = table.set_column(
        TABLE.names.index("flow"), "flow", pa.array([Decimal(0)], TABLE.arrow().field("flow").type)
    )
    assert digest.slot_digests(TABLE, table) != digest.slot_digests(TABLE, flowing)  # zero is not nothing
