"""enfold redact STUDY EVENT_ID [EVENT_ID …]."""

import argparse
from pathlib import Path

from enfold.cli.output import author, show


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("study", type=Path, help="study folder")
    parser.add_argument("event_ids", nargs="+", metavar="EVENT_ID", help="all versions of each fact")
    parser.add_argument("--author", default=author(), help="who orders it")
    parser.add_argument("--reason", required=True, help="the legal ground; names no value, for it is kept for ever")


def execute(args: argparse.Namespace) -> int:
    """Redact events; remove every copy that enfold made of them."""
    from enfold.land.purge import redact

    done = redact(args.study, args.event_ids, author=args.author, reason=args.reason)
    what = (
        f"{len(args.event_ids)} events redacted at position {done['position']}, {done['removed']} derived files removed"
    )
    show(args, done, f"{what}. Copies elsewhere (exports, parcels, backups) are yours to find.")
    return 0
