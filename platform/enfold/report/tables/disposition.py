"""Who took part: disposition, and analysis sets with the reasons of those who are not in them."""

from enfold.report.cells import count
from enfold.report.question import Source
from enfold.report.sheet import Line, Sheet

DISPOSITION = """\
WITH people AS (
    SELECT s.subject_id, s.status, e.included = 'yes' AS enrolled, i.included = 'yes' AS infused,
           s.subject_id IN (SELECT subject_id FROM occurrences
                            WHERE kind = 'procedure' AND term = 'leukapheresis') AS collected
    FROM subjects s
    JOIN analysis_sets e ON e.subject_id = s.subject_id AND e.set = 'enrolled'
    JOIN analysis_sets i ON i.subject_id = s.subject_id AND i.set = 'infused'
),
steps AS (
    SELECT unnest([
        {'ordinal': 1, 'step': 'Screened', 'n': count(*)},
        {'ordinal': 2, 'step': 'Screen failure', 'n': count(*) FILTER (status = 'screen_failure')},
        {'ordinal': 3, 'step': 'Enrolled', 'n': count(*) FILTER (enrolled)},
        {'ordinal': 4, 'step': 'Leukapheresed', 'n': count(*) FILTER (enrolled AND collected)},
        {'ordinal': 5, 'step': 'Leukapheresed, not infused',
         'n': count(*) FILTER (enrolled AND collected AND NOT infused)},
        {'ordinal': 6, 'step': 'Infused', 'n': count(*) FILTER (infused)},
        {'ordinal': 7, 'step': 'Infused, in follow-up', 'n': count(*) FILTER (infused AND status = 'infused')},
        {'ordinal': 8, 'step': 'Infused, completed', 'n': count(*) FILTER (infused AND status = 'completed')},
        {'ordinal': 9, 'step': 'Infused, discontinued', 'n': count(*) FILTER (infused AND status = 'discontinued')},
        {'ordinal': 10, 'step': 'Infused, died', 'n': count(*) FILTER (infused AND status = 'died')}
    ]) AS s FROM people
)
SELECT s.ordinal, s.step, s.n FROM steps ORDER BY s.ordinal"""

SETS = """\
SELECT set, count(*) FILTER (included = 'yes') AS yes, count(*) FILTER (included = 'no') AS no,
       count(*) FILTER (included = 'unknown') AS unknown
FROM analysis_sets GROUP BY set
ORDER BY list_position(['enrolled', 'infused', 'efficacy_evaluable', 'dlt_evaluable', 'pk'], set)"""

REASONS = """\
SELECT set, included, reason, count(*) AS n FROM analysis_sets WHERE included <> 'yes'
GROUP BY set, included, reason
ORDER BY list_position(['enrolled', 'infused', 'efficacy_evaluable', 'dlt_evaluable', 'pk'], set), included, reason"""


def disposition(source: Source) -> list[Sheet]:
    """Return the table of steps from screening to the end of follow-up."""
    if not source.wants("disposition"):
        return []
    found = source.rows(DISPOSITION)
    enrolled = next((r["n"] for r in found if r["step"] == "Enrolled"), 0)
    lines = [
        Line(r["step"], f"step = '{r['step']}'", (count(r["n"]), source.cells.percent(r["n"], enrolled))) for r in found
    ]
    notes = ["Percent of all enrolled subjects.", "In follow-up: infused, and no end of participation by this cut."]
    return [source.sheet("disposition", "Disposition", DISPOSITION, ("", "n", "%"), lines, notes, population="all")]


def analysis_sets(source: Source) -> list[Sheet]:
    """Return who is in each analysis set, who is not, and of whom that is unknown."""
    if not source.wants("analysis-sets"):
        return []
    lines = [
        Line(r["set"].replace("_", " "), f"set = '{r['set']}'", tuple(count(r[k]) for k in ("yes", "no", "unknown")))
        for r in source.rows(SETS)
    ]
    notes = [f"{r['set'].replace('_', ' ')}, {r['included']}: {r['reason']} ({r['n']})." for r in source.rows(REASONS)]
    header = ("Set", "Included", "Not included", "Unknown")
    return [source.sheet("analysis-sets", "Analysis sets", SETS, header, lines, notes, population="all")]
