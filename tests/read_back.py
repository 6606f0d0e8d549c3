"""Read a written table back with a reader that is not ours: what round trips are compared with."""

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pyreadstat

from enfold.serve.specification import ARROW, Variable

SAS_DIGITS = 15


def read(path: Path, variables: tuple[Variable, ...]) -> pa.Table:
    types = {v.name: ARROW[v.kind] for v in variables}
    if path.suffix == ".parquet":
        return pq.read_table(path).replace_schema_metadata(None).cast(pa.schema(list(types.items())))
    if path.suffix == ".csv":
        convert = pacsv.ConvertOptions(
            column_types=types, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
        )
        return pacsv.read_csv(path, parse_options=pacsv.ParseOptions(newlines_in_values=True), convert_options=convert)
    if path.suffix == ".xpt":
        found, _ = pyreadstat.read_xport(path, output_format="dict")
        return _table({v.name: [_from_sas(x, v.kind) for x in found[v.name]] for v in variables}, types)
    if path.suffix == ".ndjson":
        head, *rows = [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]]
    else:
        head = json.loads(path.read_text("utf-8"))
        rows = head["rows"]
    assert head["records"] == len(rows)
    assert [c["name"] for c in head["columns"]] == [v.name for v in variables]
    columns = zip(*rows, strict=True) if rows else [[] for _ in variables]
    return _table({v.name: [_from_json(x, v.kind) for x in c] for v, c in zip(variables, columns, strict=True)}, types)


def _table(columns: dict[str, list[Any]], types: dict[str, pa.DataType]) -> pa.Table:
    return pa.table({n: pa.array(c, types[n]) for n, c in columns.items()})


def _from_sas(value: Any, kind: str) -> Any:
    if value is None or value == "":
        return None
    if kind == "integer":
        return int(value)
    return Decimal(f"{value:.{SAS_DIGITS}g}") if kind == "number" else value


def _from_json(value: Any, kind: str) -> Any:
    if value is None:
        return None
    return Decimal(value) if kind == "number" else dt.date.fromisoformat(value) if kind == "date" else value
