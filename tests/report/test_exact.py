"""Exact tests against SciPy, statsmodels and slow enumeration of every order, and what cannot be tested."""

from decimal import Decimal
from fractions import Fraction
from itertools import combinations, permutations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, fisher_exact, kruskal, mannwhitneyu, rankdata
from statsmodels.stats.contingency_tables import Table

from enfold.report import exact
from enfold.report.exact import by_level, freeman_halton, ranks, shift, trend

PAIRS = st.tuples(st.integers(0, 9), st.integers(0, 9))
SMALL = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=2, max_size=3)
VALUES = st.integers(0, 6).map(Decimal)


@settings(max_examples=80, deadline=None)
@given(st.lists(PAIRS, min_size=2, max_size=2))
def test_two_levels_agree_with_fisher(groups: list[tuple[int, int]]) -> None:
    yes, no = [g[0] for g in groups], [g[1] for g in groups]
    of = [a + b for a, b in groups]
    p = freeman_halton(yes, of)
    if p is None:
        assert 0 in of or sum(yes) == 0 or sum(no) == 0
    else:
        assert float(p) == pytest.approx(fisher_exact([yes, no]).pvalue, rel=1e-9)


def test_a_worked_example_of_three_levels() -> None:
    """5/6, 10/12 and 4/4: of C(22, 3) = 1540 tables, those no likelier than 6 x 66 x 1 ways."""
    ways = [(a, b, c) for a in range(4) for b in range(4) for c in range(4) if a + b + c == 3]
    count = sum(w for a, b, c in ways if (w := comb(6, a) * comb(12, b) * comb(4, c)) <= comb(6, 1) * comb(12, 2))
    assert freeman_halton([5, 10, 4], [6, 12, 4]) * 1540 == count  # type: ignore[operator]


@pytest.mark.parametrize(("yes", "of"), [([3], [5]), ([0, 0], [4, 4]), ([4, 4], [4, 4]), ([], []), ([0, 2], [0, 4])])
def test_what_cannot_be_tested_has_no_p(yes: list[int], of: list[int]) -> None:
    assert freeman_halton(yes, of) is None
    assert by_level(yes, of).value is None
    assert trend(yes, of, range(len(of))).value is None


def every_order(yes: list[int], of: list[int], scores: list[int]) -> Fraction:
    """Slow and obvious: each way in which the responders can be chosen from the subjects, one by one."""
    place = [s for s, n in zip(scores, of, strict=True) for _ in range(n)]
    mean = Fraction(sum(yes) * sum(place), len(place))
    seen = sum(s * k for s, k in zip(scores, yes, strict=True))
    sums = [sum(chosen) for chosen in combinations(place, sum(yes))]
    return Fraction(sum(1 for t in sums if abs(t - mean) >= abs(seen - mean)), len(sums))


@settings(max_examples=60, deadline=None)
@given(SMALL, st.lists(st.integers(0, 5), min_size=3, max_size=3))
def test_the_exact_trend_counts_every_order(groups: list[tuple[int, int]], scores: list[int]) -> None:
    yes, of = [g[0] for g in groups], [a + b for a, b in groups]
    found = trend(yes, of, scores[: len(of)])
    if found.value is not None:
        assert found == exact.P(every_order(yes, of, scores[: len(of)]), "Cochran-Armitage (exact)")


@pytest.mark.parametrize("scores", [[0, 1, 2], ["0.3", 1, 3]])
def test_the_trend_of_large_groups_is_that_of_statsmodels(scores: list[int | str]) -> None:
    yes, of = [210, 260, 170], [300, 350, 250]
    weights = [Fraction(s) for s in scores]
    theirs = Table([yes, [n - k for k, n in zip(yes, of, strict=True)]]).test_ordinal_association(
        row_scores=np.array([1, 0]), col_scores=np.array([float(w) for w in weights])
    )
    n = sum(of)  # statsmodels divides by n - 1 where Cochran's variance has n
    from scipy.stats import norm

    z = theirs.zscore * (n / (n - 1)) ** 0.5
    found = trend(yes, of, weights)
    assert found.method == "Cochran-Armitage (normal approximation)"
    assert float(found.value) == pytest.approx(2 * norm.sf(abs(z)), rel=1e-9)  # type: ignore[arg-type]


def test_exact_and_approximate_trend_are_close_where_both_hold() -> None:
    yes, of = [20, 30, 45], [60, 60, 60]
    near = exact._normal_trend(
        sum(w * k for w, k in enumerate(yes)), Fraction(sum(yes) * 180, 180), [0, 1, 2], of, sum(yes)
    )
    assert float(trend(yes, of, [0, 1, 2]).value) == pytest.approx(float(near), abs=2e-5)  # type: ignore[arg-type]


