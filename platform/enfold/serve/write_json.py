"""CDISC Dataset-JSON 1.1, one document or NDJSON. Decimals are written as text (`decimal`), so that none is rounded."""

import datetime as dt
import json
from typing import Any

from enfold import __version__
from enfold.serve.files import File, plain
from enfold.serve.specification import Variable

VERSION = "1.1.0"
KINDS = {
    "text": {"dataType": "string"},
    "integer": {"dataType": "integer"},
    "number": {"dataType": "decimal", "targetDataType": "decimal"},
    "date": {"dataType": "date", "targetDataType": "integer", "displayFormat": "E8601DA."},
}


def encoded(file: File, made: dt.datetime, study: str, *, lines: bool) -> bytes:
    """Return the file's octets; with `lines` the head and each row are a line of their own."""
    described = any(v.origin_text for v in file.variables)  # then Define-XML goes with it
    head = {
        "datasetJSONCreationDateTime": made.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "datasetJSONVersion": VERSION,
        "fileOID": f"{study}.{file.name}",
        "originator": "enfold",
        "sourceSystem": {"name": "enfold", "version": __version__},
        "studyOID": study,
        **({"metaDataVersionOID": f"MDV.{study}", "metaDataRef": "define.xml"} if described else {}),
        "itemGroupOID": f"IG.{file.name}",
        "records": file.rows.num_rows,
        "name": file.name,
        "label": file.label,
        "columns": [_column(file, v) for v in file.variables],
    }
    rows = (_line([_value(v) for v in row]) for row in zip(*(c.to_pylist() for c in file.rows.columns), strict=True))
    if lines:
        return "".join(f"{line}\n" for line in (_line(head), *rows)).encode()
    start = _line(head)[:-1] + ',"rows":[\n'
    return (start + ",\n".join(rows) + "\n]}\n").encode()


def _column(file: File, variable: Variable) -> dict[str, Any]:
    out: dict[str, Any] = {"itemOID": f"IT.{file.name}.{variable.name}", "name": variable.name, "label": variable.label}
    out |= KINDS[variable.kind]
    if variable.length:
        out["length"] = variable.length
    if variable.name in file.key:
        out["keySequence"] = file.key.index(variable.name) + 1
    return out


def _value(value: Any) -> Any:
    return value if value is None or isinstance(value, int | str) else plain(value)


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
