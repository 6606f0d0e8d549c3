"""Texts of one shape pass or fail a check together, so that it may be asked of shapes."""

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from enfold import schema
from enfold.land import check
from enfold.land.shapes import DIGITS, WORDS, shapes
from enfold.ledger import engine

PARTS = ["2024-01-02T03:04:05Z", "+01:00", "=", "-", "!a", "é", "\uff1d", "(", "|", "\t", "\u200b", " ", "_", ".", "#"]
TEXTS = st.lists(
    st.text("AaTtZz09=+-@!|$#_.( \té\uff1d\uff20\u200b:", max_size=8) | st.sampled_from(PARTS), max_size=4
).map("".join)
CHECKS = [c for t in schema.events() for c in check.checks(t) if c.alike]


@given(st.lists(TEXTS, min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_if_a_shape_passes_so_does_every_text_of_it(texts: list[str]) -> None:
    assert {c.code for c in CHECKS} == {"not_an_id", "not_an_instant", "control_character", "formula"}
    con = engine.scratch()
    for alike in (WORDS, DIGITS):
        made = [shapes(pa.chunked_array([[t]]), alike)[0].as_py() for t in texts]
        con.register("pairs", pa.table({"own": texts, "shape": made}))
        for c in {(c.bad.replace(f'"{c.column}"', "THIS"), c.code) for c in CHECKS if c.alike == alike}:
            bad, code = c
            found = con.execute(
                f"SELECT {bad.replace('THIS', 'own')}, {bad.replace('THIS', 'shape')} FROM pairs"
            ).fetchall()
            assert not any(own and not shape for own, shape in found), bad
            assert code == "formula" or all(own == shape for own, shape in found), bad
        column = pa.chunked_array([["", None, *texts], texts]).slice(2)
        assert set(shapes(column, alike).to_pylist()) == set(made)


def test_many_shapes_are_not_worth_asking() -> None:
    assert shapes(pa.chunked_array([["." * n for n in range(2_000)]]), WORDS) is None
    assert shapes(pa.chunked_array([[f"{n:08x}" for n in range(2_000)]]), WORDS).to_pylist() == ["a" * 8]
