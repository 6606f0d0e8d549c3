"""Heat map of an endpoint's criteria by patient and visit: why somebody is not a responder."""

from typing import Any

import duckdb

from enfold.quoting import literal
from enfold.report.plots import style
from enfold.report.plots.endpoints import responses
from enfold.report.plots.plan import Drawn, Plan, Row
from enfold.study import StudyFile

SQL = """\
SELECT v.subject_id, p.ordinal, v.visit_id, v.criterion, v.status, r.rule
FROM verdicts v JOIN visits p USING (study_id, subject_id, visit_id)
LEFT JOIN rules r ON r.alias = v.alias AND r.criterion = v.criterion
WHERE v.alias = {alias} AND v.grain = 'visit' AND p.scheduled
ORDER BY v.subject_id, p.ordinal, v.visit_id, v.criterion"""

STATUS = {
    "met": style.BLUE,
    "not_met": style.ORANGE,
    "not_evaluable": "white",
    "not_applicable": style.PALE,
}
WORDS = {"met": "met", "not_met": "not met (x)", "not_evaluable": "not evaluable (?)",
         "not_applicable": "not due or not applicable"}  # fmt: skip


def plans(con: duckdb.DuckDBPyConnection, study: StudyFile) -> list[Plan]:
    """Return one picture for each response that is judged at visits."""
    return [
        Plan(
            key=f"components-{alias}",
            title=f"Why not a responder: criteria of {alias} by patient and visit",
            sql=SQL.format(alias=literal(alias)),
            draw=lambda rows, alias=alias: _draw(rows, alias),  # type: ignore[misc]
        )
        for alias in responses(con, study)
    ]


