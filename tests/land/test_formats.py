"""Readers: the same rows from every format; numbers as the file has them; what is wrong is said with its place."""

import io
import json
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enfold.errors import UsageError
from enfold.land import from_json, from_xpt, mapping, readers
from enfold.land.stage import stage

COLUMNS = [{"itemOID": f"I.{n}", "name": n, "label": n, "dataType": t} for n, t in
           {"SUBJ": "string", "N": "integer", "D": "decimal", "F": "double", "B": "boolean"}.items()]  # fmt: skip
HEAD = {"datasetJSONVersion": "1.1.0", "columns": COLUMNS}


def dataset(*rows: str, **more: Any) -> bytes:
    """Rows are JSON text, so that numbers stand as a file has them."""
    head = json.dumps({**HEAD, **more})
    return f"{head[:-1]}, "'"rows": ['f"{','.join(rows)}]""}".encode()  # fmt: skip


def texts(data: bytes, name: str = "x.json") -> list[list[str | None]]:
    return [list(r.values()) for r in from_json.read(data, name).to_pylist()]


def test_dataset_json_keeps_every_digit() -> None:
    row = '["Zoë", 12345678901234567890, "0.056999999999999995", 0.1000000000000000000001, true]'
    wanted = [["Zoë", "12345678901234567890", "0.056999999999999995", "0.1000000000000000000001", "true"]]
    assert texts(dataset(row, records=1)) == wanted
    lines = "\n".join([json.dumps({**HEAD, "records": 1}), row])
    assert texts(lines.encode(), "x.ndjson") == wanted


@pytest.mark.parametrize(
    ("number", "plain"),
    [
        ("1.5e-3", "0.0015"),
        ("1E3", "1000"),
        ("-12.5e1", "-125"),
        ("1.25e1", "12.5"),
        ("0.5e0", "0.5"),
        ("-0.1e-2", "-0.001"),
        ("1e9999", "1e9999"),
        ("1e99999999", "1e99999999"),
    ],
)
def test_an_exponent_is_written_out_unless_it_is_absurd(number: str, plain: str) -> None:
    assert texts(dataset(f'["S", null, null, {number}, null]')) == [["S", None, None, plain, None]]


def test_a_whole_number_is_the_same_with_and_without_its_zero() -> None:
    assert texts(dataset('["84.0", 84.0, "84.0", 84.0, null]')) == [["84.0", "84", "84.0", "84", None]]
    assert texts(b'{"a": 84.0, "b": "84.0", "c": 0.10}', "x.ndjson") == [["84", "84.0", "0.10"]]


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9), st.integers(-30, 30))
def test_an_exponent_changes_no_value(number: Any, power: int) -> None:
    text = f"{number:f}e{power}"
    exact = Context(prec=200)
    assert Decimal(from_json.plain(text)) == exact.scaleb(Decimal(f"{number:f}"), power)


