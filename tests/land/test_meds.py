"""MEDS: a folder of shards; static rows, 32-bit numbers, codes of the metadata; what is not of the standard is refused."""

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import meds
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enfold.errors import UsageError
from enfold.land import mapping, readers, sources
from land.exports import bring, events, staged

ANY = str(mapping.load("meds/any").text)
ROWS: list[dict[str, Any]] = [
    {"subject_id": 7, "time": None, "code": "EYE//BROWN", "numeric_value": None, "text_value": None},
    {"subject_id": 7, "time": None, "code": "HEIGHT", "numeric_value": 175.271115221764, "text_value": None},
    {"subject_id": 7, "time": dt.datetime(1980, 12, 28), "code": meds.birth_code, "numeric_value": None, "text_value": None},
    {"subject_id": 7, "time": dt.datetime(2010, 5, 11, 17, 41, 51), "code": "HR", "numeric_value": 102.6, "text_value": None},
    {"subject_id": 7, "time": dt.datetime(2010, 5, 11, 17, 41, 51, 250), "code": "NOTE", "numeric_value": None, "text_value": "Übelkeit, „trüb“"},
    {"subject_id": 9, "time": dt.datetime(2010, 5, 12), "code": "HR", "numeric_value": 0.1, "text_value": None},
    {"subject_id": 9, "time": dt.datetime(2011, 1, 1), "code": meds.death_code, "numeric_value": None, "text_value": None},
]  # fmt: skip


def dataset(folder: Path, shards: dict[str, list[dict[str, Any]]], codes: list[str] | None = None, **more: Any) -> Path:
    """Write a dataset by the standard's own schemas."""
    for name, rows in shards.items():
        path = folder / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows, schema=meds.DataSchema.schema()), path, **more)
    codes = sorted({r["code"] for rows in shards.values() for r in rows}) if codes is None else codes
    (folder / "metadata").mkdir(exist_ok=True)
    told = [{"code": c, "description": "synthetic", "parent_codes": ["LOINC/1"]} for c in codes]
    pq.write_table(
        pa.Table.from_pylist(told, schema=meds.CodeMetadataSchema.schema()), folder / meds.code_metadata_filepath
    )
    said = {"dataset_name": "synthetic", "meds_version": meds.__version__}
    (folder / meds.dataset_metadata_filepath).write_text(json.dumps(said))
    return folder


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return dataset(tmp_path / "meds", {"train/0.parquet": ROWS[:5], "held_out/0.parquet": ROWS[5:]})


def test_rows_become_events(whole: Path, tmp_path: Path) -> None:
    report = bring(tmp_path / "S", whole, ANY)
    assert (report.rows, report.mapped, report.refused, report.landed) == (7, 7, 0, 7)
    found = events(
        tmp_path / "S", "assessment", "subject_id", "item", "occurred", "value_number", "value_code", "value_text"
    )
    assert found == [
        ("9", "HR", "2010-05-12T00:00:00", Decimal("0.1"), None, None),
        ("7", "EYE//BROWN", None, None, "present", None),
        ("7", "HEIGHT", None, Decimal("175.27112"), None, None),
        ("7", "HR", "2010-05-11T17:41:51", Decimal("102.6"), None, None),
        ("7", "NOTE", "2010-05-11T17:41:51.00025", None, None, "Übelkeit, „trüb“"),
    ]
    assert events(tmp_path / "S", "enrolment", "birth_date") == [("1980-12-28T00:00:00",)]
    assert events(tmp_path / "S", "disposition", "milestone", "occurred") == [("death", "2011-01-01T00:00:00")]


def test_other_shards_order_and_packing_land_nothing_twice(whole: Path, tmp_path: Path) -> None:
    bring(tmp_path / "S", whole, ANY)
    one = dataset(tmp_path / "one", {"a.parquet": [*reversed(ROWS)]}, compression="zstd", row_group_size=2)
    report = bring(tmp_path / "S", one, ANY)
    assert (report.landed, report.already) == (0, 7)


