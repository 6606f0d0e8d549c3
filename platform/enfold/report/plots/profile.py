"""One patient on one time axis: treatment, steroids, activity, cells, toxicity, response."""

from typing import Any

from enfold.report.course import statement
from enfold.report.plots import style
from enfold.report.plots.plan import Drawn, Plan, Row
from enfold.report.plots.swimmer import ticks
from enfold.study import StudyFile

FIRST_DAY = -60  # what began earlier starts at the left edge
ORIGIN = "Days since first infusion, or since consent of somebody never infused"
ROW = 15  # px of a row of bars
LEFT = 130  # px of labels to the left of every panel, so that the panels share one axis
ANSWERS = {
    "met": (style.BLUE, style.BLUE, "circle"),
    "not met": ("white", style.GREY, "circle"),
    "not evaluable": ("white", style.BLACK, "cross"),
}


def plan(study: StudyFile, subject: str) -> Plan:
    """Return the picture of one subject."""
    return Plan(
        key="profile",
        title=f"Patient {subject}: treatment, activity, steroids, cells, toxicity and response",
        sql=statement(study, subject),
        draw=lambda rows: _draw(rows, subject),
        command=f"enfold subject STUDY {subject} --picture profile.svg",
    )


def _draw(rows: list[Row], subject: str) -> Drawn:
    shown = [r for r in rows if r["day"] is not None and not (r["track"] == "visit" and r["status"] == "not due")]
    shown = [r for r in shown if r["track"] != "prior therapy" and _lasts(r) >= FIRST_DAY]
    timed = [r for r in shown if r["track"] in ("dose", "medication", "steroid", "activity", "level", "toxicity",
                                                "response")]  # fmt: skip
    if not timed:
        sentence = f"Nothing dated is known of {subject}."
        return Drawn(sentence, sentence)
    first = max(FIRST_DAY, min(0, *(r["day"] for r in shown)))
    last = max(1, *(r["until_day"] if r["until_day"] is not None else r["day"] for r in shown))
    axis = _Axis(first, last)
    of = {t: [r for r in shown if r["track"] == t] for t in ("dose", "medication", "steroid", "toxicity", "level",
                                                            "activity", "response")}  # fmt: skip
    scores = [r for r in of["activity"] if r["item"] != "PGA"]
    panels = [
        *_bars("Treatment: first day to last", of["dose"] + of["medication"], axis, style.BLUE, graded=False),
        *_steps("Systemic steroid, mg prednisone equivalent a dosing day", of["steroid"], axis),
        *_lines("SLEDAI-2K, points: total (circles), clinical (squares, dashed)", scores, axis),
        *_lines("Physician global assessment, 0 to 3", [r for r in of["activity"] if r["item"] == "PGA"], axis),
        *(panel for item in sorted({r["item"] for r in of["level"]})
          for panel in _levels(item, [r for r in of["level"] if r["item"] == item], axis)),
        *_bars("Toxicity: start to end, grade", of["toxicity"], axis, style.RED, graded=True),
        *_answers("Response at visits", of["response"], axis),
    ]  # fmt: skip
    if not panels:
        sentence = f"Nothing that could be drawn is known of {subject}."
        return Drawn(sentence, sentence)
    last_x = panels[-1]["layer"][0]["encoding"]["x"]
    last_x["axis"] = {**last_x["axis"], "labels": True, "ticks": True, "title": ORIGIN}
    apart = dict.fromkeys(("color", "fill", "stroke", "shape", "strokeDash"), "independent")
    spec = {"vconcat": panels, "spacing": 10, "resolve": {"scale": {"x": "shared", **apart}}}
    said = ", ".join(f"{len(v)} of {k}" for k, v in of.items() if v)
    met = sorted({r["item"] for r in of["response"] if r["status"] == "met"})
    return Drawn(
        spec,
        f"Course of {subject} from day {first} to day {last}. Rows shown: {said}. "
        f"Responses met at some visit: {', '.join(met) or 'none'}.",
        (
            f"What began before day {FIRST_DAY} starts at the left edge; prior therapies are left out.",
            "An arrow: no end of treatment is known. Toxicity without a known end is drawn at its start.",
            "Hollow triangles: beyond quantification, at the stated limit.",
        ),
    )


