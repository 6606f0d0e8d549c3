"""enfold correct STUDY EVENT_ID FIELD=VALUE … | --move SUBJECT."""

import argparse
from dataclasses import asdict
from pathlib import Path

from enfold.cli.output import author, show
from enfold.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("study", type=Path, help="study folder")
    parser.add_argument("event_id", help="any event of the fact; enfold history shows them")
    parser.add_argument("values", nargs="*", metavar="FIELD=VALUE", help="what is right; nothing after = clears it")
    parser.add_argument("--move", metavar="SUBJECT", help="move the fact to this subject instead")
    parser.add_argument("--author", default=author(), help="who corrects it")
    parser.add_argument("--reason", required=True, help="why; names no value, for it is kept for ever")


def execute(args: argparse.Namespace) -> int:
    """Land a correction, or a move as one commit."""
    from enfold.land import change
    from enfold.land.landing import summary

    values = dict(v.partition("=")[::2] for v in args.values)
    if bool(values) == bool(args.move) or not all("=" in v for v in args.values):
        msg = "give either FIELD=VALUE, once or more, or --move SUBJECT"
        raise UsageError(msg, remedy="enfold correct STUDY EVENT_ID value_number=4 --reason 'typing error at the site'")
    if args.move:
        report = change.move(args.study, args.event_id, args.move, author=args.author, reason=args.reason)
    else:
        report = change.correct(args.study, args.event_id, values, author=args.author, reason=args.reason)
    show(args, asdict(report), summary(report))
    return 0
