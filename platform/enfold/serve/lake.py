"""The ledger's own Parquet files as Delta tables, one an event type: for engines that read lakes. No row is copied.

A table holds every version of every fact that was landed, `position` first to last; which of them stand at a cut says
the table `events` of the serving file. The files are second names (hard links) of the ledger's; where the system has
none, copies.
"""

import shutil
from pathlib import Path

from enfold import extras
from enfold.errors import ConflictError, UsageError
from enfold.ledger import storage
from enfold.ledger.ledger import Ledger


def export(folder: Path, target: Path) -> dict[str, int]:
    """Write a Delta table for each event type that has been landed; return rows by type.

    Args:
        folder: the study folder.
        target: a folder that does not exist yet.

    Raises:
        UsageError: the folder exists, or the library that writes Delta's log is not installed.
        ConflictError: a redaction was interrupted, so that a file still holds what is to go.
        IntegrityError: a file of the ledger is damaged.
    """
    (deltalake,) = extras.load("writing Delta tables", "deltalake")
    if target.exists():
        msg = f"{target} exists"
        raise UsageError(msg, remedy="Name a new folder.")
    ledger = Ledger(folder / "ledger")
    if ledger.hidden:
        msg = f"a redaction of {len(ledger.hidden)} events was interrupted"
        raise ConflictError(msg, remedy=f"Nothing was written. Finish it first: enfold pack {folder}")
    rows: dict[str, int] = {}
    try:
        for segment in ledger.segments:
            source = folder / "ledger" / segment.path
            storage.read_verified(source, segment.sha256, segment.blocks)
            storage.share(source, target / segment.event_type / source.name)
            rows[segment.event_type] = rows.get(segment.event_type, 0) + segment.rows
        for event_type in rows:
            # without statistics: they would be binary floats, by which a reader may skip rows with exact decimals
            deltalake.convert_to_deltalake(str(target / event_type), name=event_type, collect_stats=False)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    return dict(sorted(rows.items()))