def _lasts(row: Row) -> int:
    """Return the last day that a row speaks of; what has no known end lasts."""
    if row["until_day"] is not None:
        return int(row["until_day"])
    return 0 if row["track"] in ("dose", "medication", "steroid") else int(row["day"])


class _Axis:
    """The time axis that all panels share."""

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last

    def x(self, field: str = "day") -> dict[str, Any]:
        return {
            "field": field, "type": "quantitative", "title": None,
            "scale": {"domain": [self.first, self.last], "nice": False, "padding": 8},
            "axis": {"values": ticks(self.last), "labels": False, "ticks": False, "gridColor": style.PALE},
        }  # fmt: skip

    def placed(self, rows: list[Row]) -> list[Row]:
        """Return the rows within the axis; `ongoing` where no end is known."""
        out = []
        for r in rows:
            ongoing = r["until_day"] is None
            until = self.last if ongoing else r["until_day"]
            out.append({k: r[k] for k in ("item", "value", "lower", "upper", "said", "status")}
                       | {"day": max(r["day"], self.first), "until": max(until, r["day"], self.first),
                          "ongoing": ongoing})  # fmt: skip
        return out


def _panel(title: str, height: Any, values: list[Row], layer: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not values:
        return []
    head = {"text": title, "fontSize": 11.5, "fontWeight": "bold", "anchor": "start", "offset": 4, "frame": "group"}
    return [{"title": head, "width": style.WIDTH, "height": height, "data": {"values": values}, "layer": layer}]


def _rows(order: list[str]) -> dict[str, Any]:
    return {"field": "item", "type": "nominal", "sort": order, "title": None,
            "axis": {"minExtent": LEFT, "maxExtent": LEFT, "labelLimit": LEFT - 6, "ticks": False}}  # fmt: skip


def _value(**more: Any) -> dict[str, Any]:
    return {"field": "value", "type": "quantitative", "title": None,
            "axis": {"minExtent": LEFT, "maxExtent": LEFT, "tickCount": 4}, **more}  # fmt: skip


def _bars(title: str, rows: list[Row], axis: _Axis, color: str, *, graded: bool) -> list[dict[str, Any]]:
    values = axis.placed(rows)
    order = list(dict.fromkeys(r["item"] for r in rows))
    y = _rows(order)
    layer: list[dict[str, Any]] = [
        {"mark": {"type": "bar", "height": {"band": 0.62}, "color": color, "opacity": 0.75, "minBandSize": 3,
                  "stroke": color, "strokeWidth": 2},
         "encoding": {"x": axis.x(), "x2": {"field": "until"}, "y": y}},
        {"transform": [{"filter": "datum.ongoing"}],
         "mark": {"type": "point", "shape": "triangle-right", "filled": True, "color": color, "size": 60, "opacity": 1,
                  "xOffset": 5},
         "encoding": {"x": axis.x("until"), "y": y}},
    ]  # fmt: skip
    if graded:
        for v in values:
            if v["ongoing"]:
                v["until"], v["ongoing"] = v["day"], False
            v["grade"] = "" if v["value"] is None else f"grade {v['value'].normalize():f}"
        grade = {"field": "grade", "type": "nominal"}
        layer.append({"mark": {"type": "text", "align": "left", "dx": 6, "fontSize": 10, "color": style.INK},
                      "encoding": {"x": axis.x("until"), "y": y, "text": grade}})  # fmt: skip
    return _panel(title, {"step": ROW}, values, layer)


def _steps(title: str, rows: list[Row], axis: _Axis) -> list[dict[str, Any]]:
    values = [v | {"until": v["until"] + 1, "zero": 0} for v in axis.placed(rows) if v["value"] is not None]
    mark = {
        "type": "rect",
        "color": style.GREEN,
        "opacity": 0.55,
        "stroke": style.GREEN,
        "strokeWidth": 1,
    }
    return _panel(title, 80, values, [
        {"mark": mark, "encoding": {"x": axis.x(), "x2": {"field": "until"}, "y": _value(), "y2": {"field": "zero"}}},
    ])  # fmt: skip


def _lines(title: str, rows: list[Row], axis: _Axis) -> list[dict[str, Any]]:
    values = axis.placed(rows)
    items = sorted({r["item"] for r in rows})  # the total before the clinical one
    look = {"color": style.scale(items, (style.BLUE, style.ORANGE)), "strokeDash": style.scale(items, style.DASHES),
            "shape": style.scale(items, style.SHAPES)}  # fmt: skip
    kinds = {c: {"field": "item", "type": "nominal", "scale": s, "legend": None} for c, s in look.items()}
    y = _value(scale={"zero": True})
    return _panel(title, 90, values, [
        {"mark": {"type": "line", "strokeWidth": 1.6, "invalid": "break-paths-show-domains"},
         "encoding": {"x": axis.x(), "y": y, "color": kinds["color"], "strokeDash": kinds["strokeDash"]}},
        {"mark": {"type": "point", "filled": True, "size": 40, "opacity": 1},
         "encoding": {"x": axis.x(), "y": y, "color": kinds["color"], "shape": kinds["shape"]}},
        {"transform": [{"filter": "datum.value === null && datum.upper !== null"}],
         "mark": {"type": "rule", "strokeWidth": 3, "color": style.GREY, "opacity": 0.5},
         "encoding": {"x": axis.x(), "y": {"field": "lower", "type": "quantitative"}, "y2": {"field": "upper"}}},
    ])  # fmt: skip


def _levels(item: str, rows: list[Row], axis: _Axis) -> list[dict[str, Any]]:
    """Return a panel on a log axis, or a linear one where a level of 0 or less was measured."""
    log = all(r["value"] > 0 for r in rows)
    unit = next((r["unit"] for r in rows if r["unit"]), "no unit")
    limit = {"<": "triangle-down", "<=": "triangle-down", ">": "triangle-up", ">=": "triangle-up"}
    values = [v | {"shape": limit.get(r["said"], "circle")} for v, r in zip(axis.placed(rows), rows, strict=True)]
    y = _value(scale={"type": "log"} if log else {"zero": True})
    y["axis"] = {**y["axis"], "format": ",~f"}
    drawn = {"field": "shape", "type": "nominal", "scale": None, "legend": None}
    return _panel(f"{item}, {unit}{' (log scale)' if log else ''}", 90, values, [
        {"mark": {"type": "line", "color": style.PURPLE, "strokeWidth": 1.4}, "encoding": {"x": axis.x(), "y": y}},
        {"mark": {"type": "point", "size": 40, "stroke": style.PURPLE, "opacity": 1},
         "encoding": {"x": axis.x(), "y": y, "shape": drawn,
                      "fill": {"condition": {"test": "datum.shape === 'circle'", "value": style.PURPLE},
                               "value": "white"}}},
    ])  # fmt: skip


def _answers(title: str, rows: list[Row], axis: _Axis) -> list[dict[str, Any]]:
    order = list(dict.fromkeys(r["item"] for r in rows))
    found = [a for a in ANSWERS if any(r["status"] == a for r in rows)]
    kinds = {
        channel: {"field": "status", "type": "nominal", "title": None,
                  "scale": style.scale(found, [ANSWERS[a][i] for a in found])}
        for i, channel in enumerate(("fill", "stroke", "shape"))
    }  # fmt: skip
    mark = {"type": "point", "size": 60, "opacity": 1, "strokeWidth": 1.2}
    return _panel(title, {"step": ROW}, axis.placed(rows), [
        {"mark": mark, "encoding": {"x": axis.x(), "y": _rows(order), **kinds}},
    ])  # fmt: skip
