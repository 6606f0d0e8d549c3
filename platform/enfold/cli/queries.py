"""enfold queries STUDY list|export."""

import argparse
import csv
import io
from collections import Counter
from pathlib import Path

from enfold.cli.output import create_new, show
from enfold.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("study", type=Path, help="study folder")
    parser.add_argument("action", choices=["list", "export"], help="print the queries, or write them as CSV")
    parser.add_argument("--code", help="only this code (docs/reference/data-findings.md)")
    parser.add_argument("--severity", choices=["info", "query", "error"], help="only this severity")
    parser.add_argument("--closed-since", metavar="CUT", help="list what was open at this cut, position or run and is"
                        " settled now, with the events that settled it")  # fmt: skip
    parser.add_argument("--output", type=Path, help="file to write; it must not exist")
    parser.add_argument("--strict", action="store_true", help="exit with 3 if a query or error is open")


def execute(args: argparse.Namespace) -> int:
    """List or export data findings with their events and source rows; ids and counts only."""
    from enfold.report.queries import CLOSED, COLUMNS, closed, queries

    since = args.closed_since
    columns = CLOSED if since else COLUMNS
    found = (
        closed(args.study, since, args.code, args.severity) if since else queries(args.study, args.code, args.severity)
    )
    if args.action == "export":
        if args.output is None:
            msg = "export needs --output FILE"
            raise UsageError(msg, remedy="enfold queries STUDY export --output queries.csv")
        sink = io.StringIO()
        writer = csv.DictWriter(sink, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: " ".join(v) if isinstance(v, list) else v for k, v in q.items()} for q in found)
        create_new(args.output, sink.getvalue().encode())
        show(args, {"file": str(args.output), "rows": len(found)}, f"{len(found)} rows written to {args.output}")
    else:
        lines = [
            f"{q['subject_id']}  {q['code']} ({q['severity']})  {q['subject_ref']}: {q['rule']}\n"
            + (
                f"    closed by {', '.join(q['closed_by']) or 'a change of the rules'}"
                if since
                else f"    {q['event_id']}  {q['source_file']} row {q['source_row']}, position {q['position']}"
            )
            for q in found
        ]
        counts = Counter(q["code"] for q in found)
        lines.append(", ".join(f"{code}: {n}" for code, n in sorted(counts.items())) or "no queries")
        show(args, found, "\n".join(lines))
    return 3 if args.strict and not since and any(q["severity"] in ("query", "error") for q in found) else 0
