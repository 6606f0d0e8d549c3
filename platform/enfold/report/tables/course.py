"""The course after treatment: relapse, time to and duration of response, survival without relapse, follow-up."""

import json
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from typing import Any

from enfold.quoting import literal
from enfold.report.abstract import MONTH
from enfold.report.cells import Cells, count
from enfold.report.proportion import normal_quantile
from enfold.report.question import Source, population
from enfold.report.sheet import NOT_ESTIMABLE, Cell, Line, Sheet
from enfold.report.survival import Z_95, Step, curve, median, median_limits
from enfold.study.reporting import Estimand

FEWEST = 5  # at risk: with fewer a landmark is not printed

RELAPSE = """\
WITH {population},
criteria AS (
    SELECT criterion, row_number() OVER (ORDER BY criterion) AS ordinal
    FROM rules WHERE alias = {alias} AND criterion NOT IN ('overall', 'response')
    UNION ALL SELECT 'overall', 0
)
SELECT c.ordinal, c.criterion, count(*) FILTER (v.status = 'met') AS met,
       count(*) FILTER (v.status = 'not_met') AS not_met, count(*) FILTER (v.status = 'not_evaluable') AS not_evaluable,
       (SELECT count(*) FROM population) AS infused
FROM criteria c
LEFT JOIN (SELECT v.criterion, v.status FROM verdicts v JOIN population USING (study_id, subject_id)
           WHERE v.alias = {alias} AND v.grain = 'subject') v USING (criterion)
GROUP BY c.ordinal, c.criterion ORDER BY c.ordinal"""

RELAPSE_TIMES = """\
WITH {population},
seen AS (
    SELECT count(*) AS relapses,
           list(CAST(v.value_number AS DECIMAL(18, 6)) ORDER BY v.value_number)
               FILTER (v.value_number IS NOT NULL) AS known
    FROM verdicts v JOIN population USING (study_id, subject_id)
    WHERE v.alias = {alias} AND v.criterion = 'overall' AND v.status = 'met'
)
SELECT relapses, coalesce(len(known), 0) AS known, {quartile}(known, 2) AS median, {quartile}(known, 1) AS q1,
       {quartile}(known, 3) AS q3, known[1] AS least, known[-1] AS greatest
FROM seen"""

# days, and whether the event happened then; one row a day: a life table
LIFE = """\
WITH {population},
observed AS (
{observed}
),
days AS (
    SELECT series, day, count(*) FILTER (event) AS events, count(*) FILTER (NOT event) AS censored,
           count(*) FILTER (competing) AS competing
    FROM observed WHERE day IS NOT NULL GROUP BY series, day
)
SELECT series, day, sum(events + censored) OVER later AS at_risk, events, censored, competing
FROM days WINDOW later AS (PARTITION BY series ORDER BY day DESC) ORDER BY series, day"""

FIRST = """\
    SELECT v.alias AS series, CAST(v.value_number AS BIGINT) AS day, v.status = 'met' AS event,
           list_contains(coalesce(v.flags, []), 'died_without_response') AS competing
    FROM verdicts v JOIN population USING (study_id, subject_id)
    WHERE v.alias IN ({aliases}) AND v.criterion = 'first_response' AND v.status IN ('met', 'not_met')"""
DURATION = """\
    SELECT v.alias AS series, CAST(v.value_number AS BIGINT) AS day, v.status = 'met' AS event,
           list_contains(coalesce(v.flags, []), 'died') AS competing
    FROM verdicts v JOIN population USING (study_id, subject_id)
    WHERE v.alias IN ({aliases}) AND v.criterion = 'duration' AND v.status IN ('met', 'not_met')"""
WITHOUT_RELAPSE = """\
    SELECT v.alias AS series, CAST(v.value_number AS BIGINT) AS day, v.status = 'met' AS event, false AS competing
    FROM verdicts v JOIN population USING (study_id, subject_id)
    WHERE v.alias IN ({aliases}) AND v.criterion = 'overall' AND v.status IN ('met', 'not_met')"""
# roles exchanged: the end of follow-up counts, death censors
FOLLOWED = """\
    SELECT v.alias AS series, CAST(v.value_number AS BIGINT) AS day, s.death_date IS NULL AS event, false AS competing
    FROM verdicts v JOIN population USING (study_id, subject_id) JOIN subjects s USING (study_id, subject_id)
    WHERE v.alias IN ({aliases}) AND v.criterion = 'overall' AND v.status = 'met'"""


