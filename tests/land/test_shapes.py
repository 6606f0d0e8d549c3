"""Texts of one shape pass or fail a check together, so that it may be asked of shapes."""

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from enfold import schema
from enfold.land import check
from enfold.land.shapes import shapes
from enfold.ledger import engine

PARTS = ["2024-01-02T03:04:05Z", "+01:00", "=", "-", "!a", "é", "\uff1d", "(", "|", "\t", "\u200b", " ", "_", ".", "#"]
TEXTS = st.lists(
    st.text("AaTtZz09=+-@!|$#_.( \té\uff1d\uff20\u200b:", max_size=8) | st.sampled_from(PARTS), max_size=4
).map("".join)
CHECKS = [c for t in schema.events() for c in check.checks(t) if c.by_shape]


@given(st.lists(TEXTS, min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_a_text_and_its_shape_have_one_answer(texts: list[str]) -> None:
    assert {c.code for c in CHECKS} == {"not_an_id", "not_an_instant", "control_character", "formula"}
    column = pa.chunked_array([["", None], texts, texts]).slice(2)
    both = pa.table({"own": texts, "shape": [shapes(pa.chunked_array([[t]]))[0].as_py() for t in texts]})
    con = engine.scratch()
    con.register("pairs", both)
    for bad in {c.bad.replace(f'"{c.column}"', "THIS") for c in CHECKS}:
        found = con.execute(
            f"SELECT {bad.replace('THIS', 'own')}, {bad.replace('THIS', 'shape')} FROM pairs"
        ).fetchall()
        assert all(own == shape for own, shape in found), bad
    assert set(shapes(column).to_pylist()) == set(both.column("shape").to_pylist())


def test_many_shapes_are_not_worth_asking() -> None:
    assert shapes(pa.chunked_array([["." * n for n in range(2_000)]])) is None
    assert len(shapes(pa.chunked_array([[f"{n:08x}" for n in range(2_000)]]))) < 300
