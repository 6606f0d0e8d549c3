"""The ledger as Delta tables: another engine reads the same rows from the same files."""

from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

import awkward
from enfold import schema
from enfold.cli.main import main as enfold
from enfold.ledger.ledger import Ledger
from enfold.serve import lake

PGA = "DEMO-001/pga/W12/PGA_0_3"


def rows_of(table: pa.Table) -> list[str]:
    """Every row as text, in an order of its own; what the ledger adds in memory is left out."""
    kept = table.drop_columns([c for c in ("content", "salt", "slot") if c in table.column_names])
    return sorted(repr(sorted(r.items())) for r in kept.to_pylist())


def test_polars_reads_what_the_ledger_reads_and_no_row_is_copied(demo_copy: Path, tmp_path: Path) -> None:
    assert enfold(["correct", str(demo_copy), PGA, "value_number=2.9", "--reason", "typing error"]) == 0
    assert enfold(["retract", str(demo_copy), "DEMO-002/car-t", "--reason", "another trial's"]) == 0
    assert enfold(["export", str(demo_copy), str(tmp_path / "lake"), "--delta"]) == 0
    ledger = Ledger(demo_copy / "ledger")
    landed = {t: ledger.read(t) for t in schema.events()}
    assert {p.name for p in (tmp_path / "lake").iterdir()} == {t for t, rows in landed.items() if rows.num_rows}
    for event_type in (p.name for p in (tmp_path / "lake").iterdir()):
        read = pl.read_delta(str(tmp_path / "lake" / event_type)).to_arrow()
        wanted = landed[event_type]
        plain = pa.schema([f for f in wanted.schema if f.name not in ("content", "salt", "slot")])
        assert rows_of(read.select(plain.names).cast(plain)) == rows_of(wanted), event_type
    own = {p.stat().st_ino for p in (demo_copy / "ledger" / "segments").rglob("*.parquet")}
    assert {p.stat().st_ino for p in (tmp_path / "lake").rglob("*.parquet")} == own
    assert enfold(["verify", str(demo_copy)]) == 0


def test_awkward_values_are_read_as_they_landed(demo: Path, tmp_path: Path) -> None:
    study = awkward.land(awkward.ROWS, tmp_path, demo.parent / "incoming" / "study.toml")
    assert enfold(["export", str(study), str(tmp_path / "lake"), "--delta"]) == 0
    columns = ["event_id", "occurred", "value_number", "comparator", "value_text", "not_done"]
    read = pl.read_delta(str(tmp_path / "lake" / "assessment")).select(columns).sort("event_id").rows()
    assert read == [
        ("1", "2024", Decimal("12345678.123456789"), None, None, None),
        ("2", "2024-02", Decimal("0.200000000"), "<", None, None),
        ("3", "2024-02-03T04:05+08:00", Decimal("-0.000000001"), None, None, None),
        ("4", "2024-02-03T04:05:06.5Z", None, None, None, True),
        ("5", None, Decimal("0.000000000"), None, None, None),
        ("6", "2024-02-03", None, None, "溶血, „trüb“; <0.2", None),
    ]


def test_a_table_can_be_cut_by_position(demo_copy: Path, tmp_path: Path) -> None:
    before = Ledger(demo_copy / "ledger").position
    assert enfold(["correct", str(demo_copy), PGA, "value_number=2.9", "--reason", "typing error"]) == 0
    lake.export(demo_copy, tmp_path / "lake")
    scan = pl.scan_delta(str(tmp_path / "lake" / "assessment"))
    assert scan.filter(pl.col("position") > before).collect()["supersedes"].to_list() == [[PGA]]


def test_a_damaged_file_is_not_handed_on(demo_copy: Path, tmp_path: Path) -> None:
    path = next((demo_copy / "ledger" / "segments" / "medication").iterdir())
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert enfold(["export", str(demo_copy), str(tmp_path / "lake"), "--delta"]) == 4
    assert not (tmp_path / "lake").exists()


def test_an_existing_folder_is_left_alone(demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert enfold(["export", str(demo), str(tmp_path), "--delta"]) == 2
    assert "exists" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
