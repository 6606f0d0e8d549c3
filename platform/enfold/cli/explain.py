"""enfold explain ENDPOINT STUDY --subject S [--visit V]."""

import argparse
from pathlib import Path

from enfold.cli.output import show
from enfold.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("study", type=Path, help="study folder")
    parser.add_argument("endpoint", help="alias of the endpoint in the study file")
    parser.add_argument("--subject", required=True, help="subject id")
    parser.add_argument("--visit", help="visit id, for endpoints judged at visits")


def execute(args: argparse.Namespace) -> int:
    """Print criteria, and for each its events with file, row, author and ledger position."""
    from enfold.report.explain import explain

    found = explain(args.study, args.endpoint, args.subject, args.visit)
    if not found:
        msg = f"no verdict of `{args.endpoint}` for this subject and visit"
        raise UsageError(msg, remedy='enfold sql STUDY "SELECT DISTINCT alias, visit_id FROM verdicts"')
    lines = []
    for v in found:
        grade = f" grade {v['grade']}" if v["grade"] is not None else ""
        why = f": {v['reason']}" if v["reason"] else ""
        lines.append(f"{v['visit_id'] or ''} {v['criterion']}: {v['status']}{grade}{why}".strip())
        if v["criterion"] != "overall" or len(found) == 1:
            lines += [
                f"    {e['event_id']}  {e['source_file']} row {e['source_row']}, "
                f"position {e['position']}, {e['author'] or 'no author'}"
                for e in v["events"]
            ]
    show(args, found, "\n".join(lines))
    return 0
