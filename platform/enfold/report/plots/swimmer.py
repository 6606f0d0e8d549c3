"""Swimmer plot: each infused patient's follow-up as a bar, with responses, relapse, severe toxicity and its end."""

from typing import Any

import duckdb

from enfold.quoting import literal
from enfold.report.plots import style
from enfold.report.plots.endpoints import level_title, levels, responses
from enfold.report.plots.plan import Drawn, Plan, Row
from enfold.study import StudyFile

SQL = """\
WITH infused AS (
  SELECT study_id, subject_id, coalesce(dose_level, 'not assigned') AS dose_level, infusion_date, death_date,
         discontinued_date, date_diff('day', infusion_date, coalesce(death_date, last_contact_date)) AS last_day
  FROM subjects WHERE infusion_date IS NOT NULL),
marks AS (
  SELECT subject_id, 'followed' AS mark, last_day AS day FROM infused
  UNION ALL
  SELECT subject_id, CASE WHEN death_date IS NOT NULL THEN 'died'
                          WHEN discontinued_date IS NOT NULL THEN 'discontinued' ELSE 'still followed' END, last_day
  FROM infused
  UNION ALL
  SELECT v.subject_id, CASE v.status WHEN 'met' THEN 'response' WHEN 'not_met' THEN 'no response'
                       ELSE 'not evaluable' END, coalesce(p.infusion_day, p.target_day)
  FROM verdicts v JOIN visits p USING (study_id, subject_id, visit_id)
  WHERE v.alias = {alias} AND v.grain = 'visit' AND v.criterion = 'overall' AND p.scheduled
    AND v.status <> 'not_applicable'
  UNION ALL
  SELECT subject_id, 'relapse', value_number FROM verdicts
  WHERE id = 'relapse' AND criterion = 'overall' AND status = 'met'
  UNION ALL
  SELECT o.subject_id, 'severe CRS or ICANS', floor(h.value_number / 24)
  FROM verdicts o JOIN verdicts h USING (study_id, subject_id, alias, period, grain)
  WHERE o.id IN ('crs', 'icans') AND o.criterion = 'overall' AND o.grade >= 3 AND o.period = 1
    AND h.criterion = 'onset_hours'
  UNION ALL
  SELECT p.subject_id, 'infused again', date_diff('day', i.infusion_date, p.starts_date)
  FROM periods p JOIN infused i USING (study_id, subject_id) WHERE p.period > 1)
SELECT i.dose_level, m.subject_id, m.mark, CAST(m.day AS INTEGER) AS day, i.last_day
FROM marks m JOIN infused i USING (subject_id) WHERE m.day IS NOT NULL
ORDER BY i.dose_level, i.last_day DESC, m.subject_id, m.mark, m.day"""

# fill, outline, shape
MARKS = {
    "response": (style.BLUE, style.BLUE, "circle"),
    "no response": ("white", style.GREY, "circle"),
    "not evaluable": ("white", style.BLACK, "cross"),
    "relapse": (style.RED, style.RED, "triangle-down"),
    "severe CRS or ICANS": (style.YELLOW, style.BLACK, "diamond"),
    "infused again": (style.GREEN, style.GREEN, "triangle-up"),
    "still followed": (style.GREY, style.GREY, "triangle-right"),
    "discontinued": ("white", style.BLACK, "square"),
    "died": (style.BLACK, style.BLACK, "square"),
}


def plans(con: duckdb.DuckDBPyConnection, study: StudyFile) -> list[Plan]:
    """Return the picture of the study's leading response."""
    leading = next(iter(responses(con, study)), "")
    what = f"follow-up, {leading} at each visit" if leading else "follow-up"
    return [
        Plan(
            key="swimmer",
            title=f"Swimmer plot: {what}, relapse and severe toxicity; infused patients by dose level",
            sql=SQL.format(alias=literal(leading)),
            draw=lambda rows: _draw(rows, study),
        )
    ]


