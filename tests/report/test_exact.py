"""The exact test against SciPy where both exist, and what cannot be tested."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact

from enfold.report.exact import freeman_halton
from enfold.report.rounding import rounded


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=2))
def test_two_levels_agree_with_fisher(groups: list[tuple[int, int]]) -> None:
    yes, no = [g[0] for g in groups], [g[1] for g in groups]
    p = freeman_halton(yes, [a + b for a, b in groups])
    if p is None:
        assert sum(yes) == 0 or sum(no) == 0
    else:
        assert float(p) == pytest.approx(fisher_exact([yes, no]).pvalue, rel=1e-9)


def test_a_worked_example_of_three_levels() -> None:
    """5/6, 10/12 and 4/4: of C(22, 3) = 1540 tables, those no likelier than 6 x 66 x 1 ways."""
    ways = [(a, b, c) for a in range(4) for b in range(4) for c in range(4) if a + b + c == 3]
    from math import comb

    count = sum(w for a, b, c in ways if (w := comb(6, a) * comb(12, b) * comb(4, c)) <= comb(6, 1) * comb(12, 2))
    assert freeman_halton([5, 10, 4], [6, 12, 4]) * 1540 == count  # type: ignore[operator]


@pytest.mark.parametrize(("yes", "of"), [([3], [5]), ([0, 0], [4, 4]), ([4, 4], [4, 4]), ([], [])])
def test_what_cannot_be_tested_has_no_p(yes: list[int], of: list[int]) -> None:
    assert freeman_halton(yes, of) is None


@pytest.mark.parametrize(
    ("value", "text"), [("19/22", "86.4"), ("10/22", "45.5"), ("7/22", "31.8"), ("1/16", "6.3"), ("0", "0.0")]
)
def test_percentages_round_half_up(value: str, text: str) -> None:
    from fractions import Fraction

    assert rounded(100 * Fraction(value)) == text
