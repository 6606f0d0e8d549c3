"""enfold report STUDY."""

import argparse
from pathlib import Path
from typing import Any

from enfold.cli.output import show


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("study", type=Path, help="study folder")
    parser.add_argument("--table", metavar="KEY", help="print this table alone")
    parser.add_argument(
        "--format", choices=("text", "markdown", "csv", "json"), default="text", help="how tables are printed (text)"
    )


def execute(args: argparse.Namespace) -> int:
    """Print the report of the run in force."""
    from enfold.report.report import as_json, printed, report

    found = report(args.study, args.table)
    text = printed(found, args.format)
    if found["figures"] is not None and args.format == "text":
        text = "\n".join([*_lines(found["figures"]), "", text])
    show(args, as_json(found), text)
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