def relapses(source: Source) -> list[Sheet]:
    """Return relapse after a response, overall and by criterion."""
    out = []
    for alias in filter(source.wants, source.aliases("relapse")):
        chosen, name = source.estimand(alias, "proportion")
        sql = RELAPSE.format(population=population(name), alias=literal(alias))
        lines = []
        for r in source.rows(sql):
            cells = source.cells.share(r["met"], r["met"] + r["not_met"])
            label = "Relapse" if r["criterion"] == "overall" else f"By criterion: {r['criterion'].replace('_', ' ')}"
            where = f"criterion = {literal(r['criterion'])}"
            of_all = source.cells.share(r["met"], r["infused"])
            mine = chosen.id if chosen and r["criterion"] == "overall" else None
            lines.append(Line(label, where, (*cells, *of_all[:2], count(r["not_evaluable"])), mine))
        header = ("", "Of those at risk", "%", source.cells.level, "Of all subjects", "%", "Not evaluable")
        notes = [
            "At risk: subjects with a response (low disease activity or remission) who could be judged.",
            "One relapse may meet several criteria.",
            source.cells.interval_note(),
        ]
        title = "Relapse after response"
        out.append(source.sheet(alias, title, sql, header, lines, notes, population=name, estimand=chosen))
    return out


def relapse_times(source: Source) -> list[Sheet]:
    """Return when relapses came, of those who had one: no estimate of the time to relapse."""
    out = []
    for alias in source.aliases("relapse"):
        if not source.wants(f"{alias}-time"):
            continue
        sql = RELAPSE_TIMES.format(
            population=population("infused"), alias=literal(alias), quartile=source.cells.quartile
        )
        lines = [
            Line(
                "Days from infusion to relapse",
                "true",
                (source.cells.known(r["known"], r["relapses"]), *source.cells.summary(r)),
            )
            for r in source.rows(sql)
        ]
        header = ("", "Known", "Median", "Q1 to Q3", "Range")
        notes = [
            "Of subjects with a relapse alone: those who may relapse later are not in it.",
            source.cells.quantile_note(),
        ]
        out.append(source.sheet(f"{alias}-time", "When relapses came", sql, header, lines, notes))
    return out


def times(source: Source) -> list[Sheet]:
    """Return time to response, duration of response and survival without relapse by Kaplan-Meier."""
    out = []
    for key, title, endpoint, observed, summary, unit in (
        ("time-to-response", "Time from infusion to first response", "response_course", FIRST, "time_to_event", "days"),
        ("duration-of-response", "Duration of response, of those who responded", "response_course", DURATION,
         "duration", "days"),
        ("relapse-free-survival", "Survival without relapse", "relapse_free_survival", WITHOUT_RELAPSE,
         "time_to_event", "months"),
    ):  # fmt: skip
        aliases = source.aliases(endpoint)
        if aliases and source.wants(key):
            out.append(_life(source, key, title, observed, aliases, summary, unit))
    return out


def follow_up(source: Source) -> list[Sheet]:
    """Return how long subjects were followed: plainly, and by reverse Kaplan-Meier; each named."""
    aliases = source.aliases("follow_up")
    if not aliases or not source.wants("follow-up"):
        return []
    sql = LIFE.format(population=population("infused"), observed=FOLLOWED.format(aliases=_listed(aliases)))
    series = _series(source.rows(sql))
    lines = []
    for alias in aliases:
        rows = series.get(alias, [])
        days = sorted(r["day"] for r in rows for _ in range(r["events"] + r["censored"]))
        quartiles = [quartile(days, q, source.study.report.quantile) for q in (1, 2, 3)]
        plain = {
            "q1": quartiles[0], "median": quartiles[1], "q3": quartiles[2],
            "least": days[0] if days else None, "greatest": days[-1] if days else None,
        }  # fmt: skip
        months = {k: None if v is None else Fraction(v) / MONTH for k, v in plain.items()}
        cells = source.cells
        lines.append(Line("Observed time", f"series = {literal(alias)}", (
            count(len(days)), cells.median(months["median"]), Cell("-"),
            cells.quartiles(months["q1"], months["q3"]), cells.range(months["least"], months["greatest"]),
        )))  # fmt: skip
        steps = curve_of(rows)
        middle, limits = _medians(cells, steps, source, MONTH)
        lines.append(Line("Reverse Kaplan-Meier", f"series = {literal(alias)}", (
            count(len(days)), middle, limits, Cell("-"), Cell("-"),
        )))  # fmt: skip
    died = sum(r["censored"] for rows in series.values() for r in rows)
    notes = [
        "Observed time: from infusion to the last day seen, or to death; its median is not an estimate of follow-up"
        " where subjects died.",
        f"Reverse Kaplan-Meier: the end of follow-up is the event, death censors ({died} deaths).",
        f"Months of {float(MONTH)} days. {source.cells.quantile_note()}",
    ]
    header = ("", "n", "Median, months", source.cells.level, "Q1 to Q3", "Range")
    return [source.sheet("follow-up", "Follow-up", sql, header, lines, notes)]


