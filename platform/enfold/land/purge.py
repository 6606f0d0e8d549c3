"""Redaction with all that follows: whatever was derived from the events goes too."""

import shutil
from pathlib import Path
from typing import Any

from enfold.land import refused
from enfold.ledger import storage
from enfold.ledger.ledger import Ledger
from enfold.ledger.redact import complete
from enfold.ledger.redact import redact as redact_events

DERIVED = ("runs", "serve")


def redact(folder: Path, event_ids: list[str], *, author: str, reason: str) -> dict[str, Any]:
    """Redact events, then remove results, serving files and the refused records that they mended.

    Returns position, ids and the number of derived files removed.
    """
    commit = redact_events(folder / "ledger", event_ids, author=author, reason=reason)
    return {"position": commit.position, "event_ids": sorted(set(event_ids)), "removed": purge(folder)}


def purge(folder: Path) -> int:
    """Complete what an interrupted redaction left, and remove derived copies; return how many files."""
    complete(folder / "ledger")
    ledger = Ledger(folder / "ledger")
    gone = 0
    for name in DERIVED:
        if (folder / name).exists():
            gone += sum(1 for p in (folder / name).rglob("*") if p.is_file())
            shutil.rmtree(folder / name)
    redacted = set(ledger.redactions)
    for commit in ledger.commits.of_kind("landing"):
        link = commit.details.get("mends") or {"events": {}}
        rows = {int(row) for row, ids in link["events"].items() if redacted & set(ids)}
        if rows:
            gone += refused.forget(folder, link["refusal"], rows)
    storage.sync_folder(folder)
    return gone