def test_large_groups_fall_back_to_chi_squared() -> None:
    yes, of = [2100, 2600, 1700], [3000, 3500, 2500]
    theirs = chi2_contingency([yes, [n - k for k, n in zip(yes, of, strict=True)]], correction=False)
    found = by_level(yes, of)
    assert found.method == "chi-squared"
    assert float(found.value) == pytest.approx(theirs.pvalue, rel=1e-9)  # type: ignore[arg-type]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(VALUES, min_size=1, max_size=3), min_size=2, max_size=3).filter(lambda g: sum(map(len, g)) < 7)
)
def test_exact_ranks_count_every_order(groups: list[list[Decimal]]) -> None:
    pooled = [x for g in groups for x in g]
    found = ranks(tuple(map(tuple, groups)))
    if len(set(pooled)) < 2:
        assert found.value is None
        return
    rank = dict(zip(pooled, (2 * rankdata(pooled)).astype(int).tolist(), strict=True))

    def statistic(order: tuple[Decimal, ...]) -> Fraction:
        out, first = Fraction(0), 0
        for g in groups:
            out += Fraction(sum(rank[x] for x in order[first : first + len(g)]) ** 2, len(g))
            first += len(g)
        return out

    every = [statistic(order) for order in permutations(pooled)]
    reached, total = sum(1 for h in every if h >= every[0]), len(every)
    assert found == exact.P(Fraction(reached, total), "Kruskal-Wallis (exact)")


def test_drawn_orders_come_near_the_exact_answer_and_never_change(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = tuple(tuple(map(Decimal, g)) for g in ([3, 9, 4, 5], [8, 7, 11, 10, 5], [12, 6, 9]))
    counted = ranks.__wrapped__(groups)
    assert counted.method == "Kruskal-Wallis (exact)"
    monkeypatch.setattr(exact, "MOST_ORDERS", 1)
    drawn = ranks.__wrapped__(groups)
    assert drawn.method == "Kruskal-Wallis (permutation, 100,000 orders)"
    assert drawn == ranks.__wrapped__(groups)
    assert float(drawn.value) == pytest.approx(float(counted.value), abs=0.006)


def test_ranks_of_large_groups_are_those_of_scipy() -> None:
    groups = tuple(tuple(Decimal(17 * i % (101 + 3 * k)) for i in range(400)) for k in range(3))
    found = ranks(groups)
    assert found.method == "Kruskal-Wallis (chi-squared)"
    assert float(found.value) == pytest.approx(kruskal(*([float(x) for x in g] for g in groups)).pvalue, rel=1e-9)  # type: ignore[arg-type]


@pytest.mark.parametrize("groups", [(), ((Decimal(1),),), ((Decimal(1),), ()), ((Decimal(2),), (Decimal(2),))])
def test_ranks_of_one_group_or_one_value_say_nothing(groups: tuple[tuple[Decimal, ...], ...]) -> None:
    assert ranks(groups).value is None


def test_the_shift_of_a_textbook() -> None:
    """Permeability of the membrane at term and at 12 to 26 weeks (Hollander and Wolfe, Nonparametric statistical methods)."""
    term = [Decimal(x) for x in ["0.80", "0.83", "1.89", "1.04", "1.45", "1.38", "1.91", "1.64", "0.73", "1.46"]]
    early = [Decimal(x) for x in ["1.15", "0.88", "0.90", "0.74", "1.21"]]
    middle, limits = shift(early, term, Decimal("0.95"))
    assert (middle, limits) == (Fraction("0.305"), (Decimal("-0.15"), Decimal("0.76")))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10**6), min_size=4, max_size=13, unique=True), st.integers(1, 12))
def test_the_interval_holds_the_shifts_that_the_rank_test_does_not_refuse(values: list[int], cut: int) -> None:
    one, two = values[: cut % (len(values) - 1) + 1], values[cut % (len(values) - 1) + 1 :]
    middle, limits = shift([Decimal(v) for v in one], [Decimal(v) for v in two], Decimal("0.9"))
    differences = sorted(b - a for a in one for b in two)
    assert middle == Fraction(np.median(differences))
    if limits is None:
        assert 2 / comb(len(values), len(one)) > 0.1
        return
    for moved, refused in ((limits[0] - Decimal("0.5"), True), (limits[0] + Decimal("0.5"), False)):
        p = mannwhitneyu([v - float(moved) for v in two], one, method="exact").pvalue
        assert (p <= 0.1) == refused


@pytest.mark.parametrize(
    ("one", "two"), [([], [Decimal(1)]), ([Decimal(1)], []), ([Decimal(1)] * 1001, [Decimal(2)] * 1000)]
)
def test_no_shift_of_an_empty_group_or_of_too_many_pairs(one: list[Decimal], two: list[Decimal]) -> None:
    assert shift(one, two, Decimal("0.95")) == (None, None)