def test_a_later_dataset_as_a_snapshot_corrects_and_withdraws(whole: Path, tmp_path: Path) -> None:
    bring(tmp_path / "S", whole, ANY)
    later = dataset(
        tmp_path / "later", {"0.parquet": [*ROWS[:2], {**ROWS[2], "time": dt.datetime(1980, 12, 27)}, *ROWS[4:]]}
    )
    report = bring(tmp_path / "S", later, ANY, snapshot=True)
    assert (report.landed, report.corrected, report.retracted, report.already) == (0, 1, 1, 5)


@settings(max_examples=30, deadline=None)
@given(st.floats(width=32, allow_nan=False, allow_infinity=False).filter(lambda f: f == 0 or 1e-6 < abs(f) < 1e9))
def test_a_number_is_the_shortest_text_of_its_32_bits(number: float) -> None:
    text = readers.as_text(pa.table({"n": pa.array([number], pa.float32())})).column("n").to_pylist()[0]
    assert np.float32(text) == np.float32(number)
    assert len(str(text).lstrip("-").replace(".", "").strip("0")) <= 9


def test_a_code_that_the_metadata_does_not_describe_lands(tmp_path: Path) -> None:
    folder = dataset(tmp_path / "meds", {"0.parquet": ROWS[5:]}, codes=[meds.death_code])
    assert not staged(folder, ANY).refused


def test_a_column_of_the_dataset_is_named_or_refuses_it(whole: Path) -> None:
    shard = whole / "data" / "held_out" / "0.parquet"
    table = pq.read_table(shard)
    pq.write_table(table.append_column("unit", pa.array(["/min", None])), shard)
    with pytest.raises(UsageError, match="neither uses nor ignores the column unit"):
        staged(whole, ANY)
    named = ANY.replace('item         = "code"', 'item         = "code"\nunit         = "unit"')
    assert staged(whole, named).events["assessment"].column("unit").to_pylist().count("/min") == 1


def broken(case: str, folder: Path) -> None:
    shard = folder / "data" / "held_out" / "0.parquet"
    match case:
        case "no codes":
            (folder / meds.code_metadata_filepath).unlink()
        case "no shard":
            (folder / "data" / "train" / "0.parquet").unlink()
            shard.unlink()
        case "another file":
            (folder / "data" / "notes.txt").write_text("x")
        case "another version":
            (folder / meds.dataset_metadata_filepath).write_text('{"meds_version": "0.3.3"}')
        case "metadata that is no JSON":
            (folder / meds.dataset_metadata_filepath).write_bytes(b"\xff{")
        case "a shard twice":
            (folder / "data" / "again.parquet").write_bytes(shard.read_bytes())
        case "doubles":
            table = pq.read_table(shard)
            pq.write_table(table.set_column(3, "numeric_value", table.column(3).cast(pa.float64())), shard)
        case "cut":
            shard.write_bytes(shard.read_bytes()[:-40])
        case "codes that are no table":
            (folder / meds.code_metadata_filepath).write_bytes(b"PAR1 nothing PAR1")
        case "codes without codes":
            pq.write_table(pa.table({"name": ["x"]}), folder / meds.code_metadata_filepath)


BROKEN = {
    "no codes": "has no metadata/codes.parquet",
    "no shard": "has no shard",
    "another file": "holds data/notes.txt",
    "another version": "metadata/dataset.json is not that of MEDS 0.4",
    "metadata that is no JSON": "metadata/dataset.json is not that of MEDS 0.4",
    "a shard twice": "a subject stands in two shards",
    "doubles": "held_out/0.parquet does not follow the data schema",
    "cut": "held_out/0.parquet is not readable as Parquet",
    "codes that are no table": "metadata/codes.parquet is not readable",
    "codes without codes": "or has no column `code`",
}


@pytest.mark.parametrize("case", sorted(BROKEN))
def test_a_folder_that_is_no_dataset_is_refused(case: str, whole: Path) -> None:
    broken(case, whole)
    with pytest.raises(UsageError, match=BROKEN[case]) as caught:
        staged(whole, ANY)
    assert caught.value.remedy


def test_a_file_is_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"")
    with pytest.raises(UsageError, match="not a folder"):
        sources.read(tmp_path / "x.parquet", mapping.load("meds/any"))
