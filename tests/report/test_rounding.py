"""Rounding of what is printed, against the decimal module."""

from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from enfold.report.rounding import exact, rounded

WIDE = Context(prec=60)


@given(st.decimals(-(10**6), 10**6, places=4), st.integers(0, 3), st.sampled_from(["half_up", "half_even"]))
def test_it_rounds_as_decimals_do(value: Decimal, places: int, mode: str) -> None:
    theirs = value.quantize(
        Decimal(1).scaleb(-places), {"half_up": ROUND_HALF_UP, "half_even": ROUND_HALF_EVEN}[mode], WIDE
    )
    assert Decimal(rounded(value, places, mode)) == theirs
    assert not rounded(value, places, mode).startswith("-") or Decimal(rounded(value, places, mode)) < 0


@pytest.mark.parametrize(
    ("value", "mode", "text"),
    [
        ("1/8", "half_up", "0.13"),
        ("1/8", "half_even", "0.12"),
        ("-1/8", "half_up", "-0.13"),
        ("-1/1000", "half_up", "0.00"),
    ],
)
def test_ties(value: str, mode: str, text: str) -> None:
    assert rounded(Fraction(value), 2, mode) == text


@given(st.fractions(max_denominator=500))
@example(Fraction(2 * 10**27 + 1, 2))  # of 29 digits
def test_exact_text_loses_nothing(value: Fraction) -> None:
    assert Fraction(exact(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [("1/2", "0.5"), ("950/11", "950/11"), ("-7", "-7"), ("3/20000", "0.00015"), ("1/10000000", "0.0000001")],
)
def test_exact_text_is_a_number_where_one_is_finite(value: str, text: str) -> None:
    assert exact(Fraction(value)) == text
