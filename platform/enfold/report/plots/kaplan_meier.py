"""Kaplan-Meier curves with their band and the numbers at risk under the axis."""

from dataclasses import dataclass
from typing import Any

import duckdb

from enfold.report.plots import style
from enfold.report.plots.plan import Drawn, Plan, Row, literal
from enfold.report.plots.swimmer import ticks
from enfold.report.survival import Step, at_risk, kaplan_meier, median, median_limits
from enfold.study import StudyFile

SQL = """\
WITH times AS (
  SELECT t.subject_id, CAST(t.value_number AS INTEGER) AS day, {event} AS event
  FROM verdicts t JOIN verdicts o USING (study_id, subject_id, alias, grain)
  WHERE t.alias = {alias} AND t.criterion = '{time}' AND o.criterion = 'overall' AND t.value_number IS NOT NULL),
by_day AS (
  SELECT day, count(*) FILTER (event) AS events, count(*) FILTER (NOT event) AS censored
  FROM times GROUP BY day),
left_over AS (
  SELECT day, CAST(sum(events + censored) OVER (ORDER BY day DESC) AS INTEGER) AS at_risk, events, censored
  FROM by_day)
SELECT day, at_risk, events, censored, product(1 - events / at_risk) OVER (ORDER BY day) AS survival
FROM left_over ORDER BY day"""


@dataclass(frozen=True)
class Curve:
    """A time to an event that some endpoint measures.

    Args:
        key: part of the picture's key.
        id: endpoint that measures it.
        time: its criterion that holds the days.
        event: SQL that is true where the event happened (`t` the time's row, `o` the overall one).
        title: what it shows.
        axis: what the curve is.
        origin: where the days start.
        nobody: sentence where nobody has a time.
    """

    key: str
    id: str
    time: str
    event: str
    title: str
    axis: str
    origin: str
    nobody: str


CURVES = (
    Curve("relapse-free-survival", "relapse_free_survival", "time", "o.status = 'met'",
          "Relapse-free survival, Kaplan-Meier; infused patients", "Alive without relapse",
          "Days since first infusion", "No patient has a time to relapse, death or last contact."),
    Curve("response-duration", "response_course", "duration", "t.status = 'met'",
          "Duration of response, Kaplan-Meier; patients who responded", "Still in response",
          "Days since first response", "No patient has responded."),
    Curve("follow-up", "follow_up", "overall", "t.value_code IS DISTINCT FROM 'died'",
          "Follow-up, reverse Kaplan-Meier; infused patients", "Still followed",
          "Days since first infusion", "No patient has been followed."),
)  # fmt: skip


def plans(con: duckdb.DuckDBPyConnection, study: StudyFile) -> list[Plan]:
    """Return one picture for each time that the study's endpoints measure."""
    asked = con.execute("SELECT id, alias FROM asked ORDER BY alias").fetchall()
    out = []
    for curve in CURVES:
        for alias in (a for i, a in asked if i == curve.id):
            out.append(
                Plan(
                    key=f"kaplan-meier-{curve.key}" + ("" if alias == curve.id else f"-{alias}"),
                    title=curve.title + ("" if alias == curve.id else f" ({alias})"),
                    sql=SQL.format(alias=literal(alias), time=curve.time, event=curve.event),
                    draw=lambda rows, curve=curve: _draw(rows, curve),  # type: ignore[misc]
                )
            )
    return out


def _draw(rows: list[Row], curve: Curve) -> Drawn:
    if not rows:
        return Drawn(curve.nobody, curve.nobody)
    observed = [(r["day"], True) for r in rows for _ in range(r["events"])]
    observed += [(r["day"], False) for r in rows for _ in range(r["censored"])]
    steps = kaplan_meier(observed)
    last = steps[-1].time
    labelled = ticks(last)
    height = 280
    x: dict[str, Any] = {"field": "day", "type": "quantitative", "title": curve.origin,
                         "scale": {"domain": [0, max(last, labelled[-1], 1)], "nice": False},
                         "axis": {"values": labelled, "grid": False}}  # fmt: skip
    y: dict[str, Any] = {"field": "curve", "type": "quantitative", "title": curve.axis, "scale": {"domain": [0, 1]},
                         "axis": {"format": ".0%"}}  # fmt: skip
    layers = [
        {"data": {"values": _band(steps)},
         "mark": {"type": "area", "interpolate": "step-after", "color": style.SKY, "opacity": 0.3},
         "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}}},
        {"data": {"values": _curve(steps)},
         "mark": {"type": "line", "interpolate": "step-after", "color": style.BLUE, "strokeWidth": 2},
         "encoding": {"x": x, "y": y}},
        {"data": {"values": [{"day": s.time, "curve": float(s.survival)} for s in steps if s.censored]},
         "mark": {"type": "tick", "orient": "vertical", "size": 11, "thickness": 1.4, "color": style.BLACK},
         "encoding": {"x": x, "y": y}},
        *_at_risk(observed, labelled, height),
    ]  # fmt: skip
    spec = {"width": style.WIDTH, "height": height, "layer": layers}
    events = sum(s.events for s in steps)
    middle, (low, high) = median(steps), median_limits(steps)
    told = "not reached" if middle is None else f"{middle.numerator / middle.denominator:g} days"
    limits = " to ".join("not reached" if d is None else str(d) for d in (low, high))
    return Drawn(
        spec,
        f"Kaplan-Meier curve of {len(observed)} patients, {events} events, {len(observed) - events} censored. "
        f"Median {told}, 95 % limits {limits}.",
        (
            f"Median {told} (95 % limits {limits}); {events} events in {len(observed)} patients.",
            "Upright ticks: censored. Band: 95 % pointwise, log-log, Greenwood's variance; none where the curve is "
            "100 % or 0 %. At risk: just before the day.",
        ),
    )


def _curve(steps: tuple[Step, ...]) -> list[dict[str, Any]]:
    return [{"day": 0, "curve": 1.0}, *({"day": s.time, "curve": float(s.survival)} for s in steps)]


def _band(steps: tuple[Step, ...]) -> list[dict[str, Any]]:
    out = []
    for s in steps:
        limits = s.band()
        if limits is not None:
            out.append({"day": s.time, "low": limits[0], "high": limits[1]})
    return out


def _at_risk(observed: list[tuple[int, bool]], days: list[int], height: int) -> list[dict[str, Any]]:
    """Return the row of numbers at risk under the axis."""
    place = {"value": height + 62}
    numbers = [{"day": d, "n": str(at_risk(observed, d))} for d in days]
    return [
        {"data": {"values": numbers}, "mark": {"type": "text", "fontSize": 11, "color": style.INK},
         "encoding": {"x": {"field": "day", "type": "quantitative"}, "y": place,
                      "text": {"field": "n", "type": "nominal"}}},
        {"data": {"values": [{}]},
         "mark": {"type": "text", "text": "At risk", "fontSize": 11, "align": "right", "color": style.INK},
         "encoding": {"x": {"value": -16}, "y": place}},
    ]  # fmt: skip
