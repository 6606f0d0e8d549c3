"""A shard that cannot be worked: narrow it down to the subjects and events that do it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from enfold.errors import DeniedError, EnfoldError, StorageError
from enfold.ledger import storage
from enfold.run.plan import Shard

NAMED = 20  # event ids in a failure's record; the count says how many there are
FOLDER = "failed"


def culprits(events: Mapping[str, pa.Table], works: Callable[[dict[str, pa.Table]], object]) -> dict[str, Any]:
    """Return how many of the subjects make `works` raise, and by which events.

    Halves again and again: first subjects, then the events of what is left, as long as one half alone still fails.
    Where only several together fail, they are all named.
    """

    def fails(column: str, values: list[str]) -> bool:
        try:
            works(_only(events, column, values))
        except Exception:
            return True
        return False

    everyone = _values(events, "subject_id")
    guilty = _narrowed(everyone, lambda some: fails("subject_id", some))
    ids = _values(_only(events, "subject_id", guilty), "event_id")
    if len(guilty) < len(everyone) or len(everyone) == 1:
        ids = _narrowed(ids, lambda some: fails("event_id", some))
    return {"subjects": len(guilty), "of": len(everyone), "events": len(ids), "event_ids": ids[:NAMED]}


def _narrowed(all_: list[str], fails: Callable[[list[str]], bool]) -> list[str]:
    left = all_
    while len(left) > 1:
        half = len(left) // 2
        smaller = next((part for part in (left[:half], left[half:]) if fails(part)), None)
        if smaller is None:
            break
        left = smaller
    return left


def _values(events: Mapping[str, pa.Table], column: str) -> list[str]:
    return sorted({v for rows in events.values() for v in pc.unique(rows.column(column)).to_pylist()})


def _only(events: Mapping[str, pa.Table], column: str, values: list[str]) -> dict[str, pa.Table]:
    wanted = pa.array(values, pa.string())
    return {t: rows.filter(pc.is_in(rows.column(column), wanted)) for t, rows in events.items()}


def record(target: Path, shard: Shard, stage: str, error: Exception, found: dict[str, Any]) -> None:
    """Write what stopped a shard beside the results; of errors that are not enfold's only the kind, never the text.

    Raises:
        StorageError, DeniedError: nothing can be written there.
    """
    if isinstance(error, StorageError | DeniedError):
        raise error
    ours = isinstance(error, EnfoldError)
    what = {
        "shard": shard.name,
        "stage": stage,
        "error": type(error).__name__,
        "message": error.message if isinstance(error, EnfoldError) else None,
        "remedy": error.remedy if isinstance(error, EnfoldError) else None,
        "ours": ours,
        **found,
    }
    storage.replace(target / FOLDER / f"{shard.name}.json", json.dumps(what, sort_keys=True).encode())


def forget(target: Path) -> None:
    """Remove the records of an earlier attempt."""
    for name in storage.listing(target / FOLDER, ".json"):
        storage.remove(target / FOLDER / name)


def raise_first(target: Path, shards: int) -> None:
    """Raise what stopped the first of the shards that failed, if any did.

    Raises:
        EnfoldError: of the class of the failure; says shard, stage, subjects, event ids, and what is left to do.
    """
    names = storage.listing(target / FOLDER, ".json")
    if not names:
        return
    first = json.loads(storage.read(target / FOLDER / names[0]))
    more = f"; {len(names) - 1} more shards failed" if len(names) > 1 else ""
    whose = ""
    if "subjects" in first:
        listed = ", ".join(first["event_ids"]) + (" …" if first["events"] > len(first["event_ids"]) else "")
        whose = f", {first['subjects']} of {first['of']} subjects, {first['events']} events: {listed}"
    said = first["message"] or first["error"]  # the text of another's error may quote data
    msg = f"shard {first['shard']} failed in stage {first['stage']}: {said}{whose}{more}"
    kinds: dict[str, type[EnfoldError]] = {c.__name__: c for c in EnfoldError.__subclasses__()}
    remedy = [first["remedy"]] if first["remedy"] else []
    remedy.append(f"Earlier results stay served; {shards - len(names)} of {shards} shards are worked, and stay so.")
    if not first["ours"]:
        remedy.append("ENFOLD_DEBUG=1 shows where it happened.")
    raise kinds.get(first["error"], EnfoldError)(msg, remedy=" ".join(remedy))
