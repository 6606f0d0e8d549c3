"""enfold export STUDY FOLDER --sdtm."""

import argparse
from pathlib import Path

from enfold.cli.output import show
from enfold.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("study", type=Path, help="study folder")
    parser.add_argument("folder", type=Path, help="folder to write, a new one")
    parser.add_argument("--sdtm", action="store_true", required=True, help="SDTM domains with supplemental qualifiers,"
                        " as docs/reference/sdtm-lupus.md describes them; `enfold land` lands them again")  # fmt: skip
    parser.add_argument("--run", help="the run (default: the one in force)")


def execute(args: argparse.Namespace) -> int:
    """Write the files; print the rows of each."""
    from enfold.run import manifest
    from enfold.serve import sdtm

    try:
        run = args.run[:16] if args.run else manifest.pointed(args.study / "runs" / "current.json")["run"]
    except FileNotFoundError:
        msg = f"{args.study}: nothing has been run yet"
        raise UsageError(msg, remedy=f"Run it first: enfold run {args.study}") from None
    files = sdtm.export(args.study, run, args.folder)
    text = "\n".join(f"{args.folder / name}.parquet: {rows} rows" for name, rows in files.items())
    show(args, {"folder": str(args.folder), "run": run, "files": files}, text)
    return 0
