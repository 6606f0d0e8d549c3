"""enfold sql STUDY "SELECT …"."""

import argparse
import sys
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("study", type=Path, help="study folder")
    parser.add_argument("query", help="one SQL query")
    parser.add_argument("--format", choices=["table", "csv", "json", "arrow"], default="table",
                        help="arrow writes an IPC stream")  # fmt: skip


def execute(args: argparse.Namespace) -> int:
    """Answer one query from the serving file."""
    from enfold.serve.study import answer

    table = answer(args.study, args.query)
    form = "json" if args.json else args.format
    if form == "arrow":
        import pyarrow as pa

        with pa.ipc.new_stream(sys.stdout.buffer, table.schema) as stream:
            stream.write_table(table)
    elif form == "json":
        import json

        print(json.dumps(table.to_pylist(), default=str))
    elif form == "csv":
        import csv

        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(table.column_names)
        for row in table.to_pylist():
            writer.writerow(_plain(v) for v in row.values())
    else:
        _print_table(table)
    return 0


def _plain(value: object) -> object:
    return " ".join(map(str, value)) if isinstance(value, list) else value


def _print_table(table: object) -> None:
    import duckdb

    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    con.register("answer", table)
    con.table("answer").show(max_rows=10_000, max_width=200)
