"""enfold report STUDY."""

import argparse
from pathlib import Path
from typing import Any

from enfold.cli.output import create_new, show, written_picture
from enfold.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("study", type=Path, help="study folder")
    alone = parser.add_mutually_exclusive_group()
    alone.add_argument("--table", metavar="KEY", help="print this table alone")
    alone.add_argument("--figure", metavar="KEY", help="print this figure alone, as SVG (list: their keys and titles)")
    alone.add_argument("--html", metavar="FILE", type=Path, help="write everything as one HTML file that needs nothing")
    parser.add_argument("--picture", metavar="FILE", type=Path, help="write the figure to a new .svg or .png file")
    parser.add_argument(
        "--format", choices=("text", "markdown", "csv", "json"), default="text", help="how tables are printed (text)"
    )
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="write tables and analysis results as files")
    parser.add_argument(
        "--published", type=Path, metavar="FILE", help="set the figures of this file beside the abstract's sentences"
    )
    parser.add_argument(
        "--compare", metavar="RUN", help="print the numbers that moved since a named cut, a position or a run"
    )


def execute(args: argparse.Namespace) -> int:
    """Print the report of the run in force, write it, or compare it with another run's."""
    if args.html:
        return _page(args)
    if args.figure:
        return _figure(args)
    if args.picture:
        msg = "--picture says where a figure is written, but not which"
        raise UsageError(msg, remedy="Name it: --figure KEY (list: their keys).")
    if args.compare:
        return _compare(args)
    from enfold.report import published
    from enfold.report.report import as_json, printed, report

    beside = published.read(args.published) if args.published else None
    json = args.json or args.format == "json" or args.output is not None
    found = report(args.study, args.table, beside, figures=json)
    if args.output:
        return _write(args, found)
    show(args, as_json(found), printed(found, args.format))
    return 0


def _write(args: argparse.Namespace, found: dict[str, Any]) -> int:
    from enfold.report.report import write_files

    try:
        names = write_files(found, args.output)
    except FileExistsError as error:
        msg = f"{args.output}: {error} exists"
        raise UsageError(msg, remedy="Name another folder, or move this one away.") from None
    show(args, {"run": found["run"], "files": names}, "\n".join(str(args.output / name) for name in names))
    return 0


def _compare(args: argparse.Namespace) -> int:
    from enfold.report.diff import served
    from enfold.report.report import moved

    rows = [r for r in moved(args.study, served(args.study, args.compare)) if args.table in (None, r["table_key"])]
    lines = [f"numbers: {len(rows) or 'none'} moved"]
    lines += [
        f"  {r['table_key']}: {r['label']}, {r['header']} ({r['statistic']}):"
        f" {r['old_printed'] or '(no cell)'} -> {r['new_printed'] or '(no cell)'}"
        for r in rows
    ]
    show(args, rows, "\n".join(lines))
    return 0


def _page(args: argparse.Namespace) -> int:
    from enfold.report import published
    from enfold.report.report_page import report_page
    from enfold.serve.build import current
    from enfold.serve.study import connect

    beside = published.read(args.published) if args.published else None
    data = report_page(connect(current(args.study)), beside).encode()
    create_new(args.html, data)
    show(args, {"html": str(args.html), "bytes": len(data)}, f"{args.html}: {len(data)} bytes")
    return 0


def _figure(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from enfold.report.plots.catalogue import figure_of, plans
    from enfold.report.question import source
    from enfold.serve.build import current
    from enfold.serve.study import connect

    con = connect(current(args.study))
    study = source(con).study
    if args.figure == "list":
        titles = {p.key: p.title for p in plans(con, study)}
        show(args, titles, "\n".join(f"{key:<40} {title}" for key, title in titles.items()))
        return 0
    picture = figure_of(con, study, args.figure)
    if args.picture:
        written_picture(args, picture.svg)
    else:
        show(args, asdict(picture), picture.svg.rstrip("\n"))
    return 0
