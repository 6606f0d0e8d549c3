"""Intervals against SciPy's and statsmodels' own, a published example, and what defines them."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from enfold.report.proportion import clopper_pearson, difference_interval, proportion_interval, wilson

LEVEL = Decimal("0.95")
LEVELS = st.sampled_from([Decimal("0.8"), Decimal("0.9"), Decimal("0.95"), Decimal("0.99")])
COUNTS = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@settings(max_examples=150, deadline=None)
@given(COUNTS, LEVELS)
def test_both_methods_agree_with_scipy_and_statsmodels(kn: tuple[int, int], level: Decimal) -> None:
    k, n = kn
    for ours, name, theirs in ((clopper_pearson, "exact", "beta"), (wilson, "wilson", "wilson")):
        low, high = (float(x) for x in ours(k, n, level))
        scipy = binomtest(k, n).proportion_ci(float(level), method=name)
        assert (low, high) == pytest.approx((scipy.low, scipy.high), abs=1e-9)
        assert (low, high) == pytest.approx(proportion_confint(k, n, float(1 - level), method=theirs), abs=1e-9)


@settings(max_examples=80, deadline=None)
@given(COUNTS)
def test_the_exact_limits_are_where_the_tail_holds_a_fortieth(kn: tuple[int, int]) -> None:
    """Slow and obvious: the binomial tail at each limit, summed in fractions."""
    from math import comb

    k, n = kn

    def tail(p: Fraction, ks: range) -> float:
        return float(sum(comb(n, j) * p**j * (1 - p) ** (n - j) for j in ks))

    low, high = clopper_pearson(k, n, LEVEL)
    assert (low == 0) if k == 0 else tail(low, range(k, n + 1)) == pytest.approx(0.025, rel=1e-8)
    assert (high == 1) if k == n else tail(high, range(k + 1)) == pytest.approx(0.025, rel=1e-8)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (0, 3, "0.0000", "0.7076"),
        (3, 3, "0.2924", "1.0000"),
        (19, 22, "0.6509", "0.9709"),
        (10, 22, "0.2439", "0.6779"),
    ],
)
def test_worked_values(k: int, n: int, low: str, high: str) -> None:
    assert tuple(f"{float(x):.4f}" for x in clopper_pearson(k, n, LEVEL)) == (low, high)


def test_of_nobody_there_is_no_interval() -> None:
    assert proportion_interval(0, 0, LEVEL) is None
    assert difference_interval((0, 0), (1, 2), LEVEL) is None


def test_newcombes_published_example() -> None:
    """56/70 and 48/80: method 10 gives 0.0524 to 0.3339 (Newcombe, Stat Med 1998;17:873, table II, row a)."""
    found = difference_interval((56, 70), (48, 80), LEVEL)
    assert found is not None
    assert tuple(f"{float(x):.4f}" for x in found) == ("0.0524", "0.3339")


@settings(max_examples=80, deadline=None)
@given(COUNTS, COUNTS)
def test_the_difference_agrees_with_statsmodels(one: tuple[int, int], two: tuple[int, int]) -> None:
    found = difference_interval(one, two, LEVEL)
    theirs = confint_proportions_2indep(*one, *two, method="newcomb", compare="diff")
    assert found is not None
    assert tuple(map(float, found)) == pytest.approx(theirs, abs=1e-8)
