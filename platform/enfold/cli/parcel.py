"""enfold parcel STUDY [RUN] --output FILE."""

import argparse
from pathlib import Path

from enfold.cli.output import show
from enfold.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("study", type=Path, help="study folder")
    parser.add_argument("run", nargs="?", help="the run (default: the one in force)")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="the archive to write, a new file")


def execute(args: argparse.Namespace) -> int:
    """Write the parcel."""
    from enfold.run import manifest
    from enfold.serve import parcel

    try:
        run = args.run[:16] if args.run else manifest.pointed(args.study / "runs" / "current.json")["run"]
    except FileNotFoundError:
        msg = f"{args.study}: nothing has been run yet"
        raise UsageError(msg, remedy=f"Run it first: enfold run {args.study}") from None
    try:
        size = parcel.write(args.study, run, args.output)
    except FileExistsError:
        msg = f"{args.output} exists"
        raise UsageError(msg, remedy="Name another file, or move this one away.") from None
    head = manifest.read(args.study, run)["pins"]["head"]
    text = f"{args.output}: run {run}, {size} octets\nTo check it, without enfold: python3 {args.output} {head}"
    show(args, {"file": str(args.output), "run": run, "octets": size, "head": head}, text)
    return 0
