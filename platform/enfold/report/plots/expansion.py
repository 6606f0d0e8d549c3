"""CAR expansion on a log axis; what is below quantification is drawn at the limit, as an open triangle."""

from decimal import Decimal
from typing import Any

import duckdb

from enfold.report.plots import style
from enfold.report.plots.endpoints import level_title, levels
from enfold.report.plots.plan import Drawn, Plan, Row
from enfold.report.plots.swimmer import ticks
from enfold.study import StudyFile

SQL = """\
SELECT coalesce(s.dose_level, 'not assigned') AS dose_level, f.subject_id, f.infusion_day AS day,
       f.value_number AS value, f.comparator, f.unit, f.finding_id
FROM findings f JOIN subjects s USING (study_id, subject_id)
WHERE f.item IN (SELECT parameters ->> 'item' FROM rules WHERE id = 'expansion')
  AND f.infusion_day IS NOT NULL AND f.known AND f.value_number IS NOT NULL
ORDER BY dose_level, f.subject_id, f.from_at, f.finding_id"""

QUANTIFIED, BELOW, ABOVE = "quantified", "below quantification, at the limit", "above quantification, at the limit"

LIMITS = {BELOW: "triangle-down", ABOVE: "triangle-up"}


def plans(con: duckdb.DuckDBPyConnection, study: StudyFile) -> list[Plan]:
    """Return the picture, if the study asks for expansion."""
    if not con.execute("SELECT 1 FROM asked WHERE id = 'expansion'").fetchone():
        return []
    return [
        Plan(
            key="expansion-levels",
            title="Expansion of the cells in blood; infused patients with a sample",
            sql=SQL,
            draw=lambda rows: _draw(rows, study),
        )
    ]


def _kind(row: Row) -> str:
    return {"<": BELOW, "<=": BELOW, ">": ABOVE, ">=": ABOVE}.get(row["comparator"], QUANTIFIED)


def _draw(rows: list[Row], study: StudyFile) -> Drawn:
    drawable = [r for r in rows if r["value"] > 0]
    if not drawable:
        sentence = "No level of the cells has been measured."
        return Drawn(sentence, sentence)
    units = sorted({r["unit"] or "no unit" for r in drawable})
    if len(units) > 1:
        sentence = f"Levels of the cells come in several units ({', '.join(units)}): they are not drawn on one axis."
        return Drawn(sentence, sentence)
    patients = len({r["subject_id"] for r in drawable})
    titles = level_title(study)
    labels = [titles.get(d, d) for d in levels(study, {r["dose_level"] for r in drawable})]
    few = patients <= 40
    limits = [k for k in LIMITS if any(_kind(r) == k for r in drawable)]
    x: dict[str, Any] = {
        "field": "day", "type": "quantitative", "title": "Days since first infusion",
        "axis": {"values": ticks(max(r["day"] for r in drawable)), "grid": False},
        "scale": {"domain": [min(r["day"] for r in drawable), max(1, *(r["day"] for r in drawable))], "nice": False,
                  "padding": 8},
    }  # fmt: skip
    decades = _decades(drawable)
    y: dict[str, Any] = {"field": "value", "type": "quantitative", "title": f"Level, {units[0]} (log scale)",
                         "scale": {"type": "log", "domain": [decades[0], decades[-1]]},
                         "axis": {"values": decades, "format": ",~f"}}  # fmt: skip
    level: dict[str, Any] = {"field": "level", "type": "nominal", "title": "Dose level",
                             "legend": {"symbolType": "stroke", "symbolSize": 600, "symbolStrokeWidth": 2}}  # fmt: skip
    spec = {
        "width": style.WIDTH,
        "height": 340,
        "data": {"values": [{**r, "level": titles.get(r["dose_level"], r["dose_level"]), "kind": _kind(r)}
                            for r in drawable]},
        "layer": [
            {"mark": {"type": "line", "strokeWidth": 1.4 if few else 0.7, "opacity": 0.85 if few else 0.5},
             "encoding": {"x": x, "y": y, "detail": {"field": "subject_id"}, "order": {"field": "day"},
                          "color": {**level, "scale": style.scale(labels, style.LEVELS)},
                          "strokeDash": {**level, "scale": style.scale(labels, style.DASHES)}}},
            {"transform": [{"filter": f"datum.kind === '{QUANTIFIED}'"}],
             "mark": {"type": "point", "filled": True, "size": 30 if few else 10, "opacity": 0.9},
             "encoding": {"x": x, "y": y,
                          "color": {**level, "legend": None, "scale": style.scale(labels, style.LEVELS)}}},
            {"transform": [{"filter": f"datum.kind !== '{QUANTIFIED}'"}],
             "mark": {"type": "point", "fill": "white", "stroke": style.BLACK, "strokeWidth": 1.1, "opacity": 1,
                      "size": 50 if few else 24},
             "encoding": {"x": x, "y": y,
                          "shape": {"field": "kind", "type": "nominal", "title": "Sample",
                                    "scale": {"domain": limits, "range": [LIMITS[k] for k in limits]}}}},
        ],
    }  # fmt: skip
    peak = max((r for r in drawable if _kind(r) != BELOW), key=lambda r: r["value"], default=None)
    below = sum(1 for r in drawable if _kind(r) == BELOW)
    zero = len(rows) - len(drawable)
    notes = [
        "One line a patient. Open triangles: below (down) or above (up) quantification, drawn at the stated limit."
    ]
    if zero:
        notes.append(f"{zero} levels of 0 or less without a stated limit have no place on a log axis.")
    top = "" if peak is None else f" Highest level {peak['value'].normalize():f} {units[0]} on day {peak['day']}."
    return Drawn(
        spec,
        f"Levels of the cells in {patients} patients, {len(drawable)} samples, {below} below quantification.{top}",
        tuple(notes),
    )


def _decades(rows: list[Row]) -> list[Decimal]:
    """Return the powers of ten from below the lowest to above the highest value."""
    low, high = (f(r["value"] for r in rows).adjusted() for f in (min, max))
    return [Decimal(1).scaleb(k) for k in range(low, high + 2)]
