"""Responders at each visit as stacked counts: nobody is left out, missing answers are a colour of their own."""

from itertools import groupby
from typing import Any

import duckdb

from enfold.report.plots import style
from enfold.report.plots.endpoints import responses
from enfold.report.plots.plan import Drawn, Plan, Row
from enfold.study import StudyFile

SQL = """\
SELECT r.alias, p.ordinal, r.visit_id,
       CASE WHEN r.status = 'met' THEN 'response' WHEN r.status = 'not_met' THEN 'no response'
            WHEN r.status = 'not_evaluable' THEN 'not evaluable'
            WHEN p.status = 'not_due' THEN 'not due yet' ELSE 'not applicable' END AS answer,
       count(*) AS patients
FROM responses_by_visit r JOIN asked a ON a.alias = r.alias AND a.met_means = 'response'
JOIN visits p USING (study_id, subject_id, visit_id)
GROUP BY ALL ORDER BY r.alias, p.ordinal, r.visit_id, answer"""

# bottom first: fill, outline, letters
ANSWERS = {
    "response": (style.BLUE, style.BLUE, "white"),
    "no response": (style.ORANGE, style.ORANGE, style.BLACK),
    "not evaluable": ("white", style.BLACK, style.BLACK),
    "not applicable": (style.PALE, style.GREY, style.BLACK),
    "not due yet": ("#F4F4F4", "#C4C4C4", style.GREY),
}
HEIGHT = 200


def plans(con: duckdb.DuckDBPyConnection, study: StudyFile) -> list[Plan]:
    """Return the picture."""
    order = responses(con, study)
    return [
        Plan(
            key="responders",
            title="Response at each planned visit, missing answers shown; infused patients",
            sql=SQL,
            draw=lambda rows: _draw(rows, order),
        )
    ]


def _draw(rows: list[Row], order: list[str]) -> Drawn:
    if not rows:
        sentence = "No response has been judged at a planned visit."
        return Drawn(sentence, sentence)
    stacked, tallest = _stack(rows)
    aliases = [a for a in order if any(r["alias"] == a for r in rows)]
    answers = [a for a in ANSWERS if any(r["answer"] == a for r in rows)]
    columns = min(3, len(aliases))
    x = {"field": "visit_id", "type": "ordinal", "title": None, "axis": {"labelAngle": 0, "labelFontSize": 10},
         "sort": [v for _, v in sorted({(r["ordinal"], r["visit_id"]) for r in rows})]}  # fmt: skip
    y = {"field": "from", "type": "quantitative", "title": "Patients", "scale": {"domain": [0, tallest]},
         "axis": {"tickMinStep": 1, "format": "d"}}  # fmt: skip
    fills = {
        channel: {"field": "answer", "type": "nominal", "title": None, "legend": {"columns": 5, "symbolType": "square"},
                  "scale": style.scale(answers, [ANSWERS[a][i] for a in answers])}
        for i, channel in enumerate(("fill", "stroke"))
    }  # fmt: skip
    spec: dict[str, Any] = {
        "data": {"values": stacked},
        "facet": {"field": "alias", "type": "nominal", "title": None, "sort": aliases,
                  "header": {"labelFontWeight": "bold"}},
        "columns": columns,
        "spacing": 22,
        "spec": {
            "width": {1: 520, 2: 270, 3: 172}[columns],
            "height": HEIGHT,
            "layer": [
                {"mark": {"type": "bar", "strokeWidth": 0.8, "width": {"band": 0.86}},
                 "encoding": {"x": x, "y": y, "y2": {"field": "until"}, **fills}},
                {"transform": [{"filter": f"(datum.until - datum.from) * {HEIGHT} / {tallest} >= 8.5"}],
                 "mark": {"type": "text", "fontSize": 9.5},
                 "encoding": {"x": x, "y": {"field": "middle", "type": "quantitative"},
                              "text": {"field": "patients", "type": "nominal"},
                              "color": {"field": "answer", "type": "nominal", "legend": None,
                                        "scale": style.scale(answers, [ANSWERS[a][2] for a in answers])}}},
            ],
        },
        "resolve": {"scale": {"color": "independent"}, "axis": {"x": "independent"}},
    }  # fmt: skip
    return Drawn(
        spec,
        f"Stacked counts by visit. {_said(rows, aliases)}",
        (
            "Verdicts as they are, without imputation. Not evaluable: the visit or a value it needs is missing.",
            "Every infused patient is in every bar.",
        ),
    )


def _stack(rows: list[Row]) -> tuple[list[dict[str, Any]], int]:
    """Return the rows with the place of their part in the bar, and the height of the highest bar."""
    place = list(ANSWERS)
    out: list[dict[str, Any]] = []
    tallest = 0
    for _, group in groupby(rows, key=lambda r: (r["alias"], r["ordinal"], r["visit_id"])):
        base = 0
        for row in sorted(group, key=lambda r: place.index(r["answer"])):
            top = base + row["patients"]
            out.append({**row, "from": base, "until": top, "middle": (base + top) / 2})
            base = top
        tallest = max(tallest, base)
    return out, tallest


def _said(rows: list[Row], aliases: list[str]) -> str:
    parts = []
    for alias in aliases:
        own = [r for r in rows if r["alias"] == alias]
        visits = sorted({(r["ordinal"], r["visit_id"]) for r in own})
        each = []
        for _, visit in visits:
            n = {r["answer"]: r["patients"] for r in own if r["visit_id"] == visit}
            judged = n.get("response", 0) + n.get("no response", 0)
            each.append(f"{visit} {n.get('response', 0)} of {judged}")
        parts.append(f"{alias}: {', '.join(each)} evaluable respond.")
    return " ".join(parts)
