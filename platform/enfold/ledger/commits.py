"""Commits: the chain of what was landed, by whom, when and why.

`commits/000000000042.json` has three lines:

1. the record: one JSON object that starts with `position`, `previous` and `kind`; the commit's hash
   is the SHA-256 of this line, and `previous` is the hash of the commit before it, so that changing
   any record changes every later hash;
2. the placement: the record's hash, and which segment files hold the rows. It stands outside the
   chain, because packing and redaction move rows (placement.py);
3. the SHA-256 of the two lines before.
"""

import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from enfold.errors import IntegrityError
from enfold.ledger.storage import sha256

FORMAT = 1


@dataclass(frozen=True)
class Commit:
    """One entry of the ledger; `hash` covers all fields before it."""

    position: int
    previous: str | None
    kind: str
    committed_at: str
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
    """One segment file: which rows it holds and the digests that it must have."""

    path: str
    sha256: str
    event_type: str
    schemas: str  # digest of the schema bundle that its columns follow
    rows: int
    slot_from: int
    slot_until: int
    first_position: int
    last_position: int
    blocks: tuple[str, ...] = ()  # of each 64 KiB, if there is more than one


@dataclass(frozen=True)
class Stored:
    """One commit file, its seal checked; the record is parsed when asked for."""

    record: bytes
    placement: bytes
    hash: str

    @cached_property
    def commit(self) -> Commit:
        """The record."""
        return Commit(**json.loads(self.record), hash=self.hash)

    @cached_property
    def segments(self) -> list[Segment]:
        """The segments that held the rows when the commit was made."""
        return [segment(s) for s in json.loads(self.placement)["segments"]]

    def is_kind(self, kind: str) -> bool:
        """Whether the commit is of `kind`, without parsing it."""
        return f',"kind":{json.dumps(kind)},'.encode() in self.record[:160]

    def follows(self, position: int, previous: str | None) -> bool:
        """Whether the record stands at `position` after the commit with hash `previous`."""
        return self.record.startswith(f'{{"position":{position},"previous":{json.dumps(previous)},'.encode())


def segment(found: dict[str, Any]) -> Segment:
    """Return a segment from its JSON object."""
    return Segment(**{**found, "blocks": tuple(found.get("blocks", ()))})


def file_bytes(commit: Commit, segments: list[Segment]) -> tuple[str, bytes]:
    """Return the commit's hash and the bytes of its file."""
    record = to_json({k: v for k, v in asdict(commit).items() if k != "hash"})
    hash_ = sha256(record)
    return hash_, seal(record, to_json({"hash": hash_, "segments": [asdict(s) for s in segments]}))


def parse(data: bytes, name: str) -> Stored:
    """Return a commit from its file's bytes.

    Raises:
        IntegrityError: the bytes are not what was written; says between which octets.
    """
    record, placement = unseal(data, name)
    hash_ = sha256(record)
    if not placement.startswith(f'{{"hash":"{hash_}",'.encode()):
        raise damaged(name, f"between octets 0 and {len(record)}")
    return Stored(record, placement, hash_)


def seal(*lines: bytes) -> bytes:
    """Return lines and, on a line of its own, the SHA-256 over them."""
    body = b"".join(line + b"\n" for line in lines)
    return body + sha256(body).encode() + b"\n"


def unseal(data: bytes, name: str) -> list[bytes]:
    """Return the sealed lines, the digest checked and taken off.

    Raises:
        IntegrityError: empty, torn or altered.
    """
    body, digest = data[:-65], data[-65:]
    if len(data) < 67 or digest != sha256(body).encode() + b"\n" or not body.endswith(b"\n"):
        end = data.rfind(b"\n", 0, -1) + 1
        where = f"at octet {len(data)}, where it ends too early" if len(data) - end != 65 else _part(data)
        raise damaged(name, where)
    return body[:-1].split(b"\n")


def _part(data: bytes) -> str:
    """Say which line is damaged where that can be told: the second holds the hash of the first."""
    lines = data[:-65].split(b"\n")
    if len(lines) == 3 and sha256(lines[0]).encode() not in lines[1]:
        return f"between octets 0 and {len(lines[0])}"
    return f"between octets {len(lines[0])} and {len(data)}"


def damaged(name: str, where: str) -> IntegrityError:
    """Return the error for a ledger file that is not what was written."""
    msg = f"{name}: its SHA-256 does not match its content; damaged or altered {where}"
    return IntegrityError(msg, remedy="Restore it from a backup of the ledger.")


def commit_name(position: int) -> str:
    """Return the file name of the commit at `position`."""
    return f"{position:012d}.json"


def to_json(body: dict[str, Any]) -> bytes:
    """Return `body` as one line of JSON, keys in the order given."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sorted_json(body: dict[str, Any]) -> bytes:
    """Return `body` as one line of JSON, keys sorted: the same bytes for the same content."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
