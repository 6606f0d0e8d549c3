"""The figures that a trial's abstract prints, each computed from the serving file.

No published figure is read here or anywhere else: counts come from verdicts and state alone.
"""

from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb

from enfold.report.associations import associations
from enfold.report.rounding import rounded
from enfold.serve.build import current
from enfold.serve.study import connect

MONTH = Fraction("30.4375")  # days


def figures(folder: Path) -> dict[str, Any]:
    """Return every figure of the run in force by name; counts first, percentages with one decimal, rounded half up."""
    return figures_of(connect(current(folder)))


def figures_of(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """Return every figure of an opened serving file."""
    n = _count(con, "SELECT count(*) FROM subjects WHERE infusion_date IS NOT NULL")
    out: dict[str, Any] = {
        "infused": n,
        "prior_therapies_at_least_4": share(
            _count(
                con,
                "SELECT count(*) FROM (SELECT subject_id FROM exposures WHERE role = 'prior_therapy'"
                " AND outcome = 'inadequate_response' GROUP BY subject_id HAVING count(DISTINCT substance) >= 4)",
            ),
            n,
        ),
        "conditioning": _levels(con, "conditioning"),
        "dose_level": _levels(con, "dose_level"),
        "follow_up_months": _months(con, "follow_up"),
    }
    asked = "SELECT DISTINCT alias FROM responses ORDER BY alias"
    aliases = [a for (a,) in con.execute(asked).fetchall()]
    for alias in aliases:
        out[alias] = _responders(con, alias, n)
    for alias in ("crs", "icans"):
        out[alias] = _grades(con, alias, n)
    out["relapse"] = share(_count(con, _OVERALL.format(alias="relapse", status="met")), n)
    out["relapse_months"] = _months(con, "relapse")
    out["expansion_cmax_median_by_dose_level"] = _medians(con, "dose_level")
    out["expansion_cmax_median_by_conditioning"] = _medians(con, "conditioning")
    out["associations"] = associations(con, aliases)
    return out


_OVERALL = (
    "SELECT count(DISTINCT subject_id) FROM verdicts"
    " WHERE alias = '{alias}' AND criterion = 'overall' AND status = '{status}'"
)


def share(k: int, n: int) -> dict[str, Any]:
    """Return k of n with the percentage, or no percentage of nothing."""
    percent = rounded(Fraction(100 * k, n)) if n else None
    return {"n": k, "of": n, "percent": percent}


def _count(con: duckdb.DuckDBPyConnection, query: str) -> int:
    ((k,),) = con.execute(query).fetchall()
    return int(k)


def _levels(con: duckdb.DuckDBPyConnection, column: str) -> dict[str, int]:
    query = (
        f"SELECT coalesce({column}, 'unknown') AS level, count(*) FROM subjects"
        " WHERE infusion_date IS NOT NULL GROUP BY level ORDER BY level"
    )
    return dict(con.execute(query).fetchall())


def _responders(con: duckdb.DuckDBPyConnection, alias: str, n: int) -> dict[str, Any]:
    """Responder: met at any planned visit; the last-visit reading stands beside it."""
    rows = con.execute(
        "SELECT coalesce(s.dose_level, 'None'), coalesce(s.conditioning, 'None'), count(*),"
        " count(*) FILTER (r.any_visit), count(*) FILTER (r.last_visit = 'met')"
        " FROM responses r JOIN subjects s USING (study_id, subject_id) WHERE r.alias = ? GROUP BY ALL",
        [alias],
    ).fetchall()
    return {
        **share(sum(r[3] for r in rows), n),
        "last_visit": share(sum(r[4] for r in rows), n),
        "by_visit": _by_visit(con, alias),
        "by_dose_level": _split(rows, 0),
        "by_conditioning": _split(rows, 1),
    }


def _by_visit(con: duckdb.DuckDBPyConnection, alias: str) -> dict[str, dict[str, Any]]:
    """As observed (of those evaluable) and, where the study declares it, imputed (of all whose visit was due)."""
    rows = con.execute(
        "SELECT visit_id, count(*) FILTER (status = 'met'), count(*) FILTER (status = 'not_met'),"
        " count(*) FILTER (status = 'not_evaluable'), count(*) FILTER (status_imputed = 'met'),"
        " count(*) FILTER (status_imputed IN ('met', 'not_met')) FROM responses_by_visit WHERE alias = ?"
        " GROUP BY visit_id, ordinal HAVING count(*) FILTER (status <> 'not_applicable') > 0 ORDER BY ordinal",
        [alias],
    ).fetchall()
    return {
        visit: {"observed": share(met, met + failed), "not_evaluable": open_, "imputed": share(yes, of) if of else None}
        for visit, met, failed, open_, yes, of in rows
    }


def _split(rows: list[tuple[Any, ...]], place: int) -> dict[str, dict[str, Any]]:
    return {
        level: share(sum(r[3] for r in rows if r[place] == level), sum(r[2] for r in rows if r[place] == level))
        for level in sorted({r[place] for r in rows})
    }


def _grades(con: duckdb.DuckDBPyConnection, alias: str, n: int) -> dict[str, Any]:
    rows = con.execute(
        "SELECT grade, count(*), count(*) FILTER (open) FROM ("
        " SELECT max(grade) AS grade, bool_or(status = 'not_evaluable') AS open FROM verdicts"
        " WHERE alias = ? AND criterion = 'overall' GROUP BY subject_id) GROUP BY grade",
        [alias],
    ).fetchall()
    by_grade = {str(g): sum(r[1] for r in rows if r[0] == g) for g in range(1, 6)}
    return {
        "any": share(sum(by_grade.values()), n),
        "by_maximum_grade": by_grade,
        "not_evaluable": sum(r[2] for r in rows if r[0] is None),
    }


def _months(con: duckdb.DuckDBPyConnection, alias: str) -> dict[str, Any]:
    """Median and range in months of 30.4375 days; the median of two middle values is their mean."""
    days = sorted(
        int(d)
        for (d,) in con.execute(
            "SELECT value_number FROM verdicts WHERE alias = ? AND criterion = 'overall'"
            " AND status = 'met' AND value_number IS NOT NULL",
            [alias],
        ).fetchall()
    )
    if not days:
        return {"n": 0, "median": None, "min": None, "max": None}
    k = len(days)
    median = Fraction(days[(k - 1) // 2] + days[k // 2], 2)
    return {
        "n": k,
        "median": rounded(median / MONTH),
        "min": rounded(days[0] / MONTH),
        "max": rounded(days[-1] / MONTH),
    }


def _medians(con: duckdb.DuckDBPyConnection, column: str) -> dict[str, Any]:
    rows = con.execute(
        f"SELECT coalesce(s.{column}, 'unknown'), v.value_number FROM verdicts v"
        " JOIN subjects s USING (study_id, subject_id)"
        " WHERE v.alias = 'expansion' AND v.criterion = 'cmax' AND v.period = 1 AND v.value_number IS NOT NULL"
    ).fetchall()
    out = {}
    for level in sorted({r[0] for r in rows}):
        values = sorted(Fraction(r[1]) for r in rows if r[0] == level)
        k = len(values)
        out[level] = {"n": k, "median": rounded((values[(k - 1) // 2] + values[k // 2]) / 2)}
    return out
