"""Toxicity of the cell product: CRS and ICANS by maximum grade, onset and duration; dose-limiting toxicity."""

from enfold.quoting import literal
from enfold.report.cells import count
from enfold.report.question import Source, population
from enfold.report.sheet import Line, Sheet
from enfold.report.tables.baseline import arms, titles

NAMES = {"crs": "Cytokine release syndrome", "icans": "ICANS"}
GRADES = """\
WITH {population},
worst AS (
    SELECT coalesce(s.dose_level, 'unknown') AS arm, max(v.grade) AS grade,
           bool_or(v.grade_upper > v.grade) AS open
    FROM subjects s
    JOIN population USING (study_id, subject_id)
    LEFT JOIN verdicts v ON v.study_id = s.study_id AND v.subject_id = s.subject_id AND v.alias = {alias}
        AND v.criterion = 'overall' AND coalesce(v.period, 1) = 1
    GROUP BY s.study_id, s.subject_id, s.dose_level
),
counted AS (
    SELECT coalesce(arm, 'all') AS arm, count(*) AS subjects, count(*) FILTER (open) AS may_be_higher, [
        {{'ordinal': 1, 'line': 'Any grade', 'n': count(*) FILTER (grade >= 1)}},
        {{'ordinal': 2, 'line': 'Grade 3 or more', 'n': count(*) FILTER (grade >= 3)}},
        {{'ordinal': 3, 'line': 'No event', 'n': count(*) FILTER (grade = 0)}},
        {{'ordinal': 4, 'line': 'Maximum grade 1', 'n': count(*) FILTER (grade = 1)}},
        {{'ordinal': 5, 'line': 'Maximum grade 2', 'n': count(*) FILTER (grade = 2)}},
        {{'ordinal': 6, 'line': 'Maximum grade 3', 'n': count(*) FILTER (grade = 3)}},
        {{'ordinal': 7, 'line': 'Maximum grade 4', 'n': count(*) FILTER (grade = 4)}},
        {{'ordinal': 8, 'line': 'Maximum grade 5', 'n': count(*) FILTER (grade = 5)}},
        {{'ordinal': 9, 'line': 'Not evaluable', 'n': count(*) FILTER (grade IS NULL)}}
    ] AS lines
    FROM worst GROUP BY GROUPING SETS ((arm), ())
)
SELECT s.ordinal, s.line, arm, s.n, subjects, may_be_higher
FROM (SELECT arm, subjects, may_be_higher, unnest(lines) AS s FROM counted) ORDER BY s.ordinal, arm"""

COURSE = """\
WITH {population},
episodes AS (
    SELECT v.subject_id, v.occasion_id, v.from_at,
           max(v.value_number) FILTER (v.criterion = 'onset_hours') AS onset,
           max(v.value_number) FILTER (v.criterion = 'peak_hours') AS peak,
           max(v.value_number) FILTER (v.criterion = 'duration_hours') AS duration,
           max(v.grade) FILTER (v.criterion = 'overall') AS grade
    FROM verdicts v JOIN population USING (study_id, subject_id)
    WHERE v.alias = {alias} AND v.grain = 'episode' AND coalesce(v.period, 1) = 1
    GROUP BY v.subject_id, v.occasion_id, v.from_at
),
numbered AS (
    SELECT *, row_number() OVER (PARTITION BY subject_id ORDER BY onset NULLS LAST, from_at, occasion_id) AS place
    FROM episodes WHERE grade >= 1
),
answers AS (
    SELECT 1 AS ordinal, 'First onset, hours from infusion' AS measure, onset AS value FROM numbered WHERE place = 1
    UNION ALL SELECT 2, 'Highest grade first reached, hours from infusion', peak FROM numbered WHERE place = 1
    UNION ALL SELECT 3, 'Duration of an episode, hours', duration FROM numbered
),
lists AS (
    SELECT m.ordinal, m.measure, count(a.measure) AS n,
           list(CAST(a.value AS DECIMAL(18, 6)) ORDER BY a.value) FILTER (a.value IS NOT NULL) AS known
    FROM (VALUES (1, 'First onset, hours from infusion'), (2, 'Highest grade first reached, hours from infusion'),
                 (3, 'Duration of an episode, hours')) m(ordinal, measure)
    LEFT JOIN answers a USING (ordinal, measure) GROUP BY m.ordinal, m.measure
)
SELECT ordinal, measure, n, coalesce(len(known), 0) AS known, {quartile}(known, 2) AS median,
       {quartile}(known, 1) AS q1, {quartile}(known, 3) AS q3, known[1] AS least, known[-1] AS greatest
FROM lists ORDER BY ordinal"""

