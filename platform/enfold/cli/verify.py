"""enfold verify STUDY."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from enfold.cli.output import create_new, show
from enfold.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("study", type=Path, help="study folder")
    parser.add_argument("--anchor", help="head hash printed once, or the file that --export-anchor wrote: it must"
                        " still be in the chain")  # fmt: skip
    parser.add_argument("--export-anchor", type=Path, metavar="FILE", help="write the head hash to a new file, to be"
                        " kept elsewhere")  # fmt: skip


def execute(args: argparse.Namespace) -> int:
    """Check the whole ledger."""
    from enfold.ledger.verify import verify

    found = verify(args.study / "ledger", _hash(args.anchor) if args.anchor else None)
    if args.export_anchor:
        create_new(args.export_anchor, json.dumps({"position": found.commits, "head": found.head}).encode() + b"\n")
    since = f"; unchanged since position {found.anchored_at}" if found.anchored_at else ""
    gone = f", {found.redacted} redacted" if found.redacted else ""
    what = f"{found.commits} commits, {found.events} events{gone} in {found.segments} segments"
    show(args, asdict(found), f"intact: {what}{since}; head {found.head}")
    return 0


def _hash(text: str) -> str:
    path = Path(text)
    if not path.is_file():
        return text
    try:
        return str(json.loads(path.read_text("utf-8"))["head"])
    except (ValueError, KeyError, TypeError):
        msg = f"{path.name}: not an anchor"
        raise UsageError(msg, remedy="Give the hash itself, or a file written by --export-anchor.") from None
