"""The abstract's exploratory associations: dose and conditioning against response and expansion.

A large p-value means that no association was detected, never that there is none.
"""

from typing import Any

import duckdb

from enfold.report.exact import P, by_level, ranks
from enfold.report.rounding import rounded

LEVELS = ("dose_level", "conditioning")
DETECTED_BELOW = 0.05


def associations(con: duckdb.DuckDBPyConnection, aliases: list[str]) -> list[dict[str, Any]]:
    """Return one row per pair of outcome and factor: counts, method, p-value with three decimals.

    A pair that cannot be tested (one level, one outcome) says so instead of a p-value.
    """
    out = []
    for factor in LEVELS:
        for alias in aliases:
            rows = con.execute(
                f"SELECT coalesce(s.{factor}, 'unknown'), count(*) FILTER (r.any_visit), count(*)"
                " FROM responses r JOIN subjects s USING (study_id, subject_id)"
                " WHERE r.alias = ? GROUP BY 1 ORDER BY 1",
                [alias],
            ).fetchall()
            of = [r[2] for r in rows]
            out.append(_row(alias, factor, of, by_level([r[1] for r in rows], of)))
        groups = con.execute(
            f"SELECT list(v.value_number ORDER BY v.value_number) FROM verdicts v"
            " JOIN subjects s USING (study_id, subject_id) WHERE v.alias = 'expansion' AND v.criterion = 'cmax'"
            f" AND v.period = 1 AND v.value_number IS NOT NULL GROUP BY s.{factor} ORDER BY s.{factor}"
        ).fetchall()
        values = tuple(tuple(g) for (g,) in groups)
        out.append(_row("expansion_cmax", factor, [len(g) for g in values], ranks(values)))
    return out


def _row(outcome: str, factor: str, n: list[int], found: P) -> dict[str, Any]:
    p = found.value
    reading = "not testable" if p is None else "no association detected" if p >= DETECTED_BELOW else "association"
    return {
        "outcome": outcome,
        "factor": factor,
        "method": found.method,
        "n_by_level": n,
        "p": None if p is None else rounded(p, 3),
        "reading": f"{reading} (exploratory)",
    }
