"""Synthetic exports of docs/how-to/exports, and a study that they land in."""

from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from enfold.land import mapping, sources
from enfold.land.landing import Report, land
from enfold.land.stage import Staged, stage
from enfold.ledger.ledger import Ledger

EXPORTS = Path(__file__).parents[2] / "docs" / "how-to" / "exports"


def bring(study: Path, path: Path, using: str, dictionary: Path | None = None, **more: Any) -> Report:
    """Land a file in `study`, a folder that is made where there is none."""
    if not (study / "ledger").exists():
        Ledger.create(study / "ledger")
    chosen = mapping.parse(using, "mine")
    source = sources.read(path, chosen, dictionary)
    return land(study, source, chosen, study_id="SYN", **{"author": "dm", "reason": "export", **more})


def staged(path: Path, using: str, dictionary: Path | None = None) -> Staged:
    """Return what a file becomes before it meets a ledger."""
    chosen = mapping.parse(using, "mine")
    return stage(sources.read(path, chosen, dictionary), chosen, "SYN", None)


def events(study: Path, event_type: str, *columns: str) -> list[tuple[Any, ...]]:
    """Return these columns of all events of a type, in the order of source rows."""
    rows = Ledger(study / "ledger").read(event_type)
    rows = rows.take(pc.sort_indices(rows, [("position", "ascending"), ("source_row", "ascending"), ("event_id", "ascending")]))  # fmt: skip
    return list(zip(*(rows.column(c).to_pylist() for c in columns), strict=True))
