"""Dose and lymphodepletion against response and expansion: exploratory, in small groups."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

from enfold.quoting import literal
from enfold.report.cells import words
from enfold.report.exact import DRAWN, MOST_PAIRS, SEED, P, by_level, ranks, shift, trend
from enfold.report.proportion import difference_interval
from enfold.report.question import Source, population
from enfold.report.rounding import exact
from enfold.report.sheet import NOT_ESTIMABLE, Cell, Line, Sheet, Value

DETECTED_BELOW = Fraction(1, 20)
FACTORS = {"dose_level": "dose level", "conditioning": "lymphodepletion"}

RESPONSE = """\
WITH {population},
people AS (
    SELECT r.alias, r.any_visit, s.dose_level, s.conditioning
    FROM responses r JOIN population USING (study_id, subject_id) JOIN subjects s USING (study_id, subject_id)
),
arms AS (
    SELECT 'dose_level' AS factor, alias, coalesce(dose_level, 'unknown') AS level, any_visit FROM people
    UNION ALL SELECT 'conditioning', alias, coalesce(conditioning, 'unknown'), any_visit FROM people
)
SELECT a.factor, a.alias, a.level, l.dose, count(*) FILTER (a.any_visit) AS responders, count(*) AS subjects
FROM arms a LEFT JOIN levels l USING (factor, level)
GROUP BY a.factor, a.alias, a.level, l.dose, l.ordinal
ORDER BY a.factor DESC, a.alias, l.ordinal NULLS LAST, a.level"""

EXPANSION = """\
WITH {population},
peaks AS (
    SELECT v.alias, v.criterion, v.value_number AS value, s.dose_level, s.conditioning
    FROM verdicts v JOIN population USING (study_id, subject_id) JOIN subjects s USING (study_id, subject_id)
    WHERE v.alias IN ({aliases}) AND v.criterion IN ('cmax', 'auc') AND coalesce(v.period, 1) = 1
),
arms AS (
    SELECT 'dose_level' AS factor, alias, criterion, coalesce(dose_level, 'unknown') AS level, value FROM peaks
    UNION ALL SELECT 'conditioning', alias, criterion, coalesce(conditioning, 'unknown'), value FROM peaks
),
lists AS (
    SELECT a.factor, a.alias, a.criterion, a.level, l.ordinal, count(*) AS subjects,
           list(a.value ORDER BY a.value) FILTER (a.value IS NOT NULL) AS known
    FROM arms a LEFT JOIN levels l USING (factor, level)
    GROUP BY a.factor, a.alias, a.criterion, a.level, l.ordinal
)
SELECT factor, alias, criterion, level, subjects, coalesce(len(known), 0) AS known, {quartile}(known, 2) AS median,
       {quartile}(known, 1) AS q1, {quartile}(known, 3) AS q3, known[1] AS least, known[-1] AS greatest,
       known AS values_in_order
