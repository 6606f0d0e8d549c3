"""enfold export STUDY FOLDER --adam | --sdtm | --meds | --delta."""

import argparse
from pathlib import Path

from enfold.cli.output import show
from enfold.errors import UsageError

FORMATS = ("parquet", "csv", "xpt", "dataset-json", "dataset-ndjson")  # those of serve/write.py


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("study", type=Path, help="study folder")
    parser.add_argument("folder", type=Path, help="folder to write, a new one")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--adam", action="store_true", help="analysis datasets (docs/reference/adam.md), with define.xml"
                      " beside xpt and Dataset-JSON")  # fmt: skip
    what.add_argument("--sdtm", action="store_true", help="SDTM domains with supplemental qualifiers,"
                      " as docs/reference/sdtm-lupus.md describes them; `enfold land` lands them again")  # fmt: skip
    what.add_argument("--meds", action="store_true", help="a dataset of the Medical Event Data Standard 0.4"
                      " (docs/how-to/other-engines.md)")  # fmt: skip
    what.add_argument("--delta", action="store_true", help="all that was landed, as Delta tables over the ledger's own"
                      " files (docs/how-to/other-engines.md)")  # fmt: skip
    parser.add_argument("--format", choices=FORMATS, help="of --adam and --sdtm; xpt: SAS"
                        " transport version 5; dataset-json, -ndjson: Dataset-JSON 1.1 (default: parquet)")  # fmt: skip
    parser.add_argument("--run", help="the run (default: the one in force)")


def execute(args: argparse.Namespace) -> int:
    """Write the files; print the rows of each."""
    if args.format and (args.meds or args.delta):
        msg = "--format is of --adam and --sdtm; MEDS and Delta are formats of their own"
        raise UsageError(msg, remedy="Leave it out.")
    if args.delta:
        from enfold.serve import lake

        tables = lake.export(args.study, args.folder)
        text = "\n".join(f"{args.folder / name}: {rows} rows" for name, rows in tables.items())
        show(args, {"folder": str(args.folder), "tables": tables}, text)
        return 0
    from enfold.serve import adam, meds, sdtm

    run = _run(args)
    if args.meds:
        files = meds.export(args.study, run, args.folder)
    else:
        files = (adam if args.adam else sdtm).export(args.study, run, args.folder, args.format or "parquet")
    text = "\n".join(f"{args.folder / name}: {rows} rows" for name, rows in files.items())
    show(args, {"folder": str(args.folder), "run": run, "files": files}, text)
    return 0


def _run(args: argparse.Namespace) -> str:
    from enfold.run import manifest

    try:
        return str(args.run[:16] if args.run else manifest.pointed(args.study / "runs" / "current.json")["run"])
    except FileNotFoundError:
        msg = f"{args.study}: nothing has been run yet"
        raise UsageError(msg, remedy=f"Run it first: enfold run {args.study}") from None
