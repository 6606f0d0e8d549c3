"""enfold history STUDY --subject S."""

import argparse
from itertools import groupby
from pathlib import Path

from enfold.cli.output import show


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("study", type=Path, help="study folder")
    parser.add_argument("--subject", required=True, help="subject")
    parser.add_argument("--field", help="only this field, for example value_number")
    parser.add_argument("--event", help="only this event and what changes it")


def execute(args: argparse.Namespace) -> int:
    """Print who stated or changed what, when and why, in ledger order."""
    from enfold.report.history import history

    rows = history(args.study, args.subject, field=args.field, event_id=args.event)
    lines = []
    for _, group in groupby(rows, key=lambda r: (r["position"], r["event_id"], r["change"])):
        found = list(group)
        r = found[0]
        of = f" of {r['changes_event']}" if r["changes_event"] else ""
        where = f" ({r['source_file']} row {r['source_row']})" if r["source_row"] else ""
        said = f" at {r['recorded_at'][:19]}Z" if r["recorded_at"] else ""
        lines.append(f"{r['position']:>5}  {r['committed_at'][:19]}Z  {r['author']}{said}  {r['change']}"
                     f" {r['event_type']} {r['event_id']}{of}{where}: {r['reason']}")  # fmt: skip
        for f in found:
            if f["field"]:
                lines.append(f"           {f['field']}: " + (f"{f['old']} -> {f['new']}" if f["old"] else f["new"]))
    show(args, rows, "\n".join(lines) or "no events")
    return 0
