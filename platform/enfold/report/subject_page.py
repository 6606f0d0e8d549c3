"""The course of one subject as one HTML file."""

from collections.abc import Iterable
from itertools import groupby

import duckdb

from enfold.report.course import Row, course, facts, observed, said, value
from enfold.report.html import EMPTY, Html, element, folded, joined, paragraph, table, text
from enfold.report.page import described, figure_section, links, page
from enfold.report.plots.plan import drawn
from enfold.report.plots.profile import plan
from enfold.report.question import source

FEW = 2  # events that a cell shows without unfolding
PARTS = {"profile": "Profile", "course": "Course", "answers": "Answers", "findings": "Findings"}


def subject_page(con: duckdb.DuckDBPyConnection, subject: str) -> str:
    """Return the page of a subject; the same run gives the same bytes.

    Raises:
        UsageError: the run knows no such subject.
    """
    study = source(con).study
    found = course(con, study, subject)
    ((run,),) = con.execute("SELECT run FROM served").fetchall()
    walk = (
        f"Walk on from an event: enfold history STUDY --subject {subject} --event EVENT; "
        f"from an answer: enfold explain STUDY ENDPOINT --subject {subject} --visit VISIT."
    )
    dated = [r for r in found["course"] if r["track"] != "answer"]
    answers = [r for r in found["course"] if r["track"] == "answer"]
    body = [
        described(facts(found["subject"])),
        element("div", text("Stated by "), _events(found["subject"]["event_ids"])),
        _section("profile", figure_section(drawn(plan(study, subject), found["course"], study))),
        _section("course", joined([paragraph(walk), _course(dated)])),
        _section("answers", _answers(answers)),
        _section("findings", _findings(found["findings"])),
    ]
    title = f"{subject}: course in {study.title}"
    return page(title, joined(body), contents=links(PARTS), run=run, synthetic=study.synthetic)


def _section(key: str, content: Html) -> Html:
    anchor = None if key == "profile" else key  # the picture has it already
    heading = element("h2", text(PARTS[key]), id=f"{key}-title")
    return element("section", heading, content, aria_labelledby=f"{key}-title", id=anchor)


def _course(rows: list[Row]) -> Html:
    lines = [
        [
            text("-" if r["day"] is None else str(r["day"])),
            text(str(r["from_date"] or "")),
            text(str(r["until_date"] or "")),
            text(r["track"]),
            text(r["item"]),
            text(value(r)),
            text(said(r)),
            _events(r["event_ids"]),
        ]
        for r in rows
    ]
    header = ("Day", "Date", "Until", "Kind", "What", "Value", "Further", "Events")
    return table(text("What was done, seen and judged"), header, lines, label="Table: course", class_="words course")


def _answers(rows: list[Row]) -> Html:
    lines = [[text(r["item"]), text(value(r)), text(said(r)), _events(r["event_ids"])] for r in rows]
    caption = text("What the endpoints say of the whole course")
    return table(caption, ("Endpoint", "Value", "Answer", "Events"), lines, label="Table: answers", class_="words")


def _findings(rows: list[Row]) -> Html:
    parts = []
    for instrument, group in groupby(rows, key=lambda r: r["instrument"]):
        own = list(group)
        lines = [
            [
                text("-" if r["day"] is None else str(r["day"])),
                text(str(r["date"] or "")),
                text(r["visit_id"] or ""),
                text(r["item"]),
                text(observed(r)),
                _events(r["event_ids"]),
            ]
            for r in own
        ]
        header = ("Day", "Date", "Visit", "Item", "Value", "Events")
        made = table(text(instrument), header, lines, label=f"Table: {instrument}", class_="words")
        parts.append(folded(f"{instrument}: {len(own)} values", made))
    return joined(parts) if parts else paragraph("No finding is known.")


def _events(ids: Iterable[str]) -> Html:
    """Return event ids; many are folded."""
    known = list(ids)
    if not known:
        return EMPTY
    listed = joined((element("code", text(i)) for i in known), "<br>")
    if len(known) <= FEW:
        return element("span", listed, class_="ids")
    return folded(f"{len(known)} events", element("span", listed, class_="ids"))
