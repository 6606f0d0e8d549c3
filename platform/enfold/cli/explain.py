"""enfold explain STUDY ENDPOINT --subject S [--visit V]."""

import argparse
from pathlib import Path
from typing import Any

from enfold.cli.output import show
from enfold.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("study", type=Path, help="study folder")
    parser.add_argument("endpoint", help="alias of the endpoint in the study file")
    parser.add_argument("--subject", required=True, help="subject id")
    parser.add_argument("--visit", help="visit id, for endpoints judged at visits")
    parser.add_argument("--events", action="store_true", help="list every event, not ranges of source rows")
    parser.add_argument("--no-flip", action="store_true", help="do not look for the smallest change that flips it")


def execute(args: argparse.Namespace) -> int:
    """Print the clause tree: values compared, rule and source, events, and what would flip the verdict."""
    from enfold.report.explain import explain

    found = explain(args.study, args.endpoint, args.subject, args.visit, flips=not args.no_flip)
    if not found:
        msg = f"no verdict of `{args.endpoint}` for this subject and visit"
        raise UsageError(msg, remedy='enfold sql STUDY "SELECT DISTINCT alias, visit_id FROM verdicts"')
    show(args, found, "\n\n".join("\n".join(_told(answer, every_event=args.events)) for answer in found))
    return 0


def _told(answer: dict[str, Any], *, every_event: bool) -> list[str]:
    place = answer["visit_id"] or (f"period {answer['period']}" if answer["period"] else "")
    if answer["from_at"]:
        place += f" from {answer['from_at']:%Y-%m-%d %H:%M}"
    lines = [
        f"{answer['endpoint']}  {answer['subject']} {place}: {_status(answer['overall'])}".rstrip(),
        f"  {answer['definition']} {answer['version']}: {answer['citation']}",
        "  " + ", ".join(f"{k} = {v}" for k, v in answer["parameters"].items()),
    ]
    if answer["overall"]["reason"]:
        lines.append(f"  why: {answer['overall']['reason']}")
    if answer["overall"]["flags"]:
        lines.append(f"  flags: {', '.join(answer['overall']['flags'])}")
    for clause in answer["clauses"] or [answer["overall"]]:
        lines.append(f"  {clause['criterion']}: {_status(clause)}")
        for name in ("rule", "compared", "reason"):
            if clause[name]:
                lines.append(f"      {name}: {clause[name]}")
        lines += [f"      {line}" for line in _events(clause["events"], every_event=every_event)]
    if "flip" in answer:
        lines.append(f"  {_flip(answer['flip'])}")
    return lines


def _status(clause: dict[str, Any]) -> str:
    grade = f", grade {clause['grade']}" if clause["grade"] is not None else ""
    if clause["grade_upper"] not in (None, clause["grade"]):
        grade += f" (at most {clause['grade_upper']})"
    value = f", value {clause['value_number'].normalize():f}" if clause["value_number"] is not None else ""
    return str(clause["status"]).replace("_", " ") + grade + value


def _events(events: list[dict[str, Any]], *, every_event: bool) -> list[str]:
    if every_event:
        return [
            f"{e['event_id']}  {e['source_file']} row {e['source_row']}, "
            f"position {e['position']}, {_author(e['author'])}"
            for e in events
        ]
    files: dict[tuple[Any, ...], list[int]] = {}
    for e in events:
        files.setdefault((e["source_file"], e["position"], e["author"]), []).append(int(e["source_row"] or 0))
    return [
        f"{file} row{'s' if len(rows) > 1 else ''} {_ranges(sorted(rows))}, position {position}, {_author(author)}"
        for (file, position, author), rows in sorted(files.items(), key=str)
    ]


def _author(name: str | None) -> str:
    return name or "no author"


def _ranges(rows: list[int]) -> str:
    out: list[list[int]] = []
    for row in rows:
        if out and row == out[-1][-1] + 1:
            out[-1].append(row)
        else:
            out.append([row])
    return ", ".join(str(r[0]) if len(r) == 1 else f"{r[0]}-{r[-1]}" for r in out)


def _flip(flip: dict[str, Any]) -> str:
    change = flip["smallest"]
    if change is None:
        tried = f"{flip['tried']} single changes tried" if flip["tried"] else "there is nothing to flip"
        return f"no single value, item or review flips it ({tried})"
    grade = f" grade {change['grade']}" if change["grade"] is not None else ""
    verdict = f"{change['status'].replace('_', ' ')}{grade}"
    others = f"; {flip['others']} other single changes do so too" if flip["others"] else ""
    if change["kind"] == "value":
        what = f"{change['about']} {change['before']} -> {change['after']} (event {change['event_id']})"
    elif change["kind"] == "missing_item":
        what = f"{change['about']} recorded as {change['after']}"
    else:
        what = f"a {change['about']} that covers the time"
    return f"smallest change that flips it: {what} gives {verdict} (evaluated){others}"
