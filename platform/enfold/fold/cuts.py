"""Named cuts: what an analysis may see, kept in the ledger itself; a locked one pins a run.

Creating and locking are commits, so a cut has an author, a time and a reason, and changing it
would break the chain. They hold no events: no other cut's digest moves.
"""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enfold.errors import ConflictError, IntegrityError, UsageError
from enfold.fold.cut import Cut
from enfold.ledger.ledger import Draft, Ledger

DIGESTS = ("cut_digest", "state_digest", "verdicts_digest")


@dataclass(frozen=True)
class NamedCut:
    """A cut by its name; `lock` holds run, pins and digests once it is locked."""

    name: str
    cut: Cut
    author: str
    created_at: str
    reason: str
    lock: dict[str, Any] | None = None
    redacted: int = 0  # events that it saw and that were redacted since: it cannot be recomputed


def cuts(ledger: Ledger) -> list[NamedCut]:
    """Return every named cut, oldest first."""
    locks = {c.details["record"]["name"]: c.details["record"] for c in ledger.commits.of_kind("cut_lock")}
    out = []
    for commit in ledger.commits.of_kind("cut"):
        r = commit.details["record"]
        cut = Cut(r["position"], _instant(r["recorded_until"]), _instant(r["occurred_until"]))
        lost = redacted_since(ledger, cut.position)
        lock = locks.get(r["name"])
        out.append(NamedCut(r["name"], cut, commit.author, commit.committed_at, commit.reason, lock, len(lost)))
    return out[::-1]


def named(ledger: Ledger, name: str) -> NamedCut:
    """Return a cut by its name.

    Raises:
        UsageError: there is none.
    """
    for found in cuts(ledger):
        if found.name == name:
            return found
    msg = f"no cut is called `{name}`"
    raise UsageError(msg, remedy="enfold cut STUDY list shows them; enfold cut STUDY create NAME makes one.")


def redacted_since(ledger: Ledger, position: int) -> list[int]:
    """Return the positions of redactions of events that a cut at `position` saw."""
    at = ledger.redactions
    return [at[r.event_id] for r in ledger.generation.redacted if r.position <= position < at[r.event_id]]


def create(folder: Path, name: str, cut: Cut, *, author: str, reason: str) -> NamedCut:
    """Name a cut.

    Raises:
        ConflictError: the name is taken.
        UsageError: the position is not in the ledger, or the name is not a plain word.
    """
    if not name or not all(c.isalnum() or c in "-_." for c in name):
        msg = "the name of a cut holds letters, digits, dots, dashes and underscores only"
        raise UsageError(msg)

    def admission(ledger: Ledger) -> Draft:
        if any(c.name == name for c in cuts(ledger)):
            msg = f"a cut is called `{name}` already"
            raise ConflictError(msg, remedy="Choose another name: a cut is never changed.")
        if not 0 < cut.position <= ledger.position:
            msg = f"position {cut.position} is not in the ledger (1 to {ledger.position})"
            raise UsageError(msg)
        bounds = {"recorded_until": _text(cut.recorded_until), "occurred_until": _text(cut.occurred_until)}
        return Draft(details={"record": {"name": name, "position": cut.position, **bounds}})

    ledger = Ledger(folder / "ledger")
    ledger.append(admission, kind="cut", author=author, reason=reason)
    return named(ledger, name)


def lock(folder: Path, name: str, manifest: dict[str, Any], *, author: str, reason: str) -> NamedCut:
    """Lock a cut to a run of it.

    Args:
        folder: the study folder.
        name: of the cut.
        manifest: of the run, as `run.run` returns it.
        author: who locks.
        reason: why.

    Raises:
        ConflictError: it is locked already.
    """
    pinned = {k: manifest[k] for k in ("run", *DIGESTS, "pins")}

    def admission(ledger: Ledger) -> Draft:
        if named(ledger, name).lock:
            msg = f"the cut `{name}` is locked already"
            raise ConflictError(msg, remedy="A lock is for ever; make another cut.")
        return Draft(details={"record": {"name": name, **pinned}})

    ledger = Ledger(folder / "ledger")
    ledger.append(admission, kind="cut_lock", author=author, reason=reason)
    return named(ledger, name)


def check(found: NamedCut, manifest: dict[str, Any]) -> list[str]:
    """Compare a run of a locked cut with its lock; return the pins that differ while results agree.

    Raises:
        IntegrityError: the same pins, or the events seen, give something else than was locked.
        ConflictError: other pins (plugins, libraries, schemas) give other results; says which.
    """
    if not found.lock:
        return []
    other = [d for d in DIGESTS if found.lock[d] != manifest[d]]
    was, now = found.lock["pins"], manifest["pins"]
    pins = sorted(k for k in {*was, *now} if was.get(k) != now.get(k))
    if not other:
        return pins
    what = f"the run of the locked cut `{found.name}` gives another {' and '.join(other).replace('_', ' ')}"
    if "cut_digest" in other or not pins:
        raise IntegrityError(what, remedy="Verify the ledger (enfold verify); a locked cut must not change.")
    msg = f"{what}, with other {', '.join(pins)}"
    raise ConflictError(msg, remedy="Install what the lock names (enfold cut STUDY show NAME --json) and run again.")


def _instant(text: str | None) -> dt.datetime | None:
    return None if text is None else dt.datetime.fromisoformat(text)


def _text(at: dt.datetime | None) -> str | None:
    return None if at is None else at.astimezone(dt.UTC).isoformat()
