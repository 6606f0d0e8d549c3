"""The SQL canonical form against an independent Python one, and slots against hashlib."""

import datetime as dt
from decimal import Decimal

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from enfold import schema
from enfold.ledger import canonical, engine

TEXT = st.one_of(st.none(), st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=8))
NUMBER = st.one_of(st.none(), st.decimals(-(10**9), 10**9, places=9, allow_nan=False))
EVENT = st.fixed_dictionaries(
    {
        "subject_id": st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1, max_size=5),
        "visit_id": TEXT,
        "occurred": st.sampled_from([None, "2026", "2026-01", "2026-01-05T10:00+01:00"]),
        "supersedes": st.one_of(st.none(), st.lists(st.text("abc", min_size=1, max_size=3), max_size=3)),
        "instrument": st.just("PGA"),
        "item": st.just("PGA_0_3"),
        "value_number": NUMBER,
        "value_text": TEXT,
        "not_done": st.one_of(st.none(), st.booleans()),
    }
)


@settings(max_examples=60, deadline=None)
@given(st.lists(EVENT, min_size=1, max_size=8))
def test_sql_and_python_agree_on_every_event(rows: list[dict[str, object]]) -> None:
    full = [{"study_id": "S", "event_id": f"e{i}", "schema_version": 1, **r} for i, r in enumerate(rows)]
    con = engine.connect()
    con.register("t", pa.Table.from_pylist(full, schema=schema.event_arrow("assessment")))
    found = dict(con.execute(f"SELECT event_id, {canonical.content_sql('assessment')} FROM t").fetchall())
    assert found == {str(r["event_id"]): canonical.content_digest("assessment", r) for r in full}
    slots = dict(con.execute(f"SELECT event_id, {canonical.slot_sql()} FROM t").fetchall())
    assert slots == {str(r["event_id"]): canonical.slot("S", str(r["subject_id"])) for r in full}


def test_absent_and_shifted_fields_differ() -> None:
    base = {"study_id": "S", "subject_id": "1", "instrument": "PGA", "item": "PGA_0_3", "schema_version": 1}
    forms = [
        {**base, "value_code": "ab", "value_text": "c"},
        {**base, "value_code": "a", "value_text": "bc"},
        {**base, "value_code": "abc"},
        {**base, "value_text": "abc"},
        {**base, "value_code": "abc", "value_text": ""},
    ]
    digests = {canonical.content_digest("assessment", f) for f in forms}
    assert len(digests) == len(forms)


def test_numbers_that_are_equal_have_one_form() -> None:
    assert canonical.canonical_text("number", Decimal("1.50")) == canonical.canonical_text("number", Decimal("1.5"))


def test_source_author_and_recorded_time_are_not_content() -> None:
    a = {"study_id": "S", "subject_id": "1", "term": "x", "schema_version": 1}
    b = {**a, "author": "me", "reason": "r", "source_row": 3, "recorded_at": dt.datetime.now(dt.UTC)}
    assert canonical.content_digest("adverse_event", a) == canonical.content_digest("adverse_event", b)
