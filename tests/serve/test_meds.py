"""MEDS out: valid by the standard's own classes, and landed again the same trial."""

import csv
import json
import shutil
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import meds
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import awkward
from awkward import digest
from enfold import schema
from enfold.cli.main import main as enfold
from enfold.land import mapping

NOT_IN_THE_FILE = {"source_system", "source_file", "source_row", "schema_version", "supersedes", "retracts"}


def land_again(written: Path, study_file: Path, study: Path) -> str:
    assert enfold(["init", str(study), str(study_file), "--author", "test"]) == 0
    words = ["--mapping", "meds/enfold", "--strict", "--author", "test"]
    assert enfold(["land", str(study), str(written / "data" / "0.parquet"), *words]) == 0
    assert enfold(["run", str(study)]) == 0
    return digest(study)


@pytest.fixture(scope="module")
def written(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("meds") / "out"
    assert enfold(["export", str(demo), str(folder), "--meds"]) == 0
    return folder


def test_it_is_meds(written: Path) -> None:
    data = pq.read_table(written / meds.data_subdirectory / "0.parquet")
    codes = pq.read_table(written / meds.code_metadata_filepath)
    meds.DataSchema.validate(data)
    meds.CodeMetadataSchema.validate(codes)
    meds.DatasetMetadataSchema.validate(json.loads((written / meds.dataset_metadata_filepath).read_text()))
    assert set(codes.column("code").to_pylist()) == set(data.column("code").to_pylist())
    rows = list(zip(data.column("subject_id").to_pylist(), data.column("time").to_pylist(), strict=True))
    for (a, earlier), (b, later) in pairwise(rows):
        assert a <= b  # the rows of a subject lie together,
        assert a != b or earlier is None or later >= earlier  # in order of time, those without one first
    assert len(set(rows_of(data))) == 22


def rows_of(data: object) -> list[tuple[int, str]]:
    return list(zip(data.column("subject_id").to_pylist(), data.column("subject").to_pylist(), strict=True))  # type: ignore[attr-defined]


def test_landed_again_it_has_the_same_cut_digest(demo: Path, written: Path, tmp_path: Path) -> None:
    assert land_again(written, demo.parent / "incoming" / "study.toml", tmp_path / "study") == digest(demo)


def test_awkward_values_come_back_the_same(demo: Path, tmp_path: Path) -> None:
    study_file = demo.parent / "incoming" / "study.toml"
    study = awkward.land(awkward.ROWS, tmp_path, study_file)
    assert enfold(["export", str(study), str(tmp_path / "out"), "--meds"]) == 0
    data = pq.read_table(tmp_path / "out" / "data" / "0.parquet")
    assert data.filter(pc.field("event_id") == "1").column("value_number").to_pylist() == [
        Decimal("12345678.123456789")
    ]
    assert data.filter(pc.field("event_id") == "2").select(["numeric_value", "text_value"]).to_pylist() == [
        {"numeric_value": None, "text_value": "<0.2"}
    ]
    assert land_again(tmp_path / "out", study_file, tmp_path / "again") == digest(study)


def test_the_mapping_names_every_field_of_every_event_type() -> None:
    rules = {r.emits: set(r.fields) for r in mapping.load("meds/enfold").rules}
    for event_type in schema.events():
        if event_type != "retraction":
            assert rules[event_type] == set(schema.event_arrow(event_type).names) - NOT_IN_THE_FILE, event_type


@pytest.mark.parametrize("form", ["--meds", "--sdtm"])
def test_a_contested_fact_is_not_handed_out(
    form: str, contested: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert enfold(["export", str(contested), str(tmp_path / "out"), form]) == 2
    assert "1 facts are contested" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def contested(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo with one fact that was landed twice, with different content."""
    folder = tmp_path_factory.mktemp("contested")
    study = Path(shutil.copytree(demo, folder / "study"))
    (row,) = (
        r
        for r in csv.DictReader((demo.parent / "incoming" / "assessment.csv").open(encoding="utf-8"))
        if r["event_id"] == "DEMO-001/pga/BL/PGA_0_3"
    )
    with (folder / "assessment.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerow({**row, "value_number": "1.7"})
    assert enfold(["land", str(study), str(folder / "assessment.csv"), "--author", "test"]) in (0, 3, 7)
    assert enfold(["run", str(study)]) == 0
    return study
