"""enfold sql STUDY "SELECT …"."""

import argparse
import sys
from pathlib import Path
from typing import Any

from enfold.cli.output import create_new

BINARY = ("arrow", "parquet")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("study", type=Path, help="study folder")
    parser.add_argument("query", help="one SQL query")
    parser.add_argument("--format", choices=["table", "csv", "json", *BINARY], default="table",
                        help="arrow writes an IPC stream, parquet one file with page checksums")  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="FILE", help="write there, a new file, instead of printing")


def execute(args: argparse.Namespace) -> int:
    """Answer one query from the serving file."""
    from enfold.serve.study import answer

    table = answer(args.study, args.query)
    form = "json" if args.json else args.format
    data = _binary(table, form) if form in BINARY else _text(table, form)
    if args.output:
        create_new(args.output, data if isinstance(data, bytes) else data.encode())
    elif isinstance(data, bytes):
        sys.stdout.buffer.write(data)
    else:
        sys.stdout.write(data)
    return 0


def _binary(table: Any, form: str) -> bytes:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    if form == "parquet":
        pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    else:
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
    return sink.getvalue()


def _text(table: Any, form: str) -> str:
    import io

    out = io.StringIO()
    if form == "json":
        import json

        print(json.dumps(table.to_pylist(), default=str), file=out)
    elif form == "csv":
        import csv

        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(table.column_names)
        for row in table.to_pylist():
            writer.writerow(_plain(v) for v in row.values())
    else:
        return _drawn(table)
    return out.getvalue()


def _plain(value: object) -> object:
    return " ".join(map(str, value)) if isinstance(value, list) else value


def _drawn(table: object) -> str:
    """Return the answer as DuckDB draws it."""
    import contextlib
    import io

    import duckdb

    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    con.register("answer", table)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        con.table("answer").show(max_rows=10_000, max_width=200)
    return out.getvalue()
