"""Exploratory association of dose and conditioning with expansion and response.

Small groups: Freeman-Halton exact test for response by level, Kruskal-Wallis for Cmax by level. A large
p-value means that no association was detected, never that there is none.
"""

from fractions import Fraction
from itertools import product
from math import comb, prod
from typing import Any

import duckdb

LEVELS = ("dose_level", "conditioning")
DETECTED_BELOW = 0.05
MOST_TABLES = 1_000_000  # beyond that the enumeration would take too long; exactness matters for small groups


def associations(con: duckdb.DuckDBPyConnection, aliases: list[str]) -> list[dict[str, Any]]:
    """Return one row per pair of outcome and factor: counts, method, p-value with three decimals.

    A pair that cannot be tested (one level, one outcome, no SciPy) says so instead of a p-value.
    """
    out = []
    for factor in LEVELS:
        for alias in aliases:
            rows = con.execute(
                f"SELECT coalesce(s.{factor}, 'unknown'), count(*) FILTER (r.any_visit),"
                " count(*) FILTER (NOT r.any_visit) FROM responses r JOIN subjects s USING (study_id, subject_id)"
                " WHERE r.alias = ? GROUP BY 1 ORDER BY 1",
                [alias],
            ).fetchall()
            yes, of = [r[1] for r in rows], [r[1] + r[2] for r in rows]
            out.append(_row(alias, factor, "Freeman-Halton exact", of, freeman_halton(yes, of)))
        groups = con.execute(
            f"SELECT list(v.value_number ORDER BY v.value_number) FROM verdicts v"
            " JOIN subjects s USING (study_id, subject_id) WHERE v.alias = 'expansion' AND v.criterion = 'cmax'"
            f" AND v.period = 1 AND v.value_number IS NOT NULL GROUP BY s.{factor} ORDER BY s.{factor}"
        ).fetchall()
        values = [[float(x) for x in g] for (g,) in groups]
        out.append(_row("expansion_cmax", factor, "Kruskal-Wallis", [len(g) for g in values], _ranks(values)))
    return out


def _row(outcome: str, factor: str, method: str, n: list[int], p: Fraction | float | None) -> dict[str, Any]:
    reading = "not testable" if p is None else "no association detected" if p >= DETECTED_BELOW else "association"
    return {
        "outcome": outcome,
        "factor": factor,
        "method": method,
        "n_by_level": n,
        "p": None if p is None else f"{float(p):.3f}",
        "reading": f"{reading} (exploratory)",
    }


def freeman_halton(yes: list[int], of: list[int]) -> Fraction | None:
    """Return the exact two-sided p of responders by level, or nothing if it cannot be tested.

    Sums the probabilities, given both margins, of all tables no likelier than the observed one. In
    whole numbers, so that ties are ties. Source: Freeman GH, Halton JH. Biometrika 1951;38:141-9.
    """
    responders, everybody = sum(yes), sum(of)
    if len(of) < 2 or responders in {0, everybody} or prod(n + 1 for n in of) > MOST_TABLES:
        return None
    seen = prod(comb(n, k) for n, k in zip(of, yes, strict=True))
    extreme = 0
    for head in product(*(range(n + 1) for n in of[:-1])):
        last = responders - sum(head)
        if 0 <= last <= of[-1]:
            ways = prod(comb(n, k) for n, k in zip(of, (*head, last), strict=True))
            extreme += ways if ways <= seen else 0
    return Fraction(extreme, comb(everybody, responders))


def _ranks(groups: list[list[float]]) -> float | None:
    if len(groups) < 2 or len({x for g in groups for x in g}) < 2:
        return None
    try:
        from scipy.stats import kruskal
    except ImportError:
        return None
    return float(kruskal(*groups).pvalue)
