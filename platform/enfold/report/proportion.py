"""Intervals of a proportion, and of the difference of two.

Sources: Clopper and Pearson, Biometrika 1934;26:404; Wilson, J Am Stat Assoc 1927;22:209; Newcombe, Stat Med
1998;17:873 (method 10). Half of 1 - level lies on each side, also where all or none respond.
"""

from decimal import Decimal
from fractions import Fraction
from math import isqrt
from typing import Any

from enfold import extras

DIGITS = 12  # what SciPy's quantiles are kept to: the same on any machine
Interval = tuple[Fraction, Fraction]


def proportion_interval(k: int, n: int, level: Decimal, method: str = "clopper_pearson") -> Interval | None:
    """Return the interval of k of n as fractions of 1, or nothing of nobody."""
    if n == 0:
        return None
    return clopper_pearson(k, n, level) if method == "clopper_pearson" else wilson(k, n, level)


def clopper_pearson(k: int, n: int, level: Decimal) -> Interval:
    """Return the exact interval: quantiles of the beta distribution; 0 where none and 1 where all respond."""
    beta = _distributions().beta
    tail = float((1 - level) / 2)
    low = Fraction(0) if k == 0 else kept(beta.ppf(tail, k, n - k + 1))
    high = Fraction(1) if k == n else kept(beta.isf(tail, k + 1, n - k))
    return low, high


def wilson(k: int, n: int, level: Decimal) -> Interval:
    """Return the score interval, without continuity correction."""
    z = normal_quantile(level)
    middle = (k + z * z / 2) / (n + z * z)
    half = z * root(Fraction(k * (n - k), n) + z * z / 4) / (n + z * z)
    return max(middle - half, Fraction(0)), min(middle + half, Fraction(1))


def difference_interval(one: tuple[int, int], two: tuple[int, int], level: Decimal) -> Interval | None:
    """Return the interval of p1 - p2, each given as (k, n): Newcombe's hybrid of two score intervals."""
    if one[1] == 0 or two[1] == 0:
        return None
    (p1, (l1, u1)), (p2, (l2, u2)) = ((Fraction(k, n), wilson(k, n, level)) for k, n in (one, two))
    return (
        p1 - p2 - root((p1 - l1) ** 2 + (u2 - p2) ** 2),
        p1 - p2 + root((u1 - p1) ** 2 + (p2 - l2) ** 2),
    )


def normal_quantile(level: Decimal) -> Fraction:
    """Return the two-sided normal quantile of a level: 1.96 of 0.95."""
    return kept(_distributions().norm.isf(float((1 - level) / 2)))


def kept(value: float) -> Fraction:
    """Return what SciPy says to the digits that are kept."""
    return Fraction(Decimal(f"{float(value):.{DIGITS}g}"))


def root(value: Fraction) -> Fraction:
    """Return a square root to 20 decimals."""
    scale = 10**40
    return Fraction(isqrt(value.numerator * scale // value.denominator), 10**20)


def _distributions() -> Any:
    return extras.load("computing intervals", "scipy.stats")[0]
