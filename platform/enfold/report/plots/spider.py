"""Spider plot: change of SLEDAI-2K from each patient's baseline, one line a patient."""

from decimal import Decimal
from statistics import median
from typing import Any

import duckdb

from enfold.report.plots import style
from enfold.report.plots.endpoints import level_title, levels
from enfold.report.plots.plan import Drawn, Plan, Row
from enfold.report.plots.swimmer import ticks
from enfold.study import StudyFile

SQL = """\
WITH totals AS (
  SELECT DISTINCT study_id, subject_id, visit_id, occasion_id, value_number AS total, lower, upper
  FROM derived WHERE id = 'sledai_2k' AND measure = 'total'),
baselines AS (
  SELECT t.study_id, t.subject_id, t.total AS baseline
  FROM totals t JOIN occasions o USING (study_id, subject_id, occasion_id)
  WHERE o.baseline_for IN ('efficacy', 'both') AND o.period = 1)
SELECT coalesce(s.dose_level, 'not assigned') AS dose_level, t.subject_id, t.visit_id, p.ordinal, p.target_day,
       p.infusion_day AS day, t.total, b.baseline, t.total - b.baseline AS change,
       t.lower - b.baseline AS change_at_least, t.upper - b.baseline AS change_at_most,
       (SELECT min(CAST(parameters ->> 'sledai_drop' AS INTEGER)) FROM rules JOIN asked USING (alias)
        WHERE asked.id = 'sri') AS drop_needed
FROM totals t JOIN baselines b USING (study_id, subject_id)
JOIN subjects s USING (study_id, subject_id) JOIN visits p USING (study_id, subject_id, visit_id)
WHERE b.baseline IS NOT NULL AND p.infusion_day IS NOT NULL
ORDER BY dose_level, t.subject_id, day, t.visit_id"""


def plans(con: duckdb.DuckDBPyConnection, study: StudyFile) -> list[Plan]:
    """Return the picture."""
    return [
        Plan(
            key="sledai-spider",
            title="SLEDAI-2K: change from baseline; patients with a baseline total",
            sql=SQL,
            draw=lambda rows: _draw(rows, study),
        )
    ]


def _draw(rows: list[Row], study: StudyFile) -> Drawn:
    if not any(r["change"] is not None and r["day"] > 0 for r in rows):
        sentence = "No patient has a SLEDAI-2K total both at baseline and after infusion."
        return Drawn(sentence, sentence)
    order = levels(study, {r["dose_level"] for r in rows})
    titles = level_title(study)
    labels = [titles.get(d, d) for d in order]
    patients = len({r["subject_id"] for r in rows})
    drop = rows[0]["drop_needed"]
    middle = _middle(rows)
    thin = 1.4 if patients <= 40 else 0.7
    x: dict[str, Any] = {
        "field": "day", "type": "quantitative", "title": "Days since first infusion",
        "scale": {"domain": [min(r["day"] for r in rows), max(r["day"] for r in rows)], "nice": False, "padding": 6},
        "axis": {"values": ticks(max(r["day"] for r in rows)), "grid": False},
    }  # fmt: skip
    y: dict[str, Any] = {"field": "change", "type": "quantitative",
                         "title": "Change of SLEDAI-2K from baseline, points"}  # fmt: skip
    level: dict[str, Any] = {"field": "level", "type": "nominal", "title": "Dose level"}
    legend = {"legend": {"symbolType": "stroke", "symbolSize": 600, "symbolStrokeWidth": 2}}
    lines = {
        "mark": {"type": "line", "strokeWidth": thin, "opacity": 0.85 if patients <= 40 else 0.5,
                 "invalid": "break-paths-show-domains"},
        "encoding": {"x": x, "y": y, "detail": {"field": "subject_id"},
                     "color": {**level, "scale": style.scale(labels, style.LEVELS), **legend},
                     "strokeDash": {**level, "scale": style.scale(labels, style.DASHES), **legend}},
    }  # fmt: skip
    points = {
        "mark": {"type": "point", "filled": True, "size": 22 if patients <= 40 else 6, "opacity": 0.9},
        "encoding": {"x": x, "y": y, "color": {**level, "legend": None, "scale": style.scale(labels, style.LEVELS)}},
    }
    bounds = {
        "transform": [{"filter": "datum.change === null && datum.change_at_most !== null"}],
        "mark": {"type": "rule", "strokeWidth": 3, "opacity": 0.45, "color": style.GREY},
        "encoding": {"x": x, "y": {"field": "change_at_least", "type": "quantitative"},
                     "y2": {"field": "change_at_most"}},
    }  # fmt: skip
    medians = {
        "data": {"values": middle},
        "mark": {"type": "line", "strokeWidth": 3.5, "color": style.BLACK,
                 "point": {"filled": True, "color": style.BLACK, "size": 60}},
        "encoding": {"x": x, "y": y},
    }  # fmt: skip
    spec = {
        "width": style.WIDTH,
        "height": 340,
        "data": {"values": [{**r, "level": titles.get(r["dose_level"], r["dose_level"])} for r in rows]},
        "layer": [*_references(drop), lines, bounds, points, medians],
    }
    incomplete = sum(1 for r in rows if r["change"] is None)
    said = "; ".join(f"{m['visit']} {m['change']} (n {m['n']})" for m in middle if m["day"] > 0)
    notes = [
        "One line a patient; it breaks where a total is unknown.",
        f"Grey bars: bounds of the change where items are missing ({incomplete} totals).",
        "Thick black line: median of the known changes at each planned visit, at its planned day; patients: "
        + ", ".join(f"{m['visit']} {m['n']}" for m in middle)
        + ".",
    ]
    if drop is not None:
        notes.append(f"Dashed: the fall of {drop} points that the SRI asks for.")
    return Drawn(
        spec, f"Change of SLEDAI-2K from baseline in {patients} patients. Median by visit: {said}.", tuple(notes)
    )


def _references(drop: int | None) -> list[dict[str, Any]]:
    rules = [{"mark": {"type": "rule", "color": style.GREY}, "encoding": {"y": {"datum": 0}}}]
    if drop is not None:
        rules.append({"mark": {"type": "rule", "color": style.GREY, "strokeDash": [5, 4]},
                      "encoding": {"y": {"datum": -drop}}})  # fmt: skip
    return rules


def _middle(rows: list[Row]) -> list[dict[str, Any]]:
    """Return the median change at each planned visit."""
    visits = sorted({(r["target_day"], r["visit_id"]) for r in rows if r["ordinal"] is not None})
    out = []
    for day, visit in visits:
        known = [r["change"] for r in rows if r["visit_id"] == visit and r["change"] is not None]
        if known:
            middle = Decimal(median(known))
            out.append({"day": day, "visit": visit, "change": Decimal(f"{middle.normalize():f}"), "n": len(known)})
    return out
