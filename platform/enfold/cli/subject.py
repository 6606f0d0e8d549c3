"""enfold subject STUDY SUBJECT."""

import argparse
from pathlib import Path
from typing import Any

from enfold.cli.output import create_new, show, written_picture


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("study", type=Path, help="study folder")
    parser.add_argument("subject", help="subject id")
    parser.add_argument("--findings", action="store_true", help="print every item of every form, too")
    parser.add_argument("--events", action="store_true", help="print every event id, not the first of many")
    written = parser.add_mutually_exclusive_group()
    written.add_argument("--html", metavar="FILE", type=Path, help="write the course as one HTML file")
    written.add_argument("--picture", metavar="FILE", type=Path, help="draw the course to a new .svg or .png file")


def execute(args: argparse.Namespace) -> int:
    """Print the course of a subject in the run in force, or write or draw it."""
    from enfold.report.course import course
    from enfold.report.question import source
    from enfold.serve.build import current
    from enfold.serve.study import connect

    con = connect(current(args.study))
    study = source(con).study
    if args.html:
        from enfold.report.subject_page import subject_page

        data = subject_page(con, args.subject).encode()
        create_new(args.html, data)
        show(args, {"html": str(args.html), "bytes": len(data)}, f"{args.html}: {len(data)} bytes")
        return 0
    found = course(con, study, args.subject)
    if args.picture:
        from enfold.report.plots.plan import drawn
        from enfold.report.plots.profile import plan

        written_picture(args, drawn(plan(study, args.subject), found["course"], study).svg)
        return 0
    synthetic = ["SYNTHETIC data: no real patient."] if study.synthetic else []
    show(args, found, "\n".join([*synthetic, *_told(args, found)]))
    return 0


def _told(args: argparse.Namespace, found: dict[str, Any]) -> list[str]:
    from enfold.report.course import facts, observed, said, value

    who = "; ".join(f"{k}: {v}" for k, v in facts(found["subject"]).items())
    lines = [f"{args.subject}  {who}", ""]
    for r in found["course"]:
        when = _when(r["day"], r["from_date"])
        until = f"until day {r['until_day']}" if r["until_day"] not in (None, r["day"]) else ""
        what = ", ".join(part for part in (f"{r['item']} {value(r)}".rstrip(), until, said(r)) if part)
        lines.append(f"{when}  {r['track']:<13}  {what}{_events(args, r['event_ids'])}")
    if args.findings:
        lines.append("")
        for r in found["findings"]:
            when = _when(r["day"], r["date"])
            lines.append(f"{when}  {r['instrument']:<13}  {r['item']} {observed(r)}{_events(args, r['event_ids'])}")
    return [
        *lines,
        "",
        f"from an event:   enfold history STUDY --subject {args.subject} --event EVENT",
        f"from an answer:  enfold explain STUDY ENDPOINT --subject {args.subject} --visit VISIT",
    ]


def _when(day: int | None, date: object) -> str:
    return f"{'' if day is None else day:>6}  {'' if date is None else str(date):<10}"


def _events(args: argparse.Namespace, ids: list[str]) -> str:
    if not ids:
        return ""
    more = "" if args.events or len(ids) == 1 else f" and {len(ids) - 1} more"
    return f"  [{' '.join(ids) if args.events else ids[0]}{more}]"
