"""Baseline: who the subjects were before treatment, by dose level."""

from enfold.quoting import literal
from enfold.report.question import Source, population
from enfold.report.sheet import Line, Sheet

ARMS = """arms AS (
    SELECT s.* EXCLUDE (arm), coalesce(s.dose_level, s.arm, 'unknown') AS arm
    FROM subjects s JOIN population USING (study_id, subject_id)
)"""

CATEGORIES = """\
WITH {population},
{arms},
prior AS (
    SELECT subject_id, count(DISTINCT substance) AS failed FROM exposures
    WHERE role = 'prior_therapy' AND outcome = 'inadequate_response' GROUP BY subject_id
),
answers AS (
    SELECT arm, 1 AS ordinal, 'Sex' AS variable, coalesce(sex, 'unknown') AS level FROM arms
    UNION ALL SELECT arm, 2, 'Race', coalesce(race, 'unknown') FROM arms
    WHERE EXISTS (FROM arms WHERE race IS NOT NULL)
    UNION ALL SELECT arm, 3, 'Ethnicity', coalesce(ethnicity, 'unknown') FROM arms
    WHERE EXISTS (FROM arms WHERE ethnicity IS NOT NULL)
    UNION ALL SELECT arm, 4, 'Lymphodepletion', coalesce(conditioning, 'unknown') FROM arms
    WHERE EXISTS (FROM arms WHERE conditioning IS NOT NULL)
    UNION ALL SELECT arm, 5, 'Prior therapies with inadequate response',
              CASE WHEN failed >= 4 THEN '4 or more' ELSE coalesce(failed, 0)::VARCHAR END
    FROM arms LEFT JOIN prior USING (subject_id)
    WHERE EXISTS (FROM exposures WHERE role = 'prior_therapy')
),
totals AS (SELECT coalesce(arm, 'all') AS arm, count(*) AS subjects FROM arms GROUP BY GROUPING SETS ((arm), ())),
counted AS (
    SELECT ordinal, variable, level, coalesce(arm, 'all') AS arm, count(*) AS n FROM answers
    GROUP BY GROUPING SETS ((ordinal, variable, level, arm), (ordinal, variable, level))
)
SELECT v.ordinal, v.variable, v.level, t.arm, coalesce(c.n, 0) AS n, t.subjects
FROM (SELECT DISTINCT ordinal, variable, level FROM counted) v CROSS JOIN totals t
LEFT JOIN counted c ON c.variable = v.variable AND c.level = v.level AND c.arm = t.arm
ORDER BY v.ordinal, v.level, t.arm"""

MEASURES = """\
WITH {population},
{arms},
before AS (
    SELECT subject_id, occasion_id, coalesce(visit_id, collected_visit_id) AS visit_id FROM occasions
    WHERE baseline_for IN ('efficacy', 'both')
),
answers AS (
    SELECT subject_id, 1 AS ordinal, 'Age, years' AS measure, CAST(age_years AS DECIMAL(18, 6)) AS value FROM arms
    UNION ALL SELECT subject_id, CASE d.id WHEN 'pga' THEN 4 ELSE if(measure = 'total', 2, 3) END,
                     if(d.id = 'pga', 'Physician global assessment, 0 to 3', 'SLEDAI-2K ' || measure), value_number
    FROM derived d JOIN before USING (subject_id, occasion_id)
    WHERE (d.id = 'sledai_2k' AND measure IN ('total', 'clinical')) OR (d.id = 'pga' AND measure = 'pga')
    -- whole sixtieths of a microgram over whole days, held to a millionth of a milligram
    UNION ALL SELECT u.subject_id, 5, 'Prednisone equivalent, mg/day',
                     CAST(u.value_number AS HUGEINT) * 1000000 // (CAST(d.value_number AS HUGEINT) * 60000) * 0.000001
    FROM derived u JOIN derived d USING (subject_id, visit_id)
    WHERE u.id = 'prednisone' AND u.measure = 'units' AND d.id = 'prednisone' AND d.measure = 'days'
      AND (u.subject_id, u.visit_id) IN (SELECT subject_id, visit_id FROM before)
),
grouped AS (
    SELECT m.ordinal, m.measure, coalesce(a.arm, 'all') AS arm, count(*) AS subjects,
           list(CAST(v.value AS DECIMAL(18, 6)) ORDER BY v.value) FILTER (v.value IS NOT NULL) AS known
    FROM arms a CROSS JOIN (SELECT DISTINCT ordinal, measure FROM answers WHERE value IS NOT NULL) m
    LEFT JOIN answers v ON v.subject_id = a.subject_id AND v.measure = m.measure
    GROUP BY GROUPING SETS ((m.ordinal, m.measure, a.arm), (m.ordinal, m.measure))
)
SELECT ordinal, measure, arm, subjects, coalesce(len(known), 0) AS known, {quartile}(known, 2) AS median,
       {quartile}(known, 1) AS q1, {quartile}(known, 3) AS q3, known[1] AS least, known[-1] AS greatest
FROM grouped ORDER BY ordinal, measure, arm"""


