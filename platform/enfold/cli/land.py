"""enfold land STUDY FILE [FILE …]."""

import argparse
from dataclasses import asdict
from pathlib import Path

from enfold.cli.output import author, say, show
from enfold.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("study", type=Path, help="study folder")
    parser.add_argument("files", type=Path, nargs="+",
                        help="CSV, Parquet, Arrow, XPT, Dataset-JSON or NDJSON files, or study.toml")  # fmt: skip
    parser.add_argument("--mapping", help="shipped mapping such as sdtm/ae, or a .toml file; default: the file's"
                        " name is an event type and its columns are enfold's")  # fmt: skip
    parser.add_argument("--type", dest="event_type", help="event type of a file in enfold's columns")
    parser.add_argument("--source", help="name of the source system")
    parser.add_argument("--author", default=author(), help="who lands it")
    parser.add_argument("--reason", help="why; mandatory for a snapshot")
    parser.add_argument("--snapshot", action="store_true", help="the file holds everything that its source holds:"
                        " changed rows become corrections, vanished ones retractions")  # fmt: skip
    parser.add_argument("--max-vanished", type=int, default=10, metavar="PERCENT", help="stop a snapshot from which"
                        " more of the source's keys are gone (default 10)")  # fmt: skip
    parser.add_argument("--strict", action="store_true", help="refuse the whole file if one record is refused")
    parser.add_argument("--dry-run", action="store_true", help="say what would happen, write nothing")


def execute(args: argparse.Namespace) -> int:
    """Land each file as one commit; print the reconciliation."""
    from enfold import study
    from enfold.land import mapping, readers
    from enfold.land.landing import first_refusal, land, summary
    from enfold.land.protocol import land_study
    from enfold.ledger.ledger import Ledger

    if args.snapshot and not args.reason:
        msg = "a snapshot needs --reason: its corrections and retractions carry it"
        raise UsageError(msg, remedy='For example --reason "nightly export of the EDC".')
    args.reason = args.reason or "landing"
    refused = 0
    for path in args.files:
        if path.suffix == ".toml":
            commit = land_study(args.study, path, author=args.author, reason=args.reason)
            position = commit.position if commit else None
            done = f"position {position}" if position else "already there"
            show(args, {"source": path.name, "position": position}, f"{path.name}: {done}")
            continue
        ledger = Ledger(args.study / "ledger")
        study_id = study.parse(ledger.study_text()).id
        source = readers.read(path)
        say(f"{path.name}: {source.rows.num_rows} rows read")
        if args.mapping:
            chosen = mapping.load(args.mapping)
        else:
            chosen = mapping.native(
                _event_type(args.event_type or path.name.removesuffix(".gz").rpartition(".")[0]),
                source.rows.column_names,
            )
        report = land(
            args.study, source, chosen, study_id=study_id, author=args.author, reason=args.reason,
            system=args.source, strict=args.strict, dry_run=args.dry_run, snapshot=args.snapshot,
            max_vanished=args.max_vanished,
        )  # fmt: skip
        refused += report.refused
        text = summary(report)
        if report.refused:
            text += (
                f"\n  {first_refusal(report)}\n  The good records landed; all refusals are in {args.study}/refused/."
            )
        show(args, asdict(report), text)
    return 3 if refused else 0


def _event_type(name: str) -> str:
    from enfold import schema

    if name not in schema.events():
        msg = f"`{name}` is not an event type"
        raise UsageError(
            msg, remedy=f"Name the file after one ({', '.join(schema.events())}), or use --type or --mapping."
        )
    return name