BAD = {
    "no version": (b'{"rows": []}', "not Dataset-JSON"),
    "another version": (json.dumps({**HEAD, "datasetJSONVersion": "1.0.0"}).encode(), "is not 1.1"),
    "a bundle": (b'{"resourceType": "Bundle"}', "not Dataset-JSON"),
    "a list": (b"[]", "not Dataset-JSON"),
    "short row": (dataset('["S", 1]'), "row 1 does not have one value for each of 5 columns"),
    "wrong type": (dataset('["S", "SECRET", null, null, null]'), "row 1, column `N`: a value is not of the declared"),
    "nested": (dataset('[{"SECRET": 1}, 1, null, null, null]'), "row 1, column `SUBJ`: a value is not of"),
    "NaN": (dataset('["S", 1, null, NaN, null]'), "not valid JSON"),
    "cut": (dataset('["SECRET", 1, null, 1.5, null]')[:-4], "not valid JSON"),
    "rows lost": (dataset('["S", 1, null, 1, null]', records=2), "the file is not whole"),
    "a key twice": (b'{"datasetJSONVersion": "1.1.0", "rows": [], "rows": [["SECRET"]]}', "repeats a key"),
    "half a character": (dataset('["\\ud800", 1, null, 1, null]'), "half a character"),
    "columns alike": (
        json.dumps({**HEAD, "columns": [COLUMNS[0], {**COLUMNS[0], "name": "subj"}], "rows": []}).encode(),
        "every column once",
    ),
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_what_is_wrong_with_dataset_json_is_said(case: str) -> None:
    data, message = BAD[case]
    with pytest.raises(UsageError, match=message) as caught:
        from_json.read(data, "x.json")
    assert caught.value.remedy
    assert "SECRET" not in str(caught.value)


def test_ndjson_lacks_a_key_or_has_it_later() -> None:
    data = b'{"a": "x", "b": 0.10}\n\n{"b": null, "c": false}\n{"a": ""}\n'
    assert texts(data, "x.ndjson") == [["x", "0.10", None], [None, None, "false"], ["", None, None]]
    with pytest.raises(UsageError, match="line 2 is not an object"):
        from_json.read(b'{"a": 1}\n[1]', "x.ndjson")
    with pytest.raises(UsageError, match="line 1: a value holds a list or an object"):
        from_json.read(b'{"a": [1]}', "x.ndjson")
    with pytest.raises(UsageError, match="row 0 must name every column"):
        from_json.read(b"", "x.ndjson")


def transport(frame: dict[str, list[Any]], path: Path, version: int = 5) -> bytes:
    import pandas as pd
    import pyreadstat

    pyreadstat.write_xport(pd.DataFrame(frame), str(path), table_name="T", file_format_version=version)
    return path.read_bytes()


def test_a_transport_files_doubles_become_the_decimals_that_were_meant(tmp_path: Path) -> None:
    meant = ["0.4", "0.3", "-1.005", "0.057", "1234567.89", "100000000000", "0.000001", "0"]
    wild = [float(m) for m in meant]
    wild[0], wild[3] = 0.39999999999999997, 0.056999999999999995
    data = transport({"A": [f"r{n}" for n in range(8)], "B": wild}, tmp_path / "t.xpt")
    assert from_xpt.read(data, "t.xpt").column("B").to_pylist() == meant
    (tmp_path / "t.xpt").write_bytes(data)
    assert readers.read(tmp_path / "t.xpt").rows.column("B").to_pylist() == meant


def test_blank_text_and_missing_numbers_are_null_and_blank_rows_at_the_end_are_counted(tmp_path: Path) -> None:
    data = transport({"A": ["x", "", "Zoë"], "B": [None, 1.5, None]}, tmp_path / "t.xpt")
    assert from_xpt.read(data, "t.xpt").to_pylist() == [
        {"A": "x", "B": None},
        {"A": None, "B": "1.5"},
        {"A": "Zoë", "B": None},
    ]


def specially_missing(path: Path) -> Path:
    """Write a file whose numbers are 1.5, and missing as `.`, `.A`, `.Z` and `._`."""
    data = transport({"A": list("vwxyz"), "B": [1.5, None, None, None, None]}, path)
    start = data.rfind(b"HEADER RECORD*******OBS") + 80
    cells = bytearray(data)
    for row, letter in {2: b"A", 3: b"Z", 4: b"_"}.items():
        at = start + row * 9 + 1
        assert data[at : at + 8] == b"." + bytes(7)
        cells[at : at + 1] = letter
    path.write_bytes(cells)
    return path


def test_why_a_number_is_missing_is_not_dropped(tmp_path: Path) -> None:
    rows = readers.read(specially_missing(tmp_path / "t.xpt"))
    assert rows.rows.column("B").to_pylist() == ["1.5", None, ".A", ".Z", "._"]
    text = """
        version = 1
        [[rules]]
        name = "crp"
        emits = "assessment"
        key = ["A"]
        [rules.fields]
        subject_id = "A"
        instrument = { constant = "LABORATORY" }
        item = { constant = "CRP" }
        value_number = "B"
    """
    found = stage(rows, mapping.parse(text, "plain"), "S", None)
    assert [(r["source_row"], r["code"]) for r in found.refused if r["source_row"] != 2] == [
        (n, "not_a_number") for n in (3, 4, 5)
    ]
    said = text.replace('"B"', '{ column = "B", part = "number" }\nvalue_text = { column = "B", part = "text" }')
    (event,) = stage(rows, mapping.parse(said, "said"), "S", None).events.values()
    assert event.select(["value_number", "value_text"]).to_pylist() == [
        {"value_number": n, "value_text": t}
        for n, t in ((Decimal("1.5"), None), (None, ".A"), (None, ".Z"), (None, "._"))
    ]


def test_a_transport_file_that_is_not_one_is_refused(tmp_path: Path) -> None:
    data = transport({"A": ["x"] * 50, "B": [1.0] * 50}, tmp_path / "t.xpt")
    eight = transport({"A": ["x"]}, tmp_path / "t8.xpt", version=8)
    cases = {
        "does not begin as a version 5": eight,
        "not a whole number of 80-octet": data[:-7],
        "its last row is not whole": data[:-80],
        "holds no dataset, or several": data + data,
        "description of column 2 is not sound": data[: 8 * 80 + 140 + 84] + b"\xff" + data[8 * 80 + 140 + 85 :],
    }
    for message, octets in cases.items():
        with pytest.raises(UsageError, match=message):
            from_xpt.read(octets, "t.xpt")


def test_decimals_of_arrow_and_parquet_pass_exactly(tmp_path: Path) -> None:
    table = pa.table({"D": pa.array([Decimal("1.10"), None], pa.decimal128(38, 9)), "T": ["0.30", ""]})
    pq.write_table(table, tmp_path / "t.parquet")
    with pa.ipc.new_file(str(tmp_path / "t.arrow"), table.schema) as file:
        file.write_table(table)
    for name in ("t.parquet", "t.arrow"):
        rows = readers.read(tmp_path / name).rows
        assert rows.column("D").to_pylist() == ["1.100000000", None]
        assert rows.column("T").to_pylist() == ["0.30", None]


def test_an_arrow_file_of_lists_is_refused(tmp_path: Path) -> None:
    sink = io.BytesIO()
    table = pa.table({"a": [[1]]})
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    (tmp_path / "t.arrows").write_bytes(sink.getvalue())
    with pytest.raises(UsageError, match="column 1 is not of a plain type"):
        readers.read(tmp_path / "t.arrows")


@pytest.mark.parametrize(
    ("unit", "zone", "value", "text"),
    [
        ("s", None, 1_706_843_045, "2024-02-02T03:04:05"),
        ("us", "Asia/Tokyo", 1_706_843_045_000_000, "2024-02-02T03:04:05Z"),
        ("ms", "UTC", 1_706_843_045_120, "2024-02-02T03:04:05.12Z"),
        ("us", None, 1_706_843_045_000_001, "2024-02-02T03:04:05.000001"),
        ("ns", None, 1_706_843_045_123_456_789, "2024-02-02T03:04:05.123456789"),
        ("ns", None, -1_000_000_000, "1969-12-31T23:59:59"),
    ],
)
def test_an_instant_keeps_its_fraction_and_says_that_it_is_in_utc(
    unit: str, zone: str | None, value: int, text: str
) -> None:
    table = pa.table({"t": pa.array([value, None], pa.timestamp(unit, zone))})
    assert readers.as_text(table).column("t").to_pylist() == [text, None]
