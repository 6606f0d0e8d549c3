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
    parser.add_argument("--supp", type=Path, action="append", default=[], metavar="FILE", help="supplemental"
                        " qualifiers (SDTM SUPP--), joined to the rows of the one file that is landed")  # fmt: skip
    parser.add_argument("--dictionary", type=Path, metavar="FILE", help="data dictionary of a REDCap project,"
                        " or the ODM document with the metadata of the one that is landed")  # fmt: skip
    parser.add_argument("--type", dest="event_type", help="event type of a file in enfold's columns")
    parser.add_argument("--source", help="name of the source system")
    parser.add_argument("--author", default=author(), help="who lands it")
    parser.add_argument("--reason", help="why; mandatory for a snapshot")
    parser.add_argument("--snapshot", action="store_true", help="the file holds everything that its source holds:"
                        " changed rows become corrections, vanished ones retractions")  # fmt: skip
    parser.add_argument("--max-vanished", type=int, default=10, metavar="PERCENT", help="stop a snapshot from which"
                        " more of the source's keys are gone (default 10)")  # fmt: skip
    parser.add_argument("--strict", action="store_true", help="refuse the whole file if one record is refused")
    parser.add_argument(
        "--dry-run", action="store_true", help="show what each row and column would become, in a table; write nothing"
    )


def execute(args: argparse.Namespace) -> int:
    """Land each file as one commit; print the reconciliation."""
    from enfold import study
    from enfold.evaluate import definitions
    from enfold.land import limits, mapping, preview, readers, sources, supplement
    from enfold.land.landing import first_refusal, land_staged, summary
    from enfold.land.protocol import land_study
    from enfold.land.stage import stage
    from enfold.ledger.ledger import Ledger

    if args.snapshot and not args.reason:
        msg = "a snapshot needs --reason: its corrections and retractions carry it"
        raise UsageError(msg, remedy='For example --reason "nightly export of the EDC".')
    if args.supp and len(args.files) > 1:
        msg = f"--supp goes with one file, and {len(args.files)} are to be landed"
        raise UsageError(msg, remedy="Land the domain that the qualifiers belong to by itself.")
    args.reason = args.reason or "landing"
    refused = 0
    for path in args.files:
        if path.suffix == ".toml" and args.dry_run:
            found = study.parse(limits.text_file(path))
            show(
                args, {"source": path.name, "position": None}, f"{path.name}: the study file of {found.id}; not landed"
            )
            continue
        if path.suffix == ".toml":
            parsed = study.parse(limits.text_file(path))
            own = definitions.brought(parsed, args.study)
            commit = land_study(args.study, path, author=args.author, reason=args.reason, brought=own)
            position = commit.position if commit else None
            done = f"position {position}" if position else "already there"
            show(args, {"source": path.name, "position": position}, f"{path.name}: {done}")
            continue
        ledger = Ledger(args.study / "ledger")
        study_id = study.parse(ledger.study_text()).id
        chosen = mapping.load(args.mapping) if args.mapping else None
        source = sources.read(path, chosen, args.dictionary)
        for more in args.supp:
            source = supplement.join(source, readers.read(more))
        say(f"{path.name}: {source.rows.num_rows} rows read")
        if chosen is None:
            chosen = mapping.native(
                _event_type(args.event_type or path.name.removesuffix(".gz").rpartition(".")[0]),
                source.rows.column_names,
            )
        staged = stage(source, chosen, study_id, args.source)
        report = land_staged(
            args.study, staged, author=args.author, reason=args.reason,
            system=args.source, strict=args.strict, dry_run=args.dry_run, snapshot=args.snapshot,
            max_vanished=args.max_vanished,
        )  # fmt: skip
        refused += report.refused
        text, record = summary(report), asdict(report)
        if report.refused:
            text += f"\n  {first_refusal(report)}"
        if args.dry_run:
            record["preview"] = preview.preview(staged, report)
            text += f"\n{preview.table(record['preview'])}\n  Nothing was landed (--dry-run)."
        elif report.refused:
            text += f"\n  The good records landed; all refusals are in {args.study}/refused/."
        show(args, record, text)
    return 3 if refused else 0


def _event_type(name: str) -> str:
    from enfold import schema

    if name not in schema.events():
        msg = f"`{name}` is not an event type"
        raise UsageError(
            msg, remedy=f"Name the file after one ({', '.join(schema.events())}), or use --type or --mapping."
        )
    return name