def _draw(rows: list[Row], study: StudyFile) -> Drawn:
    bars = [r for r in rows if r["mark"] == "followed"]
    if not bars:
        sentence = "No patient is known to have been infused and followed."
        return Drawn(sentence, sentence)
    order = levels(study, {r["dose_level"] for r in bars})
    found = {r["mark"] for r in rows}
    marks = [m for m in MARKS if m in found]
    visits, ends = ("response", "no response", "not evaluable"), ("still followed", "discontinued", "died")
    height = style.row_height(len(bars))
    y = {
        "field": "subject_id", "type": "nominal", "title": None, "sort": [r["subject_id"] for r in bars],
        "axis": {"labels": style.names_fit(len(bars)), "ticks": False, "grid": False,
                 "labelFontSize": min(11, height * 0.75)},
    }  # fmt: skip
    last = max(r["last_day"] for r in bars)
    x: dict[str, Any] = {
        "field": "day", "type": "quantitative", "title": "Days since first infusion", "axis": {"values": ticks(last)},
        "scale": {"domain": [min(0, *(r["day"] for r in rows)), max(last, 28)], "padding": 12, "nice": False},
    }  # fmt: skip
    kinds: dict[str, Any] = {
        channel: {"field": "mark", "type": "nominal", "title": None,
                  "scale": style.scale(marks, [MARKS[m][i] for m in marks])}
        for i, channel in enumerate(("fill", "stroke", "shape"))
    }  # fmt: skip
    kinds["fill"]["legend"] = kinds["stroke"]["legend"] = kinds["shape"]["legend"] = {"columns": 5}
    events = [m for m in MARKS if m not in (*visits, *ends)]
    points: list[dict[str, Any]] = [
        {
            "transform": [{"filter": {"field": "mark", "oneOf": list(group)}}],
            "mark": {"type": "point", "filled": False, "strokeWidth": min(1.2, height / 8), "opacity": 1,
                     "size": min(70.0, 0.3 * height**2), "xOffset": right, "yOffset": -up},
            "encoding": {"x": x, **kinds},
        }
        for group, right, up in ((ends, min(6.0, height / 3), 0), (visits, 0, 0), (events, 0, height / 3))
    ]  # fmt: skip
    titles = level_title(study)
    spec: dict[str, Any] = {
        "data": {"values": [{**r, "level": titles.get(r["dose_level"], r["dose_level"])} for r in rows]},
        "facet": {"row": {"field": "level", "type": "nominal", "title": None,
                          "sort": [titles.get(d, d) for d in order],
                          "header": {"labelOrient": "top", "labelAnchor": "start", "labelFontWeight": "bold"}}},
        "spacing": 8,
        "resolve": {"scale": {"y": "independent"}},
        "spec": {
            "width": style.WIDTH,
            "height": {"step": height},
            "encoding": {"y": y},
            "layer": [
                {
                    "transform": [{"filter": "datum.mark === 'followed'"}],
                    "mark": {"type": "bar", "color": "#C7DCEC", "height": {"band": 0.55}},
                    "encoding": {"x": x, "x2": {"datum": 0}},
                },
                *points,
            ],
        },
    }  # fmt: skip
    counts = {m: len({r["subject_id"] for r in rows if r["mark"] == m}) for m in marks}
    said = ", ".join(f"{m} in {k}" for m, k in counts.items())
    return Drawn(
        spec,
        f"Swimmer plot of {len(bars)} infused patients, followed for {min(r['last_day'] for r in bars)} to {last} days "
        f"from infusion. Patients with each mark: {said}.",
        (
            "Bars run from the first infusion (day 0) to the last contact or death; longest first in each dose level.",
            "A visit that was not held is marked at its planned day; visits not yet due have no mark.",
            "Severe CRS or ICANS: highest grade 3 or more, marked at onset. Marks of events stand a little higher.",
        ),
    )


def ticks(last: int) -> list[int]:
    """Return the days to label from 0 to `last`: whole multiples of four weeks, at most ten of them."""
    step = next(s for s in (28, 56, 84, 168, 364, 728, 1820, 3640, 36400) if last // s < 10)
    return list(range(0, max(last, step) + 1, step))
