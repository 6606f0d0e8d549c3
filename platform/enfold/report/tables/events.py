"""Adverse events by class and maximum grade, and deviations from the protocol."""

from enfold.quoting import literal
from enfold.report.cells import count
from enfold.report.question import Source, population
from enfold.report.sheet import Line, Sheet

ADVERSE = """\
WITH {population},
seen AS (
    SELECT o.subject_id, coalesce(o.body_system, o.category, 'class not stated') AS class, o.grade, o.scale, o.serious,
           o.treatment_emergent IS NULL AS undated
    FROM occurrences o JOIN population USING (study_id, subject_id)
    WHERE o.kind = 'adverse_event' AND coalesce(o.treatment_emergent, true)
),
worst AS (
    SELECT class, subject_id, max(grade) AS grade, bool_or(grade IS NULL) AS open, count(*) AS events,
           count(*) FILTER (undated) AS undated, count(*) FILTER (serious) AS serious
    FROM seen GROUP BY class, subject_id
    UNION ALL
    SELECT '', subject_id, max(grade), bool_or(grade IS NULL), count(*), count(*) FILTER (undated),
           count(*) FILTER (serious)
    FROM seen GROUP BY subject_id
),
counted AS (
    SELECT class, count(*) AS subjects, count(*) FILTER (grade = 1) AS grade_1, count(*) FILTER (grade = 2) AS grade_2,
           count(*) FILTER (grade = 3) AS grade_3, count(*) FILTER (grade = 4) AS grade_4,
           count(*) FILTER (grade = 5) AS grade_5, count(*) FILTER (grade IS NULL) AS no_grade,
           count(*) FILTER (serious > 0) AS serious, sum(events) AS events, sum(undated) AS undated
    FROM worst GROUP BY class
)
SELECT c.class, coalesce(n.subjects, 0) AS subjects, (SELECT count(*) FROM population) AS of,
       coalesce(grade_1, 0) AS grade_1, coalesce(grade_2, 0) AS grade_2, coalesce(grade_3, 0) AS grade_3,
       coalesce(grade_4, 0) AS grade_4, coalesce(grade_5, 0) AS grade_5, coalesce(no_grade, 0) AS no_grade,
       coalesce(serious, 0) AS serious, CAST(coalesce(events, 0) AS BIGINT) AS events,
       CAST(coalesce(undated, 0) AS BIGINT) AS undated
FROM (SELECT '' AS class UNION SELECT class FROM counted) c LEFT JOIN counted n USING (class) ORDER BY c.class"""
COLUMNS = ("grade_1", "grade_2", "grade_3", "grade_4", "grade_5", "no_grade", "serious", "events")

DEVIATIONS = """\
WITH {population},
asked_for AS (SELECT alias, id FROM asked WHERE id IN ('eligibility', 'conduct', 'visit_timing')),
found AS (
    SELECT d.alias, d.criterion, count(*) AS deviations, count(DISTINCT subject_id) AS subjects
    FROM deviations d JOIN population USING (study_id, subject_id) GROUP BY d.alias, d.criterion
),
open AS (
    SELECT v.alias, v.criterion, count(DISTINCT subject_id) FILTER (v.status = 'not_evaluable') AS not_evaluable
    FROM verdicts v JOIN asked_for USING (alias) JOIN population USING (study_id, subject_id)
    WHERE v.criterion <> 'overall' GROUP BY v.alias, v.criterion
)
SELECT o.alias, o.criterion, coalesce(f.deviations, 0) AS deviations, coalesce(f.subjects, 0) AS subjects,
       (SELECT count(*) FROM population) AS of, o.not_evaluable
FROM open o LEFT JOIN found f USING (alias, criterion) ORDER BY o.alias, o.criterion"""


def adverse_events(source: Source) -> list[Sheet]:
    """Return treatment-emergent adverse events: subjects by class and maximum grade."""
    if not source.wants("adverse-events"):
        return []
    sql = ADVERSE.format(population=population("infused"))
    found = source.rows(sql)
    lines = [
        Line(r["class"] or "Any class", f"class = {literal(r['class'])}",
             (*source.cells.share(r["subjects"], r["of"])[:2], *(count(r[c]) for c in COLUMNS)))
        for r in found
    ]  # fmt: skip
    header = (
        "Class",
        "Subjects",
        "%",
        "Max. 1",
        "Max. 2",
        "Max. 3",
        "Max. 4",
        "Max. 5",
        "No grade",
        "Serious",
        "Events",
    )
    scales = source.con.execute(
        "SELECT DISTINCT coalesce(scale, 'not stated') FROM occurrences WHERE kind = 'adverse_event' ORDER BY 1"
    ).fetchall()
    notes = [
        "Treatment-emergent; each subject once a class, at the highest grade there. Class: body system, else category.",
        f"{found[0]['undated']} events are counted whose onset does not tell whether they are treatment-emergent.",
        f"Scales of grades: {', '.join(s for (s,) in scales) or 'none'}.",
        "Serious: subjects with a serious event.",
        source.cells.rounding_note(),
    ]  # fmt: skip
    return [source.sheet("adverse-events", "Adverse events by class and maximum grade", sql, header, lines, notes)]


def deviations(source: Source) -> list[Sheet]:
    """Return deviations from eligibility, conduct and visit windows."""
    if not source.wants("deviations"):
        return []
    sql = DEVIATIONS.format(population=population("infused"))
    lines = [
        Line(f"{r['alias']}: {r['criterion'].replace('_', ' ')}",
             f"alias = {literal(r['alias'])} AND criterion = {literal(r['criterion'])}",
             (count(r["deviations"]), *source.cells.share(r["subjects"], r["of"])[:2], count(r["not_evaluable"])))
        for r in source.rows(sql)
    ]  # fmt: skip
    header = ("Criterion", "Deviations", "Subjects", "%", "Subjects not evaluable")
    notes = [
        "Each criterion that is not met is one deviation; the view `deviations` lists them.",
        source.cells.rounding_note(),
    ]
    return [source.sheet("deviations", "Deviations from the protocol", sql, header, lines, notes)] if lines else []
