"""Tests and estimates for small groups: exact where the tables or orders can be counted, in whole numbers.

A large p-value means that no association was detected, never that there is none.

Sources: Freeman and Halton, Biometrika 1951;38:141; Cochran, Biometrics 1954;10:417; Armitage, Biometrics 1955;11:375;
Kruskal and Wallis, J Am Stat Assoc 1952;47:583; Hodges and Lehmann, Ann Math Stat 1963;34:598.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache
from itertools import combinations, product
from math import comb, lcm, prod
from typing import Any

from enfold import extras

MOST_TABLES = 1_000_000  # beyond that the enumeration would take too long; exactness matters for small groups
MOST_ORDERS = 200_000
MOST_DRAWN = 200  # subjects; beyond that the approximation is close, and drawing takes long
DRAWN = 100_000
SEED = 20_250_630  # of a generator whose sequence is frozen: the same orders on every machine
MOST_PAIRS = 1_000_000
MOST_SQUARES = 2**62  # what 64 bits hold of weighted squares of rank sums


@dataclass(frozen=True)
class P:
    """A p-value and how it was reached; None where the test says nothing (one group, one outcome)."""

    value: Fraction | None
    method: str


def by_level(yes: Sequence[int], of: Sequence[int]) -> P:
    """Return the two-sided p of responders by level: exact, or the chi-squared approximation for large groups."""
    if prod(n + 1 for n in of) <= MOST_TABLES:
        return P(freeman_halton(list(yes), list(of)), "Freeman-Halton (exact)")
    tested = [(k, n) for k, n in zip(yes, of, strict=True) if n]
    if len(tested) < 2 or sum(yes) in {0, sum(of)}:
        return P(None, "chi-squared")
    (stats,) = extras.load("testing an association", "scipy.stats")
    found = stats.chi2_contingency([[k for k, _ in tested], [n - k for k, n in tested]], correction=False)
    return P(_kept(found.pvalue), "chi-squared")


def freeman_halton(yes: list[int], of: list[int]) -> Fraction | None:
    """Return the exact two-sided p of responders by level, or nothing if it cannot be tested.

    Sums the probabilities, given both margins, of all tables no likelier than the observed one; of two levels it is
    Fisher's test.
    """
    responders, everybody = sum(yes), sum(of)
    if sum(1 for n in of if n) < 2 or responders in {0, everybody} or prod(n + 1 for n in of) > MOST_TABLES:
        return None
    seen = prod(comb(n, k) for n, k in zip(of, yes, strict=True))
    extreme = 0
    for head in product(*(range(n + 1) for n in of[:-1])):
        last = responders - sum(head)
        if 0 <= last <= of[-1]:
            ways = prod(comb(n, k) for n, k in zip(of, (*head, last), strict=True))
            extreme += ways if ways <= seen else 0
    return Fraction(extreme, comb(everybody, responders))


def trend(yes: Sequence[int], of: Sequence[int], scores: Sequence[Fraction | Decimal | int]) -> P:
    """Return the two-sided p of a trend of responders over ordered levels (Cochran-Armitage).

    Exact, given both margins: the share of tables whose weighted sum is at least as far from its mean as the one seen.
    For large groups the normal approximation, without continuity correction.
    """
    responders, everybody = sum(yes), sum(of)
    used = {s for s, n in zip(scores, of, strict=True) if n}
    if len(used) < 2 or responders in {0, everybody}:
        return P(None, "Cochran-Armitage")
    weights = _whole(scores)
    mean = Fraction(responders * sum(w * n for w, n in zip(weights, of, strict=True)), everybody)
    seen = sum(w * k for w, k in zip(weights, yes, strict=True))
    if everybody > MOST_DRAWN or prod(n + 1 for n in of) > MOST_TABLES:
        return P(_normal_trend(seen, mean, weights, of, responders), "Cochran-Armitage (normal approximation)")
    ways = {(0, 0): 1}  # responders so far, weighted sum so far -> tables
    for w, n in zip(weights, of, strict=True):
        more: dict[tuple[int, int], int] = {}
        for (r, t), count in ways.items():
            for k in range(min(n, responders - r) + 1):
                place = (r + k, t + w * k)
                more[place] = more.get(place, 0) + count * comb(n, k)
        ways = more
    extreme = sum(c for (r, t), c in ways.items() if r == responders and abs(t - mean) >= abs(seen - mean))
    return P(Fraction(extreme, comb(everybody, responders)), "Cochran-Armitage (exact)")


def _normal_trend(seen: int, mean: Fraction, weights: Sequence[int], of: Sequence[int], responders: int) -> Fraction:
    (stats,) = extras.load("testing a trend", "scipy.stats")
    n = sum(of)
    spread = sum(w * w * k for w, k in zip(weights, of, strict=True)) - Fraction(
        sum(w * k for w, k in zip(weights, of, strict=True)) ** 2, n
    )
    variance = Fraction(responders * (n - responders), n * n) * spread
    return _kept(2 * stats.norm.sf(float(abs(seen - mean)) / float(variance) ** 0.5))


@cache
def ranks(groups: tuple[tuple[Decimal, ...], ...]) -> P:
    """Return the p of Kruskal-Wallis: exact over all orders, over drawn ones, or chi-squared for large groups.

    Exact and drawn compare the weighted squares of rank sums, in whole numbers, so that ties are ties. Drawn orders
    come from a frozen sequence; the observed order counts as one of them.
    """
    filled = [g for g in groups if g]
    pooled = sorted(x for g in filled for x in g)
    if len(filled) < 2 or pooled[0] == pooled[-1]:
        return P(None, "Kruskal-Wallis")
    n = len(pooled)
    sizes = [len(g) for g in filled]
    scale = lcm(*sizes)
    if n > MOST_DRAWN or scale * (n * (n + 1)) ** 2 > MOST_SQUARES:
        (stats,) = extras.load("testing an association", "scipy.stats")
        found = stats.kruskal(*([float(x) for x in g] for g in filled))
        return P(_kept(found.pvalue), "Kruskal-Wallis (chi-squared)")
    doubled = _doubled_ranks(pooled)
    weights = [scale // size for size in sizes]
    seen = sum(w * sum(doubled[x] for x in g) ** 2 for w, g in zip(weights, filled, strict=True))
    every = [doubled[x] for x in pooled]
    if _orders(sizes) <= MOST_ORDERS:
        found_, total = 0, 0
        for value in _statistics(every, sizes, weights):
            total += 1
            found_ += value >= seen
        return P(Fraction(found_, total), "Kruskal-Wallis (exact)")
    return P(_drawn(every, sizes, weights, seen), f"Kruskal-Wallis (permutation, {DRAWN:,} orders)")


def _orders(sizes: Sequence[int]) -> int:
    total, out = sum(sizes), 1
    for size in sizes:
        out *= comb(total, size)
        total -= size
    return out


def _statistics(ranks_: list[int], sizes: Sequence[int], weights: Sequence[int]) -> Iterator[int]:
    """Yield the statistic of every way to share out the ranks."""
    if len(sizes) == 1:
        yield weights[0] * sum(ranks_) ** 2
        return
    places = range(len(ranks_))
    for chosen in combinations(places, sizes[0]):
        mine = {*chosen}
        own = weights[0] * sum(ranks_[i] for i in chosen) ** 2
        rest = [ranks_[i] for i in places if i not in mine]
        for other in _statistics(rest, sizes[1:], weights[1:]):
            yield own + other


def _drawn(every: list[int], sizes: Sequence[int], weights: Sequence[int], seen: int) -> Fraction:
    import numpy as np

    source = np.random.RandomState(SEED)
    values = np.array(every, dtype=np.int64)
    reached, step = 1, 10_000
    for _ in range(DRAWN // step):
        order = values[source.random_sample((step, len(values))).argsort(axis=1, kind="stable")]
        statistic, first = np.zeros(step, dtype=np.int64), 0
        for size, weight in zip(sizes, weights, strict=True):
            statistic += weight * order[:, first : first + size].sum(axis=1) ** 2
            first += size
        reached += int((statistic >= seen).sum())
    return Fraction(reached, DRAWN + 1)


def _doubled_ranks(pooled: list[Decimal]) -> dict[Decimal, int]:
    """Return twice the mid-rank of each value: whole numbers."""
    first: dict[Decimal, int] = {}
    last: dict[Decimal, int] = {}
    for place, x in enumerate(pooled, start=1):
        first.setdefault(x, place)
        last[x] = place
    return {x: first[x] + last[x] for x in first}


def shift(
    one: Sequence[Decimal], two: Sequence[Decimal], level: Decimal
) -> tuple[Fraction | None, tuple[Decimal, Decimal] | None]:
    """Return how much larger `two` is than `one` (Hodges-Lehmann), and its exact interval by rank sums.

    Nothing of an empty group or of more than a million pairs; no interval where the groups are too small for the level.
    """
    if not one or not two or len(one) * len(two) > MOST_PAIRS:
        return None, None
    differences = sorted(b - a for a in one for b in two)
    n = len(differences)
    middle = (Fraction(differences[(n - 1) // 2]) + Fraction(differences[n // 2])) / 2
    if len(one) + len(two) > MOST_DRAWN:
        return middle, None
    tail, below, place = Fraction(1 - level) / 2, 0, 0
    ways, total = _rank_sum_ways(len(one), len(two)), comb(len(one) + len(two), len(one))
    while Fraction(below + ways[place], total) <= tail:  # P(U <= place)
        below, place = below + ways[place], place + 1
    return middle, (differences[place - 1], differences[n - place]) if place else None


def _rank_sum_ways(m: int, n: int) -> list[int]:
    """Return in how many of all orders the statistic U of two groups of m and n is 0, 1, …, m x n."""
    out = [0] * (m * n + 1)
    out[0] = 1
    for k in range(1, m + 1):  # the Gaussian binomial coefficient, factor by factor
        for i in range(m * n, n + k - 1, -1):
            out[i] -= out[i - n - k]
        for i in range(k, m * n + 1):
            out[i] += out[i - k]
    return out


def _whole(scores: Sequence[Fraction | Decimal | int]) -> list[int]:
    exact = [Fraction(s) for s in scores]
    scale = lcm(*(s.denominator for s in exact))
    return [int(s * scale) for s in exact]


def _kept(value: Any) -> Fraction:
    return Fraction(Decimal(f"{float(value):.12g}"))