FROM lists ORDER BY factor DESC, alias, criterion DESC, ordinal NULLS LAST, level"""


def expansion(source: Source) -> list[Sheet]:
    """Return peak and area of the expansion of the cells, by dose level and lymphodepletion."""
    found = [e for a in source.aliases("expansion") for e in source.estimands(a, "median")]
    name = found[0].population if found else "infused"
    sql = _expansion_sql(source, name)
    if sql is None or not source.wants("expansion"):
        return []
    lines = [
        Line(f"{_measure(r)}, {FACTORS[r['factor']]} {r['level']}",
             f"alias = {literal(r['alias'])} AND criterion = {literal(r['criterion'])}"
             f" AND factor = {literal(r['factor'])} AND level = {literal(r['level'])}",
             (source.cells.known(r["known"], r["subjects"]), *source.cells.summary(r, 0)))
        for r in source.rows(sql)
    ]  # fmt: skip
    header = ("", "Known", "Median", "Q1 to Q3", "Range")
    notes = ["In the unit of the samples; after the first infusion.", source.cells.quantile_note()]
    chosen = found[0] if found else None
    title = "Expansion of the cells"
    return [source.sheet("expansion", title, sql, header, lines, notes, population=name, estimand=chosen)]


def response_associations(source: Source) -> list[Sheet]:
    """Return response by dose level and by lymphodepletion, with exact tests and an estimate."""
    if not source.wants("association-response"):
        return []
    sql = RESPONSE.format(population=population("infused"))
    lines = []
    for (factor, alias), rows in _grouped(source.rows(sql), "factor", "alias").items():
        yes, of = [r["responders"] for r in rows], [r["subjects"] for r in rows]
        dosed = source.study.report.trend_scores == "dose" and all(r["dose"] is not None for r in rows)
        scores = [r["dose"] if dosed else k for k, r in enumerate(rows)]
        over_all, along = by_level(yes, of), trend(yes, of, scores)
        first, last = (yes[0], of[0]), (yes[-1], of[-1])
        found = Fraction(last[0], last[1]) - Fraction(first[0], first[1]) if len(rows) > 1 else None
        limits = difference_interval(last, first, source.study.report.level) if len(rows) > 1 else None
        places = source.study.report.percent_places
        lines.append(Line(
            f"{alias} by {FACTORS[factor]}", f"factor = {literal(factor)} AND alias = {literal(alias)}",
            (
                Cell(", ".join(f"{r['level']}: {r['responders']}/{r['subjects']}" for r in rows),
                     tuple(Value("n", str(k)) for k in yes) + tuple(Value("of", str(n)) for n in of)),
                _p(source, over_all), _p(source, along),
                source.cells.number(None if found is None else 100 * found, "difference", "proportion", places),
                source.cells.span(limits and (100 * limits[0], 100 * limits[1]), "newcombe", places),
                words(_reading(over_all, along)),
            ),
        ))  # fmt: skip
    header = ("", "Responders by level", "p", "p of trend", "Last - first level, %", source.cells.level, "Reading")
    notes = [
        f"{EXPLORATORY} Responders: met at any planned visit, of all subjects.",
        f"p: {_methods(lines, 1)}. p of trend: {_methods(lines, 2)}, scores: {_scores(source)}.",
        f"Difference of the last and the first level listed, interval by Newcombe's method 10."
        f" {source.cells.rounding_note()}",
    ]
    title = "Response by dose level and lymphodepletion, exploratory"
    return [source.sheet("association-response", title, sql, header, lines, notes)] if lines else []


def expansion_associations(source: Source) -> list[Sheet]:
    """Return expansion by dose level and by lymphodepletion, with a rank test and an estimate."""
    sql = _expansion_sql(source, "infused")
    if sql is None or not source.wants("association-expansion"):
        return []
    lines = []
    for (factor, alias, criterion), rows in _grouped(source.rows(sql), "factor", "alias", "criterion").items():
        groups: tuple[tuple[Decimal, ...], ...] = tuple(tuple(r["values_in_order"] or ()) for r in rows)
        known = tuple(Value("n", str(r["known"])) for r in rows)
        tested = ranks(groups)
        middle, limits = shift(groups[0], groups[-1], source.study.report.level) if len(rows) > 1 else (None, None)
        where = f"factor = {literal(factor)} AND alias = {literal(alias)} AND criterion = {literal(criterion)}"
        lines.append(Line(f"{_measure(rows[0])} by {FACTORS[factor]}", where, (
            Cell(", ".join(f"{r['level']}: {r['known']}" for r in rows), known),
            _p(source, tested),
            source.cells.number(middle, "shift", "hodges_lehmann", 0),
            source.cells.span(limits, "rank_sum", 0),
            words(_reading(tested)),
        )))  # fmt: skip
    header = ("", "Known by level", "p", "Last - first level", source.cells.level, "Reading")
    notes = [
        f"{EXPLORATORY} p: {_methods(lines, 1)}"
        f" (more orders than can be counted: {DRAWN:,} from a frozen sequence, seed {SEED}).",
        f"Last and first level listed: Hodges-Lehmann, interval by rank sums; {NOT_ESTIMABLE}: too"
        f" few subjects for the level, or more than {MOST_PAIRS:,} pairs. {source.cells.rounding_note()}",
    ]
    title = "Expansion by dose level and lymphodepletion, exploratory"
    return [source.sheet("association-expansion", title, sql, header, lines, notes)]


EXPLORATORY = (
    "Exploratory, not adjusted for the number of tests;"
    " a large p says that no association was detected, not that there is none."
)


def _expansion_sql(source: Source, name: str) -> str | None:
    aliases = source.aliases("expansion")
    if not aliases:
        return None
    listed = ", ".join(literal(a) for a in aliases)
    return EXPANSION.format(population=population(name), aliases=listed, quartile=source.cells.quartile)


def _measure(row: dict[str, Any]) -> str:
    return f"{row['alias']} {row['criterion'].upper() if row['criterion'] == 'auc' else 'Cmax'}"


def _grouped(rows: list[dict[str, Any]], *keys: str) -> dict[tuple[str, ...], list[dict[str, Any]]]:
    out: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for r in rows:
        out.setdefault(tuple(r[k] for k in keys), []).append(r)
    return out


def _p(source: Source, found: P) -> Cell:
    if found.value is None:
        return Cell(NOT_ESTIMABLE, (Value("p", None, found.method),))
    shown = source.cells.rounded(found.value, 3) if found.value >= Fraction(1, 1000) else "<0.001"
    return Cell(shown, (Value("p", exact(found.value), found.method),))


def _reading(*found: P) -> str:
    values = [p.value for p in found if p.value is not None]
    if not values:
        return "not testable (exploratory)"
    return f"{'association' if min(values) < DETECTED_BELOW else 'no association detected'} (exploratory)"


def _methods(lines: list[Line], column: int) -> str:
    found = {v.method for line in lines for v in line.cells[column].values if v.value is not None}
    return ", ".join(sorted(found)) or "nothing could be tested"


def _scores(source: Source) -> str:
    chosen = source.study.report.trend_scores
    return "doses, else ranks of levels" if chosen == "dose" else "ranks of levels"