def _draw(rows: list[Row], alias: str) -> Drawn:
    judged = {r["visit_id"] for r in rows if r["status"] != "not_applicable"}
    rows = [r for r in rows if r["visit_id"] in judged]
    if not rows:
        sentence = f"No criterion of {alias} has been judged at a planned visit."
        return Drawn(sentence, sentence)
    visits = [v for _, v in sorted({(r["ordinal"], r["visit_id"]) for r in rows})]
    criteria = [*sorted({r["criterion"] for r in rows} - {"overall"}), "overall"]
    order = _order(rows, visits)
    height = style.row_height(len(order))
    found = [s for s in STATUS if any(r["status"] == s for r in rows)]
    width = max(7, min(18, style.WIDTH // (len(visits) * (len(criteria) + 1) - 1)))
    columns = _columns(visits, criteria)
    x = {"field": "column", "type": "nominal", "title": None, "scale": {"domain": columns, "padding": 0},
         "axis": {"labelAngle": -90, "labelFontSize": 10, "ticks": False, "domain": False, "labelOverlap": False,
                  "labelExpr": "split(datum.value, '\\t')[1]"}}  # fmt: skip
    y = {"field": "subject_id", "type": "nominal", "title": None, "scale": {"domain": order, "padding": 0},
         "axis": {"labels": style.names_fit(len(order)), "ticks": False, "domain": False,
                  "labelFontSize": min(11, height * 0.75)}}  # fmt: skip
    status = {(f"{r['visit_id']}\t{r['criterion']}", r["subject_id"]): r["status"] for r in rows}
    blocks = [{"visit": v, "column": f"{v}\t{criteria[0]}", "end": f"{v}\t{criteria[-1]}"} for v in visits]
    fill = {"field": "words", "type": "nominal", "title": None,
            "legend": {"symbolType": "square", "symbolStrokeColor": style.GREY},
            "scale": style.scale([WORDS[s] for s in found], [STATUS[s] for s in found])}  # fmt: skip
    layers: list[dict[str, Any]] = [
        {"data": {"values": _runs(columns, order, status)},
         "mark": {"type": "rect"},
         "encoding": {"x": x, "y": {**y, "bandPosition": 0}, "y2": {"field": "last", "bandPosition": 1}, "fill": fill}},
    ]  # fmt: skip
    if height >= 7:  # white lines between cells, and a sign in each: grey print and every eye can tell them
        layers += [
            {"data": {"values": [{"subject_id": o} for o in order[1:]]},
             "mark": {"type": "rule", "color": "white", "strokeWidth": 0.8},
             "encoding": {"y": {**y, "bandPosition": 0}}},
            {"data": {"values": [{"column": c} for c in columns]},
             "mark": {"type": "rule", "color": "white", "strokeWidth": 0.8},
             "encoding": {"x": {**x, "bandPosition": 0}}},
            {"data": {"values": [{"column": c, "subject_id": o} for (c, o), s in status.items() if s == "not_met"]},
             "mark": {"type": "point", "shape": "M-1,-1L1,1M1,-1L-1,1", "stroke": style.BLACK, "strokeWidth": 1.1,
                      "opacity": 1, "size": min(width, height) * 1.6},
             "encoding": {"x": x, "y": y}},
            {"data": {"values": [{"column": c, "subject_id": o} for (c, o), s in status.items()
                                 if s == "not_evaluable"]},
             "mark": {"type": "text", "text": "?", "fontSize": min(11, height * 0.75)},
             "encoding": {"x": x, "y": y}},
        ]  # fmt: skip
    layers += [
        {"data": {"values": blocks},
         "mark": {"type": "rect", "fill": None, "stroke": style.GREY, "strokeWidth": 0.8},
         "encoding": {"x": {**x, "bandPosition": 0}, "x2": {"field": "end", "bandPosition": 1},
                      "y": {"value": 0}, "y2": {"value": "height"}}},
        {"data": {"values": blocks},
         "mark": {"type": "text", "fontSize": 12, "fontWeight": "bold", "align": "left", "color": style.INK,
                  "dx": -width / 2},
         "encoding": {"x": x, "y": {"value": -9}, "text": {"field": "visit", "type": "nominal"}}},
    ]  # fmt: skip
    spec = {"width": {"step": width}, "height": {"step": height}, "layer": layers, "view": {"stroke": None}}
    rules = {r["criterion"]: r["rule"] for r in rows if r["rule"]}
    return Drawn(
        spec,
        f"Criteria of {alias} for {len(order)} patients at {', '.join(visits)}. {_said(rows, visits, criteria)}",
        (
            "Patients with the most responses first.",
            *(f"{c}: {rules[c]}." for c in criteria if c in rules),
        ),
    )


def _columns(visits: list[str], criteria: list[str]) -> list[str]:
    """Return the columns, those of a visit together, an empty one after each visit but the last."""
    gaps = [[f"{v}\t"] for v in visits[:-1]] + [[]]
    return [c for v, gap in zip(visits, gaps, strict=True) for c in [*(f"{v}\t{k}" for k in criteria), *gap]]


def _runs(columns: list[str], order: list[str], status: dict[tuple[str, str], str]) -> list[dict[str, str]]:
    """Return the cells with those of one answer that stand under each other as one."""
    out: list[dict[str, str]] = []
    for column in columns:
        before = None
        for subject in order:
            now = status.get((column, subject))
            if now is not None and now == before:
                out[-1]["last"] = subject
            elif now is not None:
                out.append({"column": column, "subject_id": subject, "last": subject, "words": WORDS[now]})
            before = now
    return out


def _order(rows: list[Row], visits: list[str]) -> list[str]:
    """Return the patients, most responses first, equal courses beside each other."""
    place = list(STATUS)
    course: dict[str, dict[str, int]] = {}
    for r in rows:
        own = course.setdefault(r["subject_id"], {})
        if r["criterion"] == "overall":
            own[r["visit_id"]] = place.index(r["status"])
    return sorted(
        course,
        key=lambda s: (-list(course[s].values()).count(0), [course[s].get(v, len(place)) for v in visits], s),
    )


def _said(rows: list[Row], visits: list[str], criteria: list[str]) -> str:
    """Return, for the last visit at which somebody was judged, how often each criterion failed."""
    last = visits[-1]
    parts = []
    for c in criteria:
        own = [r["status"] for r in rows if r["visit_id"] == last and r["criterion"] == c]
        parts.append(f"{c} not met in {own.count('not_met')}, not evaluable in {own.count('not_evaluable')}")
    return f"At {last}: {'; '.join(parts)}."
