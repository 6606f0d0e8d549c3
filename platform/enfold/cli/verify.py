"""enfold verify STUDY."""

import argparse
from dataclasses import asdict
from pathlib import Path

from enfold.cli.output import show


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("study", type=Path, help="study folder")


def execute(args: argparse.Namespace) -> int:
    """Check the whole ledger."""
    from enfold.ledger.verify import verify

    found = verify(args.study / "ledger")
    show(args, asdict(found), f"intact: {found.commits} commits, {found.events} events in {found.segments} segments;"
         f" head {found.head}")  # fmt: skip
    return 0