def _life(source: Source, key: str, title: str, observed: str, aliases: list[str], summary: str, unit: str) -> Sheet:
    found = [e for a in aliases for e in source.estimands(a, summary)]
    name = found[0].population if found else "infused"
    sql = LIFE.format(population=population(name), observed=observed.format(aliases=_listed(aliases)))
    series = _series(source.rows(sql))
    scale = MONTH if unit == "months" else Fraction(1)
    chosen: list[Estimand] = []
    lines, competing, targets = [], 0, _targets(source)
    for alias in aliases:
        rows = series.get(alias, [])
        steps = curve_of(rows)
        events, censored = sum(s.events for s in steps), sum(s.censored for s in steps)
        competing += sum(r["competing"] for r in rows)
        middle, limits = _medians(source.cells, steps, source, scale)
        marks = [c for m in source.study.report.landmarks for c in _landmark(source, steps, m)]
        estimand = next((e for e in found if e.variable == alias and e.population == name), None)
        chosen += [estimand] if estimand else []
        cells = (count(events + censored), count(events), count(censored), middle, limits, *marks)
        label = f"{targets[alias]} ({alias})" if alias in targets else alias
        lines.append(Line(label, f"series = {literal(alias)}", cells, estimand.id if estimand else None))
    marked = [t for m in source.study.report.landmarks for t in (f"At {m} months, %", source.cells.level)]
    header = ("", "n", "Events", "Censored", f"Median, {unit}", source.cells.level, *marked)
    notes = [
        "Kaplan-Meier; events before censorings at ties; median: the middle of the stretch where the curve is one half;"
        " limits by the log-log band (Greenwood).",
        f"Of the censored, {competing} died first: death competes, and the curve then speaks of a world without it.",
        f"Curve: share without the event. {NOT_ESTIMABLE}: not reached, or fewer than {FEWEST} at risk."
        f" Months of {float(MONTH)} days. {source.cells.rounding_note()}",
        "n: subjects with a time. Times follow the visits: an event is dated to the visit that shows it.",
        *(f"Line `{e.variable}` estimates {e.id}." for e in chosen),
    ]
    first = chosen[0] if chosen else None
    return source.sheet(key, title, sql, header, lines, notes, population=name, estimand=first)


def _targets(source: Source) -> dict[str, str]:
    """Return the response that each course is about, as its parameters say."""
    asked = "SELECT DISTINCT alias, parameters FROM rules WHERE id = 'response_course' ORDER BY alias"
    found = {alias: json.loads(parameters) for alias, parameters in source.con.execute(asked).fetchall()}
    return {alias: str(p["target"]) for alias, p in found.items() if "target" in p}


def _medians(cells: Cells, steps: tuple[Step, ...], source: Source, scale: Fraction) -> tuple[Cell, Cell]:
    middle = median(steps)
    low, high = median_limits(steps, z_of(source.study.report.level))
    scaled = [None if v is None else Fraction(v) / scale for v in (middle, low, high)]
    return cells.number(scaled[0], "median", "kaplan_meier"), cells.span((scaled[1], scaled[2]), "log_log")


def _landmark(source: Source, steps: tuple[Step, ...], months: int) -> tuple[Cell, Cell]:
    """Return the curve at a landmark with its band; NE where too few are at risk there."""
    day = months * MONTH
    before = [s for s in steps if s.time <= day]
    at_risk = sum(s.events + s.censored for s in steps if s.time >= day)
    name = f"at_{months}_months"
    if at_risk < FEWEST:
        return source.cells.number(None, name, "kaplan_meier"), source.cells.span(None, "log_log")
    last = before[-1] if before else None
    band = last.band(z_of(source.study.report.level)) if last else None
    value = 100 * (last.survival if last else Fraction(1))
    limits = tuple(100 * Fraction(b) for b in band) if band else None
    return (
        source.cells.number(value, name, "kaplan_meier", source.study.report.percent_places),
        source.cells.span(limits, "log_log", source.study.report.percent_places),  # type: ignore[arg-type]
    )


def quartile(values: list[int], q: int, definition: int) -> Fraction | None:
    """Return quartile q of sorted values by definition 2 or 7 of Hyndman and Fan, as the macros of the file do."""
    n = len(values)
    if n == 0:
        return None
    if definition == 2:
        place, rest = divmod(n * q, 4)
        return Fraction(values[place]) if rest else Fraction(values[place - 1] + values[place], 2)
    place, rest = divmod((n - 1) * q, 4)
    return values[place] + (Fraction((values[place + 1] - values[place]) * rest, 4) if rest else Fraction(0))


def curve_of(rows: list[dict[str, Any]]) -> tuple[Step, ...]:
    """Return the curve of the rows of one series of a life table."""
    return curve(Counter({r["day"]: r["events"] for r in rows}), Counter({r["day"]: r["censored"] for r in rows}))


def _series(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    out: dict[str, list[dict[str, Any]]] = {}
    for r in rows:
        out.setdefault(r["series"], []).append(r)
    return out


def _listed(aliases: list[str]) -> str:
    return ", ".join(literal(a) for a in aliases)


def z_of(level: Decimal) -> Decimal:
    """Return the two-sided normal quantile of a level."""
    if level == Decimal("0.95"):
        return Z_95
    found = normal_quantile(level)
    return Decimal(found.numerator) / Decimal(found.denominator)
