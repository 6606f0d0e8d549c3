"""The abstract's results as computed sentences; a published figure stands beside them only as text from elsewhere."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from enfold.quoting import literal
from enfold.report.abstract import MONTH
from enfold.report.cells import Cells, words
from enfold.report.published import Published
from enfold.report.question import Source, population
from enfold.report.sheet import Cell, Line, Sheet, Value

SQL = """\
WITH {population},
people AS (FROM subjects JOIN population USING (study_id, subject_id)),
failed AS (
    SELECT subject_id, count(DISTINCT substance) AS therapies
    FROM exposures JOIN population USING (study_id, subject_id)
    WHERE role = 'prior_therapy' AND outcome = 'inadequate_response' GROUP BY subject_id
),
answers AS (
    SELECT v.alias, a.id, v.subject_id, v.status, v.grade, v.value_number FROM verdicts v
    JOIN asked a USING (alias) JOIN population USING (study_id, subject_id)
    WHERE v.criterion = 'overall' AND a.id IN ('crs', 'icans', 'relapse', 'follow_up') AND coalesce(v.period, 1) = 1
),
times AS (
    SELECT id, alias, list(CAST(value_number AS DECIMAL(18, 6)) ORDER BY value_number) AS days FROM answers
    WHERE id IN ('relapse', 'follow_up') AND status = 'met' AND value_number IS NOT NULL GROUP BY id, alias
),
counted AS (
    SELECT 1 AS ordinal, 'infused' AS figure, '' AS name, '' AS level, count(*) AS n FROM people
    UNION ALL SELECT 2, 'prior_therapies', '', '4 or more', count(*) FILTER (therapies >= 4) FROM failed
    HAVING (SELECT count(*) FROM exposures WHERE role = 'prior_therapy') > 0
    UNION ALL SELECT 3, 'conditioning', '', coalesce(conditioning, 'unknown'), count(*) FROM people GROUP BY ALL
    UNION ALL SELECT 4, 'dose_level', '', coalesce(dose_level, 'unknown'), count(*) FROM people GROUP BY ALL
    UNION ALL SELECT 5, 'response', r.alias, 'any', count(*) FILTER (any_visit)
    FROM responses r JOIN population USING (study_id, subject_id) GROUP BY ALL
    UNION ALL SELECT 6, id, alias, 'any', count(*) FILTER (grade >= 1) FROM answers
    WHERE id IN ('crs', 'icans') GROUP BY ALL
    UNION ALL SELECT 6, id, alias, grade::VARCHAR, count(*) FROM answers
    WHERE id IN ('crs', 'icans') AND grade >= 1 GROUP BY ALL
    UNION ALL SELECT 7, id, alias, 'any', count(*) FILTER (status = 'met') FROM answers
    WHERE id = 'relapse' GROUP BY ALL
)
SELECT ordinal, figure, name, level, n, (SELECT count(*) FROM population) AS of, NULL AS days FROM counted
UNION ALL
SELECT 8, id || '_time', alias, level, NULL, NULL, days FROM (
    SELECT id, alias, unnest(['median', 'least', 'greatest']) AS level,
           unnest([{quartile}(days, 2), days[1], days[-1]]) AS days FROM times)
