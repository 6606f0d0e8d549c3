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


def execute(args: argparse.Namespace) -> int:
    """Print the report of the run in force, or write it."""
    if args.html:
        return _page(args)
    if args.figure:
        return _figure(args)
    if args.picture:
        msg = "--picture says where a figure is written, but not which"
        raise UsageError(msg, remedy="Name it: --figure KEY (list: their keys).")
    from enfold.report.report import as_json, printed, report

    found = report(args.study, args.table)
    text = printed(found, args.format)
    if found["figures"] is not None and args.format == "text":
        text = "\n".join([*_lines(found["figures"]), "", text])
    show(args, as_json(found), text)
    return 0


def _page(args: argparse.Namespace) -> int:
    from enfold.report.report_page import report_page
    from enfold.serve.build import current
    from enfold.serve.study import connect

    data = report_page(connect(current(args.study))).encode()
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


def _lines(found: dict[str, Any], prefix: str = "") -> list[str]:
    out = []
    for name, value in found.items():
        label = f"{prefix}{name}"
        if isinstance(value, dict) and {"n", "of", "percent"} <= value.keys():
            percent = f" ({value['percent']} %)" if value["percent"] is not None else ""
            out.append(f"{label:<44} {value['n']}/{value['of']}{percent}")
            value = {k: v for k, v in value.items() if k not in {"n", "of", "percent"}}
        if isinstance(value, dict):
            out += _lines(value, f"{label}.")
        elif name == "associations":
            out += [
                f"{a['outcome'] + ' by ' + a['factor']:<44} {a['reading']}, {a['method']} p = {a['p']}" for a in value
            ]
        else:
            out.append(f"{label:<44} {value}")
    return out
