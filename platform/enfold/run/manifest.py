"""The manifest of a run: sealed, and with the digests of the files that hold what was computed.

The manifest names the digest of each shard's summary, the summary those of its Parquet files: what
is served is what was computed, to the last bit.
"""

import json
from collections.abc import Container
from pathlib import Path
from typing import Any

import pyarrow as pa

from enfold.errors import IntegrityError
from enfold.ledger import segments, storage
from enfold.run.plan import Shard
from enfold.run.slots import only

AGAIN = "It can be made anew: enfold run STUDY."


def write(target: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest of the run in `target`; with it the run is finished."""
    data = json.dumps({**manifest, "seal": _seal(manifest)}, sort_keys=True, indent=1).encode()
    storage.replace(target / "manifest.json", data)


def read(folder: Path, run: str) -> dict[str, Any]:
    """Return the manifest of a finished run.

    Raises:
        IntegrityError: the run is not finished, or its manifest is damaged.
    """
    try:
        found = json.loads(storage.read(folder / "runs" / run / "manifest.json"))
        seal = found.pop("seal")
        if seal == _seal(found) and found["run"][:16] == run and "slots" in found:
            return dict(found)
    except FileNotFoundError:
        msg = f"runs/{run}: the run was not finished"
        raise IntegrityError(msg, remedy=AGAIN) from None
    except (ValueError, KeyError, TypeError, AttributeError):  # not even JSON, or of another shape
        pass
    msg = f"runs/{run}/manifest.json: its SHA-256 does not match its content; damaged or altered"
    raise IntegrityError(msg, remedy=AGAIN)


def pointed(pointer: Path) -> dict[str, str]:
    """Return what a `current.json` says: the run in force, and in `serve` its file.

    Raises:
        FileNotFoundError: there is none.
        IntegrityError: it is damaged.
    """
    try:
        found = json.loads(storage.read(pointer))
        if set(found) <= {"run", "file"} and found.get("file", f"{found['run']}.duckdb") == f"{found['run']}.duckdb":
            return {k: str(v) for k, v in found.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    msg = f"{pointer.parent.name}/{pointer.name}: damaged or altered"
    raise IntegrityError(msg, remedy=AGAIN)


def parts(folder: Path, run: str, manifest: dict[str, Any], name: str) -> list[pa.Table]:
    """Return the parts of one table of a run, each file verified before it is opened.

    Raises:
        IntegrityError: one is missing, damaged or altered.
    """
    return [part(folder, run, manifest, name, shard) for shard in manifest["shards"]]


def part(
    folder: Path, run: str, manifest: dict[str, Any], name: str, shard: str, slots: Container[int] | None = None
) -> pa.Table:
    """Return what one shard says of the slots for which it counts, or of some of them, in one table.

    Raises:
        IntegrityError: a file is missing, damaged or altered.
    """
    said = summary(folder, run, manifest, shard)
    data = _verified(folder, run, f"{name}/{shard}.parquet", said["files"][name])
    rows = segments.decode(data)
    counting = {s for begin, end in manifest["slots"][shard] for s in range(begin, end)}
    wanted = {s for s in counting if slots is None or s in slots}
    return rows if wanted == Shard.parse(said["shard"]).slots else only(rows, wanted)


def summary(folder: Path, run: str, manifest: dict[str, Any], shard: str) -> dict[str, Any]:
    """Return what a shard reported, verified."""
    return dict(json.loads(_verified(folder, run, f"shards/{shard}.json", manifest["summaries"][shard])))


def _verified(folder: Path, run: str, name: str, digest: str) -> bytes:
    try:
        return storage.read_verified(folder / "runs" / run / name, digest)
    except IntegrityError as error:
        msg = f"runs/{run}/{name.partition('/')[0]}: {error.message}"
        raise IntegrityError(msg, remedy=AGAIN) from None


def _seal(manifest: dict[str, Any]) -> str:
    return storage.sha256(json.dumps(manifest, sort_keys=True).encode())
