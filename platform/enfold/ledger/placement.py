"""Placement: which segment files hold the rows of which commits.

Each commit file names its own segments. Packing and redaction write a generation,
`manifest/000000000001.json`, which names the segments of all commits up to a position, and the
leaves of redacted events, which have no row any more; the newest generation is in force.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from enfold.errors import IntegrityError
from enfold.ledger import commits, storage
from enfold.ledger.chain import Chain
from enfold.ledger.commits import Segment


@dataclass(frozen=True)
class Redacted:
    """What is left of a redacted event: enough to verify its commit's root, nothing to read."""

    event_id: str
    event_type: str
    position: int
    leaf: str


@dataclass(frozen=True)
class Generation:
    """Where the rows of all commits up to `upto` are; `number` 0 is no generation at all."""

    number: int = 0
    upto: int = 0
    head: str | None = None  # hash of the commit at `upto`
    reason: str = ""
    segments: list[Segment] = field(default_factory=list)
    redacted: list[Redacted] = field(default_factory=list)


def newest(ledger: Path, chain: Chain) -> Generation:
    """Return the generation in force.

    Raises:
        IntegrityError: it is damaged, or belongs to another chain.
    """
    names = storage.listing(ledger / "manifest", ".json")
    if not names:
        return Generation()
    name = f"manifest/{names[-1]}"
    (line,) = commits.unseal(storage.read(ledger / name), name)
    body = json.loads(line)
    found = Generation(
        number=body["number"],
        upto=body["upto"],
        head=body["head"],
        reason=body["reason"],
        segments=[commits.segment(s) for s in body["segments"]],
        redacted=[Redacted(**r) for r in body["redacted"]],
    )
    if found.upto > len(chain):  # made after this chain was read: does it belong to what the chain became?
        chain = Chain(chain.folder)
    if found.upto > len(chain) or chain.stored[found.upto - 1].hash != found.head:
        msg = f"{name}: places the rows of commit {found.upto}, which is missing or another one"
        raise IntegrityError(msg, remedy="Restore the ledger from a backup.")
    return found


def put_in_force(
    ledger: Path, chain: Chain, old: Generation, segments: list[Segment], redacted: list[Redacted], reason: str
) -> None:
    """Write the generation after `old`; FileExistsError if another writer did so first."""
    new = Generation(old.number + 1, len(chain), chain.head, reason, segments, redacted)
    path = ledger / "manifest" / commits.commit_name(new.number)
    storage.create(path, commits.seal(commits.to_json(asdict(new))))
