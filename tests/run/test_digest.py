"""The digest of a slot is what its definition says, however many rows are hashed at once."""

import hashlib

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enfold import schema
from enfold.ledger.canonical import canonical_text, slot
from enfold.run import digest

TABLE = schema.state()["occurrences"]
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)
KINDS = {
    "count": st.integers(-99, 99),
    "flag": st.booleans(),
    "number": st.decimals(-9, 9, places=2),
    "ids": st.lists(texts),
}


def _value(field: schema.Field) -> st.SearchStrategy[object]:
    if field.name == "study_id":
        return st.just("S")
    if field.name == "subject_id":
        return st.sampled_from("AB")  # so that a slot has many rows
    known = KINDS.get(field.kind, texts if field.kind in ("id", "code", "text") else st.none())
    return st.none() | known if field.optional else known


ROWS = st.lists(st.fixed_dictionaries({f.name: _value(f) for f in TABLE.fields}), max_size=12)


def defined(rows: list[dict[str, object]]) -> dict[int, str]:
    """Return the SHA-256 over the sorted forms of the rows of each slot, by plain Python."""
    lines: dict[int, list[str]] = {}
    for row in rows:
        filled = [(f, row[f.name]) for f in TABLE.fields if row[f.name] is not None]
        line = "".join(f"{f.name}={canonical_text(f.kind, value)}" for f, value in filled)
        lines.setdefault(slot("S", str(row["subject_id"])), []).append(line)
    return {s: hashlib.sha256("|".join(sorted(own, key=str.encode)).encode()).hexdigest() for s, own in lines.items()}


@settings(deadline=None)
@given(rows=ROWS, at_once=st.sampled_from([1, 2, 3, 7, 1 << 18]))
def test_a_slot_digest_is_the_hash_of_its_sorted_rows(rows: list[dict[str, object]], at_once: int) -> None:
    table = pa.Table.from_pylist(rows, schema=TABLE.arrow())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(digest, "ROWS", at_once)
        assert digest.slot_digests(TABLE, table) == defined(rows)
