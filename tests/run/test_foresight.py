"""No foresight: what occurs after a verdict's `known_from` changes nothing in it."""

import datetime as dt
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from enfold.fold.cut import Cut
from enfold.ledger.ledger import Ledger
from enfold.run.run import run

STAMPS = {"plugin", "plugin_version", "code_hash"}


def verdicts(study: Path, manifest: dict[str, Any]) -> dict[tuple[Any, ...], dict[str, Any]]:
    rows = pq.read_table(study / "runs" / manifest["run"][:16] / "verdicts").to_pylist()
    key = ("alias", "subject_id", "period", "visit_id", "criterion")
    return {tuple(r[k] for k in key): {k: v for k, v in r.items() if k not in STAMPS} for r in rows}


@pytest.mark.parametrize("day", ["2024-12-01", "2025-02-15", "2025-04-20"])
def test_cutting_off_later_events_leaves_known_verdicts_alone(demo_copy: Path, day: str) -> None:
    until = dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC)
    position = Ledger(demo_copy / "ledger").position
    full = verdicts(demo_copy, run(demo_copy, Cut(position)))
    cut = verdicts(demo_copy, run(demo_copy, Cut(position, occurred_until=until)))
    known = {k: r for k, r in full.items() if r["known_from"] and r["known_from"] <= until}
    assert len(known) > 30
    for key, row in known.items():
        assert cut.get(key) == row, key
