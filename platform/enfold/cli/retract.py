"""enfold retract STUDY EVENT_ID."""

import argparse
from dataclasses import asdict
from pathlib import Path

from enfold.cli.output import author, show


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("study", type=Path, help="study folder")
    parser.add_argument("event_id", help="a first version withdraws the fact; a correction or retraction, itself alone")
    parser.add_argument("--author", default=author(), help="who withdraws it")
    parser.add_argument("--reason", required=True, help="why; names no value, for it is kept for ever")


def execute(args: argparse.Namespace) -> int:
    """Land a retraction."""
    from enfold.land.change import retract
    from enfold.land.landing import summary

    report = retract(args.study, args.event_id, author=args.author, reason=args.reason)
    show(args, asdict(report), summary(report))
    return 0
