"""Commits: the chain of what was landed, by whom, when and why.

`commits/000000000042.json` holds one commit and its own SHA-256; `previous` is the hash of the
commit before it, so that changing any commit changes every later hash. Which segment files hold
a commit's rows stands apart, in `manifest/`, so that packing and redaction leave the chain alone.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from enfold.errors import IntegrityError
from enfold.ledger import storage

FORMAT = 1


@dataclass(frozen=True)
class Commit:
    """One entry of the ledger; `hash` covers all other fields."""

    position: int
    previous: str | None
    committed_at: str
    kind: str
    author: str
    reason: str
    root: str
    rows: dict[str, int]
    schemas: str
    sources: list[dict[str, Any]] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT
    hash: str = ""


@dataclass(frozen=True)
class Segment:
    """One segment file: which rows it holds and the digest that it must have."""

    path: str
    sha256: str
    event_type: str
    rows: int
    slot_from: int
    slot_until: int
    first_position: int
    last_position: int


def seal(body: dict[str, Any]) -> bytes:
    """Return `body` as JSON with its own SHA-256 in `sha256`; the digest covers the rest."""
    return _json({**body, "sha256": storage.sha256(_json(body))})


def unseal(data: bytes, name: str) -> dict[str, Any]:
    """Return the sealed JSON object, digest checked and taken off.

    Raises:
        IntegrityError: the bytes are not sealed JSON or the digest differs.
    """
    try:
        body = json.loads(data)
        digest = body.pop("sha256")
    except (ValueError, KeyError, AttributeError):
        msg = f"{name}: not a sealed ledger file (damaged at or before octet {len(data)})"
        raise IntegrityError(msg, remedy="Restore it from a backup of the ledger.") from None
    if storage.sha256(_json(body)) != digest or seal(body) != data:
        msg = f"{name}: its SHA-256 does not match its content; damaged or altered"
        raise IntegrityError(msg, remedy="Restore it from a backup of the ledger.")
    return dict(body)


def commit_bytes(commit: Commit) -> tuple[str, bytes]:
    """Return the commit's hash and the bytes of its file."""
    body = {k: v for k, v in asdict(commit).items() if k != "hash"}
    data = seal(body)
    return json.loads(data)["sha256"], data


def commit_name(position: int) -> str:
    """Return the file name of the commit at `position`."""
    return f"{position:012d}.json"


def manifest_name(position: int, commit_hash: str) -> str:
    """Return the file name of the manifest of one commit; its hash keeps two writers apart."""
    return f"{position:012d}-{commit_hash[:16]}.json"


def read_chain(ledger: Path) -> list[Commit]:
    """Return all commits in order, each seal and every link of the chain checked."""
    folder = ledger / "commits"
    names = sorted(p.name for p in folder.glob("*.json"))
    chain: list[Commit] = []
    for place, name in enumerate(names, start=1):
        if name != commit_name(place):
            msg = f"commits/{commit_name(place)}: missing, though commits/{name} exists"
            raise IntegrityError(msg, remedy="Restore it from a backup of the ledger.")
        data = (folder / name).read_bytes()
        body = unseal(data, f"commits/{name}")
        commit = Commit(**body, hash=json.loads(data)["sha256"])
        previous = chain[-1].hash if chain else None
        if commit.position != place or commit.previous != previous:
            msg = f"commits/{name}: does not follow the commit before it; the chain is broken"
            raise IntegrityError(msg, remedy="Restore the ledger from a backup.")
        chain.append(commit)
    return chain


def read_manifest(ledger: Path, commit: Commit) -> list[Segment]:
    """Return the segments that hold the rows of `commit`."""
    name = manifest_name(commit.position, commit.hash)
    path = ledger / "manifest" / name
    if not path.exists():
        msg = f"manifest/{name}: the file is missing"
        raise IntegrityError(msg, remedy="Restore it from a backup of the ledger.")
    body = unseal(path.read_bytes(), f"manifest/{name}")
    return [Segment(**s) for s in body["segments"]]


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