def baseline(source: Source) -> list[Sheet]:
    """Return one table of categories and one of measurements."""
    return [
        *(_categories(source) if source.wants("baseline") else []),
        *(_measures(source) if source.wants("baseline-measures") else []),
    ]


def arms(source: Source, found: list[str]) -> list[str]:
    """Return the arms in the order of the study file, then those that it does not name, then all subjects."""
    known = [v.id for v in source.study.dose_levels]
    named = [*(a for a in known if a in found), *sorted({*found} - {*known, "all"})]
    return ["all"] if named == ["unknown"] else [*named, "all"]


def titles(source: Source, names: list[str]) -> list[str]:
    """Return arms as headings."""
    known = {v.id for v in source.study.dose_levels} | {"unknown"}
    return ["All" if a == "all" else f"Dose level {a}" if a in known else a for a in names]


def _categories(source: Source) -> list[Sheet]:
    sql = CATEGORIES.format(population=population("infused"), arms=ARMS)
    found = source.rows(sql)
    names = arms(source, [r["arm"] for r in found])
    lines = []
    for variable, level in dict.fromkeys((r["variable"], r["level"]) for r in found):
        by = {r["arm"]: r for r in found if (r["variable"], r["level"]) == (variable, level)}
        shares = [source.cells.counted(by[a]["n"], by[a]["subjects"]) for a in names]
        lines.append(
            Line(f"{variable}: {level}", f"variable = {literal(variable)} AND level = {literal(level)}", tuple(shares))
        )
    header = ("", *titles(source, names))
    notes = ["Counts of all infused subjects of the column, with percent.", source.cells.rounding_note()]
    return [source.sheet("baseline", "Baseline", sql, header, lines, notes)]


def _measures(source: Source) -> list[Sheet]:
    sql = MEASURES.format(population=population("infused"), arms=ARMS, quartile=source.cells.quartile)
    found = source.rows(sql)
    names = arms(source, [r["arm"] for r in found])
    lines = []
    for measure in dict.fromkeys(r["measure"] for r in found):
        by = {r["arm"]: r for r in found if r["measure"] == measure}
        where = f"measure = {literal(measure)}"
        cells = source.cells
        lines += [
            Line(f"{measure}: known", where, tuple(cells.known(by[a]["known"], by[a]["subjects"]) for a in names)),
            Line(f"{measure}: median", where, tuple(cells.median(by[a]["median"]) for a in names)),
            Line(f"{measure}: Q1 to Q3", where, tuple(cells.quartiles(by[a]["q1"], by[a]["q3"]) for a in names)),
            Line(f"{measure}: range", where, tuple(cells.range(by[a]["least"], by[a]["greatest"]) for a in names)),
        ]
    notes = [
        "Before treatment: forms that the fold marks as efficacy baseline; age at the first infusion.",
        "Prednisone equivalent: mean of the window that ends on the baseline visit.",
        source.cells.quantile_note(),
    ]
    header = ("", *titles(source, names))
    return [source.sheet("baseline-measures", "Baseline measurements", sql, header, lines, notes)] if found else []
