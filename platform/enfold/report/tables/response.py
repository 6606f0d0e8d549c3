"""Responses: at any planned visit, at the last one, by visit, by dose level and by lymphodepletion."""

from typing import Any

from enfold.quoting import literal
from enfold.report.cells import count
from enfold.report.question import Source, population
from enfold.report.sheet import Cell, Line, Sheet
from enfold.study.reporting import Estimand

# three-valued: met where any planned visit meets it, open where none does and one could not be judged
SQL = """\
WITH {population},
answers AS (
    SELECT r.study_id, r.subject_id, r.visit_id, r.ordinal, r.date, r.status
    FROM responses_by_visit r JOIN population USING (study_id, subject_id)
    WHERE r.alias = {alias}
),
people AS (
    SELECT s.subject_id, coalesce(s.dose_level, 'unknown') AS dose_level,
           coalesce(s.conditioning, 'unknown') AS conditioning,
           CASE WHEN bool_or(a.status = 'met') THEN 'met' WHEN bool_or(a.status = 'not_evaluable') THEN 'not_evaluable'
                WHEN bool_or(a.status = 'not_met') THEN 'not_met' ELSE 'not_due' END AS ever,
           coalesce(arg_max(a.status, a.ordinal) FILTER (a.date IS NOT NULL), 'not_evaluable') AS last
    FROM subjects s
    JOIN population USING (study_id, subject_id)
    LEFT JOIN answers a USING (study_id, subject_id)
    GROUP BY s.subject_id, s.dose_level, s.conditioning
),
arms AS (
    SELECT factor, coalesce(l.level, p.level) AS level, coalesce(l.ordinal, 999) AS ordinal, p.ever AS status
    FROM levels l
    FULL JOIN (SELECT 'dose_level' AS factor, dose_level AS level, ever FROM people
               UNION ALL SELECT 'conditioning', conditioning, ever FROM people) p USING (factor, level)
),
asked AS (
    SELECT 1 AS section, 'visits' AS factor, 'any' AS level, 0 AS ordinal, ever AS status FROM people
    UNION ALL SELECT 2, 'visits', 'last', 0, if(last = 'not_applicable', 'not_due', last) FROM people
    UNION ALL SELECT 3, 'visits', visit_id, ordinal, if(status = 'not_applicable', 'not_due', status) FROM answers
    UNION ALL SELECT if(factor = 'dose_level', 4, 5), factor, level, ordinal, status FROM arms
)
SELECT section, factor, level, count(status) AS subjects, count(*) FILTER (status = 'met') AS met,
       count(*) FILTER (status = 'not_met') AS not_met, count(*) FILTER (status = 'not_evaluable') AS not_evaluable,
       count(*) FILTER (status = 'not_due') AS not_due
FROM asked GROUP BY section, factor, level, ordinal ORDER BY section, ordinal, level"""

FACTORS = {"dose_level": "Dose level", "conditioning": "Lymphodepletion"}
WHERE = {"any": "At any planned visit", "last": "At the last planned visit attended"}


def responses(source: Source) -> list[Sheet]:
    """Return one table for each response judged by visit, and each population that its estimands name."""
    asked = "SELECT alias FROM asked WHERE met_means = 'response' AND alias IN (SELECT alias FROM responses_by_visit)"
    aliases = {a for (a,) in source.con.execute(asked).fetchall()}
    out: list[Sheet] = []
    for endpoint in source.study.endpoints:  # in the order of the study file
        if endpoint.alias in aliases:
            found = source.estimands(endpoint.alias, "proportion")
            for name in dict.fromkeys([e.population for e in found]) or ["infused"]:
                mine = [e for e in found if e.population == name]
                key = f"response-{endpoint.alias}" + (f"-{name}" if found and name != found[0].population else "")
                if not source.wants(key):
                    continue
                out.append(_table(source, key, endpoint.alias, endpoint.imputation, name, mine))
    return out


def _table(source: Source, key: str, alias: str, imputation: str | None, name: str, estimands: list[Estimand]) -> Sheet:
    sql = SQL.format(population=population(name), alias=literal(alias))
    at = {e.at or "any": e.id for e in estimands}
    lines = [
        Line(_label(source, r), f"factor = {literal(r['factor'])} AND level = {literal(r['level'])}",
             _cells(source, r, imputed=imputation is not None),
             at.get(r["level"]) if r["factor"] == "visits" else None)
        for r in source.rows(sql)
    ]  # fmt: skip
    header = (
        "", "Observed", "%", source.cells.level, "Imputed", "%", source.cells.level, "Not evaluable", "Not due",
    )  # fmt: skip
    notes = [
        "Observed: responders of those who could be judged; not evaluable counts neither way.",
        "Imputed (non-responder imputation): of all whose visit was due; of all subjects where no one visit is meant."
        if imputation else "Imputed: the study file declares no imputation for this endpoint.",
        "By dose level and lymphodepletion: at any planned visit.",
        "Last planned visit attended: a subject who attended none is not evaluable.",
        source.cells.interval_note(),
        *(f"Line `{_at(e)}` estimates {e.id}." for e in estimands),
    ]  # fmt: skip
    chosen = estimands[0] if estimands else None
    return source.sheet(key, f"Response: {alias}", sql, header, lines, notes, population=name, estimand=chosen)


def _at(e: Estimand) -> str:
    at = e.at or "any"
    return WHERE.get(at, at)


def _label(source: Source, row: dict[str, Any]) -> str:
    if row["factor"] == "visits":
        labels = {v.id: v.label for v in source.study.visits}
        return WHERE.get(row["level"]) or labels.get(row["level"], str(row["level"]))
    return f"{FACTORS[row['factor']]} {row['level']}"


def _cells(source: Source, r: dict[str, Any], *, imputed: bool) -> tuple[Cell, ...]:
    met, judged, open_ = r["met"], r["met"] + r["not_met"], r["not_evaluable"]
    # what was not due at one visit is no failure there; over all visits every subject counts
    everybody = judged + open_ + (0 if r["section"] == 3 else r["not_due"])
    shares = source.cells.share(met, everybody) if imputed else (Cell("-"), Cell("-"), Cell("-"))
    return (*source.cells.share(met, judged), *shares, count(open_), count(r["not_due"]))
