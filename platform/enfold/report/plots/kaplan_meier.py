"""Kaplan-Meier curves with their band and the numbers at risk under the axis."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import duckdb

from enfold.quoting import literal
from enfold.report.plots import style
from enfold.report.plots.plan import Drawn, Plan, Row
from enfold.report.plots.swimmer import ticks
from enfold.report.question import population
from enfold.report.survival import Step, median, median_limits
from enfold.report.tables.course import DURATION, FIRST, FOLLOWED, LIFE, WITHOUT_RELAPSE, curve_of, z_of
from enfold.study import StudyFile


@dataclass(frozen=True)
class Curve:
    """A time to an event that some endpoint measures.

    Args:
        key: part of the picture's key.
        id: endpoint that measures it.
        observed: statement of the tables that gives days, and whether the event happened then.
        title: what it shows.
        axis: what the curve is.
        origin: where the days start.
        nobody: sentence where nobody has a time.
    """

    key: str
    id: str
    observed: str
    title: str
    axis: str
    origin: str
    nobody: str


CURVES = (
    Curve("time-to-response", "response_course", FIRST, "Time to first response, Kaplan-Meier; infused patients",
          "Not yet in response", "Days since first infusion", "No patient has a time to response."),
    Curve("duration-of-response", "response_course", DURATION,
          "Duration of response, Kaplan-Meier; infused patients who responded", "Still in response",
          "Days since first response", "No patient has responded."),
    Curve("relapse-free-survival", "relapse_free_survival", WITHOUT_RELAPSE,
          "Survival without relapse, Kaplan-Meier; infused patients", "Alive without relapse",
          "Days since first infusion", "No patient has a time to relapse, death or last contact."),
    Curve("follow-up", "follow_up", FOLLOWED, "Follow-up, reverse Kaplan-Meier; infused patients", "Still followed",
          "Days since first infusion", "No patient has been followed."),
)  # fmt: skip


def plans(con: duckdb.DuckDBPyConnection, study: StudyFile) -> list[Plan]:
    """Return one picture for each time that the study's endpoints measure; the tables' own life tables are drawn."""
    asked = con.execute("SELECT id, alias FROM asked ORDER BY alias").fetchall()
    level = study.report.level
    return [
        Plan(
            key=f"kaplan-meier-{curve.key}" + ("" if alias == curve.id else f"-{alias}"),
            title=curve.title + ("" if alias == curve.id else f" ({alias})"),
            sql=LIFE.format(population=population("infused"), observed=curve.observed.format(aliases=literal(alias))),
            draw=lambda rows, curve=curve: _draw(rows, curve, level),  # type: ignore[misc]
        )
        for curve in CURVES
        for alias in (a for i, a in asked if i == curve.id)
    ]


def _draw(rows: list[Row], curve: Curve, level: Decimal) -> Drawn:
    if not rows:
        return Drawn(curve.nobody, curve.nobody)
    steps, z = curve_of(rows), z_of(level)
    patients = sum(s.events + s.censored for s in steps)
    wide = f"{(level * 100).normalize():f} %"
    last = steps[-1].time
    labelled = ticks(last)
    height = 280
    x: dict[str, Any] = {"field": "day", "type": "quantitative", "title": curve.origin,
                         "scale": {"domain": [0, max(last, labelled[-1], 1)], "nice": False},
                         "axis": {"values": labelled, "grid": False}}  # fmt: skip
    y: dict[str, Any] = {"field": "curve", "type": "quantitative", "title": curve.axis, "scale": {"domain": [0, 1]},
                         "axis": {"format": ".0%"}}  # fmt: skip
    layers = [
        {"data": {"values": _band(steps, z)},
         "mark": {"type": "area", "interpolate": "step-after", "color": style.SKY, "opacity": 0.3},
         "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}}},
        {"data": {"values": _curve(steps)},
         "mark": {"type": "line", "interpolate": "step-after", "color": style.BLUE, "strokeWidth": 2},
         "encoding": {"x": x, "y": y}},
        {"data": {"values": [{"day": s.time, "curve": float(s.survival)} for s in steps if s.censored]},
         "mark": {"type": "tick", "orient": "vertical", "size": 11, "thickness": 1.4, "color": style.BLACK},
         "encoding": {"x": x, "y": y}},
        *_at_risk(steps, labelled, height),
    ]  # fmt: skip
    spec = {"width": style.WIDTH, "height": height, "layer": layers}
    events = sum(s.events for s in steps)
    middle, (low, high) = median(steps), median_limits(steps, z)
    told = "not reached" if middle is None else f"{middle.numerator / middle.denominator:g} days"
    limits = " to ".join("not reached" if d is None else str(d) for d in (low, high))
    return Drawn(
        spec,
        f"Kaplan-Meier curve of {patients} patients, {events} events, {patients - events} censored. "
        f"Median {told}, {wide} limits {limits}.",
        (
            f"Median {told} ({wide} limits {limits}); {events} events in {patients} patients.",
            f"Upright ticks: censored. Band: {wide} pointwise, log-log, Greenwood's variance; none where the curve is "
            "100 % or 0 %. At risk: just before the day.",
        ),
    )


def _curve(steps: tuple[Step, ...]) -> list[dict[str, Any]]:
    return [{"day": 0, "curve": 1.0}, *({"day": s.time, "curve": float(s.survival)} for s in steps)]


def _band(steps: tuple[Step, ...], z: Decimal) -> list[dict[str, Any]]:
    """Return the band; what it is before the curve ends at nought lasts until then."""
    out: list[dict[str, Any]] = []
    for s in steps:
        limits = s.band(z)
        if limits is not None:
            out.append({"day": s.time, "low": limits[0], "high": limits[1]})
        elif out:
            out.append(out[-1] | {"day": s.time})
    return out


def _at_risk(steps: tuple[Step, ...], days: list[int], height: int) -> list[dict[str, Any]]:
    """Return the row of numbers at risk under the axis."""
    place = {"value": height + 62}
    numbers = [{"day": d, "n": str(sum(s.events + s.censored for s in steps if s.time >= d))} for d in days]
    return [
        {"data": {"values": numbers}, "mark": {"type": "text", "fontSize": 11, "color": style.INK},
         "encoding": {"x": {"field": "day", "type": "quantitative"}, "y": place,
                      "text": {"field": "n", "type": "nominal"}}},
        {"data": {"values": [{}]},
         "mark": {"type": "text", "text": "At risk", "fontSize": 11, "align": "right", "color": style.INK},
         "encoding": {"x": {"value": -24}, "y": place}},
    ]  # fmt: skip