ORDER BY ordinal, figure, name, level"""

# key, filter of the statement, words, numbers
Sentence = tuple[str, str, str, tuple[Value, ...]]
Figures = Mapping[tuple[str, str, str], dict[str, Any]]


def abstract(source: Source, made: list[Sheet], published: Published | None) -> list[Sheet]:
    """Return the sentences; with `published`, what was published beside each, compared by figure."""
    sql = SQL.format(population=population("infused"), quartile=source.cells.quartile)
    found = {(r["figure"], r["name"], r["level"]): r for r in source.rows(sql)}
    lines = [
        Line(key.replace("_", " "), where, (Cell(said, values), *_beside(published, key, values, source.cells)))
        for key, where, said, values in _sentences(source, found, made)
    ]
    notes = ["Responses at any planned visit, of all infused; toxicity at the maximum grade after the first infusion."]
    notes += [f"Months of {float(MONTH)} days. {source.cells.rounding_note()}"]
    notes += (
        [f"Published: {published.source}. Read for this column alone; nothing is computed from it."]
        if published
        else []
    )
    header = ("", "Computed", *(("Published", "Agreement") if published else ()))
    return [source.sheet("abstract", "The abstract's results", sql, header, lines, notes)]


def _beside(published: Published | None, key: str, values: tuple[Value, ...], cells: Cells) -> tuple[Cell, ...]:
    if published is None:
        return ()
    said, figures = published.sentences.get(key, ("not published", {}))
    computed = {v.statistic: v.value for v in values}
    differ = sorted(k for k, v in figures.items() if not _same(computed.get(k), v, cells))
    verdict = "-" if not figures else f"differs: {', '.join(differ)}" if differ else f"same ({len(figures)} figures)"
    return words(said), words(verdict)


def _same(computed: str | None, published: str, cells: Cells) -> bool:
    """Whether a computed figure, rounded to the decimals that were published, is the published one."""
    places = len(published.partition(".")[2])
    return computed is not None and cells.rounded(Fraction(computed), places) == published


def _sentences(source: Source, found: Figures, made: list[Sheet]) -> list[Sentence]:
    study, out = source.study, []
    everybody = found["infused", "", ""]["n"]
    said = f"{everybody} subjects were infused"
    values: tuple[Value, ...] = (Value("infused", str(everybody)),)
    if ("prior_therapies", "", "4 or more") in found:  # nothing recorded says nothing
        prior = found["prior_therapies", "", "4 or more"]["n"]
        failed, numbers = _share(source.cells, prior, everybody, "prior_therapies")
        said, values = f"{said}; {failed} had 4 or more prior therapies with inadequate response", (*values, *numbers)
    out.append(("treated", "figure IN ('infused', 'prior_therapies')", f"{said}.", values))
    for factor, levels, start in (
        ("conditioning", study.conditioning, "Lymphodepletion"), ("dose_level", study.dose_levels, "Dose level")
    ):  # fmt: skip
        counts = {level: r["n"] for (figure, _, level), r in found.items() if figure == factor}
        order = [v.id for v in levels if v.id in counts] + sorted({*counts} - {v.id for v in levels})
        if not order or (order == ["unknown"] and not levels):
            continue
        listed = _listed([f"{level} in {counts[level]}" for level in order])
        where = f"figure = '{factor}'"
        out.append((factor, where, f"{start}: {listed}.", tuple(Value(f"{factor}.{v}", str(counts[v])) for v in order)))
    out += _time(source, found, "follow_up", "Median follow-up was {median} months (range {least} to {greatest}).")
    named = [e.variable for e in study.estimands if e.summary == "proportion"]
    aliases = [name for (figure, name, _) in found if figure == "response" and (name in named or not named)]
    aliases.sort(key=lambda a: [e.alias for e in study.endpoints].index(a))
    shares = [(a, *_share(source.cells, found["response", a, "any"]["n"], everybody, a)) for a in aliases]
    if shares:
        listed = _listed([f"{said} met {a}" for a, said, _ in shares])
        numbers = tuple(v for *_, values in shares for v in values)
        out.append(("response", "figure = 'response'", f"{listed}.", numbers))
    for endpoint, title in (("crs", "CRS"), ("icans", "ICANS")):
        for name in dict.fromkeys(n for (figure, n, _) in found if figure == endpoint):
            grades = {level: r["n"] for (figure, n, level), r in found.items() if (figure, n) == (endpoint, name)}
            said, values = _share(source.cells, grades.pop("any"), everybody, name)
            listed = ", ".join(f"maximum grade {g} in {k}" for g, k in sorted(grades.items()))
            numbers = tuple(Value(f"{name}.grade_{g}", str(grades.get(str(g), 0))) for g in range(1, 6))
            said = f"{title} occurred in {said}{': ' if listed else ''}{listed}."
            out.append((name, f"figure = '{endpoint}' AND name = {literal(name)}", said, (*values, *numbers)))
    for name in [n for (figure, n, _) in found if figure == "relapse"]:
        said, values = _share(source.cells, found["relapse", name, "any"]["n"], everybody, name)
        where = f"figure = 'relapse' AND name = {literal(name)}"
        out.append((name, where, f"{said} relapsed after a response.", values))
    out += _time(
        source, found, "relapse", "Relapses came {least} to {greatest} months (median {median}) after infusion."
    )
    return [*out, *_association(made)]


def _share(cells: Cells, k: int, n: int, name: str) -> tuple[str, tuple[Value, ...]]:
    share = cells.percent(k, n)
    said = f"{k} of {n} ({share.text} %)" if n else f"{k} of {n}"
    return said, (Value(name, str(k)), *(Value(f"{name}.percent", v.value, v.method) for v in share.values))


def _time(source: Source, found: Figures, endpoint: str, sentence: str) -> list[Sentence]:
    out = []
    for name in dict.fromkeys(n for (figure, n, _) in found if figure == f"{endpoint}_time"):
        months = {
            level: Fraction(found[f"{endpoint}_time", name, level]["days"]) / MONTH
            for level in ("median", "least", "greatest")
        }
        shown = {level: source.cells.number(v, f"{name}.{level}", source.cells.quartile) for level, v in months.items()}
        said = sentence.format(**{level: cell.text for level, cell in shown.items()})
        key = name if endpoint != "relapse" else f"{name}_time"
        where = f"figure = '{endpoint}_time' AND name = {literal(name)}"
        out.append((key, where, said, tuple(v for cell in shown.values() for v in cell.values)))
    return out


def _association(made: list[Sheet]) -> list[Sentence]:
    """Return what the exploratory tests of the tables detected."""
    lines = [line for s in made if s.key.startswith("association-") for line in s.lines]
    if not lines:
        return []
    detected = [line.label for line in lines if line.cells[-1].text.startswith("association")]
    said = (
        f"Association detected (exploratory): {', '.join(detected)}." if detected
        else "No association of dose level or lymphodepletion with response or expansion was detected (exploratory)."
    )  # fmt: skip
    return [
        ("association", "false", said, (Value("associations", str(len(detected))), Value("tests", str(len(lines)))))
    ]


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
