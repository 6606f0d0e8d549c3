"""Data findings as a query list."""

import csv
import json
from pathlib import Path

import pytest

from enfold.cli.main import main as enfold

BAD = "event_id,subject_id,occurred,visit_id,instrument,item,value_number\nhigh,DEMO-001,2025-06-01,,PGA,PGA_0_3,3.7\n"


@pytest.fixture
def doubtful(demo_copy: Path, tmp_path: Path) -> Path:
    """The demo with one PGA off its scale."""
    path = tmp_path / "assessment.csv"
    path.write_text(BAD)
    assert enfold(["land", str(demo_copy), str(path)]) == 0
    assert enfold(["run", str(demo_copy)]) == 0
    return demo_copy


def test_list_names_event_file_and_row_and_no_value(doubtful: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert enfold(["queries", str(doubtful), "list", "--code", "value_outside_instrument"]) == 0
    out = capsys.readouterr().out
    assert "high  assessment.csv row 1" in out
    assert "value_outside_instrument: 1" in out
    assert "3.7" not in out


def test_strict_tells_scripts_that_queries_are_open(doubtful: Path, demo: Path) -> None:
    code = ["--code", "value_outside_instrument"]
    assert enfold(["queries", str(doubtful), "list", "--strict", *code]) == 3
    assert enfold(["queries", str(demo), "list", "--strict", *code]) == 0


def test_export_writes_a_file_once(doubtful: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "queries.csv"
    words = ["queries", str(doubtful), "export", "--output", str(target)]
    assert enfold(words) == 0
    capsys.readouterr()
    rows = list(csv.DictReader(target.open()))
    assert "high" in {r["event_id"] for r in rows}
    assert enfold(words) == 2
    assert enfold(["queries", str(doubtful), "export"]) == 2
    assert enfold(["queries", str(doubtful), "list", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == len(rows)