LIMITING = """\
WITH {population},
people AS (
    SELECT s.study_id, s.subject_id, coalesce(s.dose_level, 'unknown') AS level
    FROM subjects s JOIN population USING (study_id, subject_id)
),
answers AS (
    SELECT p.level, v.status FROM people p
    LEFT JOIN verdicts v ON v.study_id = p.study_id AND v.subject_id = p.subject_id AND v.alias = {alias}
        AND v.criterion = 'overall' AND coalesce(v.period, 1) = 1
)
SELECT coalesce(l.level, a.level) AS level, count(a.level) AS subjects,
       count(*) FILTER (a.status = 'met') AS met, count(*) FILTER (a.status = 'not_met') AS not_met,
       count(a.level) - count(*) FILTER (a.status IN ('met', 'not_met')) AS not_evaluable
FROM (SELECT level, ordinal FROM levels WHERE factor = 'dose_level') l
FULL JOIN answers a USING (level)
GROUP BY coalesce(l.level, a.level), l.ordinal ORDER BY l.ordinal NULLS LAST, level"""


def grades(source: Source) -> list[Sheet]:
    """Return CRS and ICANS by the maximum grade of each subject, by dose level."""
    out = []
    for endpoint in ("crs", "icans"):
        for alias in source.aliases(endpoint):
            key = f"{alias}-grade"
            if not source.wants(key):
                continue
            chosen, name = source.estimand(alias, "maximum_grade")
            sql = GRADES.format(population=population(name), alias=literal(alias))
            found = source.rows(sql)
            names = arms(source, list(dict.fromkeys(r["arm"] for r in found)))
            lines = []
            for label in dict.fromkeys(r["line"] for r in found):
                by = {r["arm"]: r for r in found if r["line"] == label}
                shares = source.cells.share(by["all"]["n"], by["all"]["subjects"])
                known = (source.cells.known(by[a]["n"], by[a]["subjects"]) for a in names if a != "all")
                lines.append(Line(label, f"line = {literal(label)}", (*shares, *known)))
            open_ = next(r["may_be_higher"] for r in found if r["arm"] == "all")
            notes = [
                "Each subject once, at the highest proven grade after the first infusion.",
                f"Of {open_} subjects a higher grade is not excluded.",
                source.cells.interval_note(),
            ]
            header = ("", "n/N", "%", source.cells.level, *titles(source, names[:-1]))
            title = f"{NAMES[endpoint]} by maximum grade"
            out.append(source.sheet(key, title, sql, header, lines, notes, population=name, estimand=chosen))
    return out


def courses(source: Source) -> list[Sheet]:
    """Return onset and duration of CRS and ICANS."""
    out = []
    for endpoint in ("crs", "icans"):
        for alias in source.aliases(f"{endpoint}_episode"):
            key = alias.replace("_", "-") + "s"
            if not source.wants(key):
                continue
            sql = COURSE.format(population=population("infused"), alias=literal(alias), quartile=source.cells.quartile)
            lines = [
                Line(r["measure"], f"measure = {literal(r['measure'])}",
                     (source.cells.known(r["known"], r["n"]), *source.cells.summary(r)))
                for r in source.rows(sql)
            ]  # fmt: skip
            notes = [
                "Onset and highest grade: of the first episode of each subject. Duration: of every episode,"
                " from onset to the last sign. Known of all; after the first infusion.",
                source.cells.quantile_note(),
            ]
            header = ("", "Known", "Median", "Q1 to Q3", "Range")
            title = f"{NAMES[endpoint]}: onset and duration"
            out.append(source.sheet(key, title, sql, header, lines, notes))
    return out


def limiting(source: Source) -> list[Sheet]:
    """Return dose-limiting toxicity by dose level: what a rule of escalation needs."""
    out = []
    for alias in filter(source.wants, source.aliases("dlt")):
        chosen, name = source.estimand(alias, "proportion")
        sql = LIMITING.format(population=population(name), alias=literal(alias))
        lines = [
            Line(f"Dose level {r['level']}", f"level = {literal(r['level'])}", (
                count(r["subjects"]), *source.cells.share(r["met"], r["met"] + r["not_met"]), count(r["not_evaluable"]),
            ))
            for r in source.rows(sql)
        ]  # fmt: skip
        header = ("", "Subjects", "With DLT, of evaluable", "%", source.cells.level, "Not evaluable")
        notes = ["By the protocol's rules ([[dose_limiting]] of the study file).", source.cells.interval_note()]
        title = "Dose-limiting toxicity"
        out.append(source.sheet(alias, title, sql, header, lines, notes, population=name, estimand=chosen))
    return out
