"""enfold pack STUDY."""

import argparse
from dataclasses import asdict
from pathlib import Path

from enfold.cli.output import show


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("study", type=Path, help="study folder")


def execute(args: argparse.Namespace) -> int:
    """Pack the segments; rows, positions and digests stay as they are."""
    from enfold.ledger.pack import pack

    done = pack(args.study / "ledger")
    show(args, asdict(done), f"{done.before} segment files became {done.after}")
    return 0
