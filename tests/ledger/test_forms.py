"""The canonical form from Arrow columns is that of SQL, to the octet."""

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enfold import schema
from enfold.ledger import canonical, engine, forms

FIELDS = schema.state()["findings"].fields
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
VALUES = {
    "id": WORDS,
    "code": WORDS,
    "flag": st.booleans(),
    "date": st.dates(dt.date(1900, 1, 1), dt.date(2100, 1, 1)),
    "text": WORDS,
    "count": st.integers(-(2**40), 2**40),
    "number": st.integers(-(10**12), 10**12).map(lambda n: Decimal(n).scaleb(-9)),
    "instant": st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1)).map(lambda t: t.replace(tzinfo=dt.UTC)),
    "ids": st.lists(WORDS, max_size=4),
}
ROWS = st.lists(st.fixed_dictionaries({f.name: st.none() | VALUES[f.kind] for f in FIELDS}), max_size=12)


@given(ROWS, st.integers(1, 5), st.integers(1, 9), st.sampled_from([0, 8, 1000]), st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_forms_equal_the_form_in_sql(
    rows: list[dict[str, object]], pieces: int, times: int, few: int, folded: bool
) -> None:
    """In one piece or several, folded or not, whether distinct values and combinations count as few or many."""
    shape = pa.schema([f.arrow().with_nullable(True) for f in FIELDS])
    table = pa.concat_tables([pa.Table.from_pylist((rows * times)[i::pieces], schema=shape) for i in range(pieces)])
    con = engine.scratch()
    con.register("rows", table)
    wanted = con.sql(f"SELECT '|' || {canonical.form(FIELDS)} AS line FROM rows").to_arrow_table()
    if folded:
        kept = {f.name for f in FIELDS if f.kind == "ids"}
        table = pa.table({n: table[n] if n in kept else table[n].dictionary_encode() for n in table.column_names})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forms, "ROWS", 7)
        patch.setattr(forms, "AT_ONCE", 3)
        patch.setattr(forms, "SAMPLE", few or 1)  # 1: every column counts as one of many values
        patch.setattr(forms, "FEW", few or 0.001)
        found = pa.chunked_array(forms.each(FIELDS, table, before="|"), pa.string())
    assert found.to_pylist() == wanted.column(0).to_pylist()


@settings(deadline=None)
@given(st.lists(st.none() | st.lists(st.sampled_from("abcé"), max_size=3), max_size=6))
def test_whether_lists_are_sorted(lists: list[list[str] | None]) -> None:
    array = pa.array(lists, pa.list_(pa.string()))
    held = [x for x in lists if x is not None]
    assert forms.is_sorted(array) == all(x == sorted(x) for x in held)
    assert forms.is_sorted(array, distinct=True) == all(x == sorted(set(x)) for x in held)


@settings(deadline=None)
@given(st.lists(st.none() | st.lists(st.none() | st.sampled_from("abcé"), max_size=5), max_size=6), st.integers(0, 2))
def test_lists_made_tidy(lists: list[list[str | None] | None], begin: int) -> None:
    array = pa.array(lists, pa.list_(pa.string())).slice(begin)
    wanted = [None if x is None else sorted({w for w in x if w is not None}) for x in lists[begin:]]
    assert forms.tidied(array).to_pylist() == wanted


def test_two_questions_do_not_see_each_others_tables() -> None:
    one, other = engine.scratch(), engine.scratch()
    one.register("mine", pa.table({"n": [1]}))
    assert other.execute("SELECT count(*) FROM duckdb_views() WHERE view_name = 'mine'").fetchall() == [(0,)]
