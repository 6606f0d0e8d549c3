"""Lawful redaction: an event's content leaves the ledger for good; the chain still verifies.

The order makes it safe to interrupt: first a commit that names the events and the reason; from then
on no reader is given their rows. Then segments without them, and a generation that keeps of each
event its id and its leaf, from which the commit's root is still computed; then the old files go. A
redaction that was interrupted is completed by the next writer.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from enfold.errors import UsageError
from enfold.ledger import canonical, merkle, placement, segments, storage, writing
from enfold.ledger.commits import Commit, Segment
from enfold.ledger.ledger import Draft, Ledger
from enfold.ledger.placement import Redacted


def redact(path: Path, event_ids: list[str], *, author: str, reason: str) -> Commit:
    """Redact events: log it, remove their content, return the commit that says so.

    Raises:
        UsageError: an id is not in the ledger, or other versions of the same fact would stay: a
            value that was replaced must not stand again because its correction was redacted.
    """
    wanted = sorted(set(event_ids))

    def admission(ledger: Ledger) -> Draft:
        held = versions(ledger)
        if set(wanted) <= set(ledger.redactions):
            return Draft()  # done before, or interrupted after it was logged
        missing = sorted(set(wanted) - set(held.column("event_id").to_pylist()))
        if missing:
            msg = f"{len(missing)} events are not in the ledger; first: {missing[0]}"
            raise UsageError(msg, remedy="Nothing was redacted. `enfold history` lists a subject's events.")
        linked = _linked(ledger, held, set(wanted)) - set(wanted)
        if linked:
            msg = f"these belong to the same facts and would stay: {' '.join(sorted(linked))}"
            raise UsageError(
                msg, remedy="Nothing was redacted. Name them too: a fact is redacted with all its versions."
            )
        rows = held.filter(pc.is_in(held.column("event_id"), pa.array(wanted)))
        events = rows.select(["event_id", "event_type", "position"]).to_pylist()
        return Draft(details={"record": {"events": sorted(events, key=lambda e: (e["position"], e["event_id"]))}})

    commit = Ledger(path).append(admission, kind="redaction", author=author, reason=reason)
    complete(path)
    ledger = Ledger(path)
    return commit or ledger.commits[max(ledger.redactions[i] for i in wanted) - 1]


def complete(path: Path) -> int:
    """Take the rows of logged redactions out of the segments; return how many were left to take."""
    with storage.writing(path) as unfinished:
        ledger = Ledger(path)
        if unfinished:
            writing.heal(ledger)
        return take_out(ledger)


def take_out(ledger: Ledger) -> int:
    """Do so with the lock held; the ledger sees afterwards what is in force."""
    path, gone = ledger.path, ledger.hidden
    if not gone:
        return 0
    for name in storage.listing(path / "index", ".ids"):  # its entries were made of ids and content
        storage.remove(path / "index" / name)
    new: list[Segment] = []
    redacted = list(ledger.generation.redacted)
    replaced: list[Segment] = []
    for s in ledger.segments:
        data = storage.read_verified(path / s.path, s.sha256, s.blocks)
        held = pc.is_in(segments.decode(data, columns=["event_id"]).column(0), pa.array(sorted(gone)))
        if not pc.any(held).as_py():
            new.append(s)
            continue
        rows = segments.decode(data)
        replaced.append(s)
        redacted += _leaves(ledger.shape(s), rows.filter(held))
        rest = rows.filter(pc.invert(held))
        if rest.num_rows:
            new.append(writing.write_segment(path, s.event_type, rest, s.schemas))
    redacted.sort(key=lambda r: (r.position, r.event_type, r.event_id, r.leaf))
    placement.put_in_force(path, ledger.commits, ledger.generation, new, redacted, "redaction")
    for s in replaced:
        storage.remove(path / s.path)
    ledger.refresh()
    return len(gone)


def versions(ledger: Ledger) -> pa.Table:
    """Return id, type, position and links of every event version in the ledger."""
    from enfold import schema

    names = ["subject_id", "event_id", "supersedes", "retracts", "position"]
    parts = []
    for event_type in schema.events():
        rows = ledger.read(event_type).select(names)
        parts.append(rows.append_column("event_type", pa.array([event_type] * rows.num_rows, pa.string())))
    return pa.concat_tables(parts)


def _linked(ledger: Ledger, held: pa.Table, wanted: set[str]) -> set[str]:
    """Return all events that corrections, retractions and moves join to the wanted ones, either way."""
    moves = [c.details["record"]["moved"] for c in ledger.commits.of_kind("move")]
    pairs = [(m["from"], m["to"]) for m in moves]
    for row in held.select(["event_id", "supersedes", "retracts"]).to_pylist():
        targets = [*(row["supersedes"] or []), *([row["retracts"]] if row["retracts"] else [])]
        pairs += [(row["event_id"], t) for t in targets]
    present = set(held.column("event_id").to_pylist())
    joined = set(wanted)
    while True:
        more = {a for pair in pairs if joined & {*pair} for a in pair if a in present} - joined
        if not more:
            return joined
        joined |= more


def _leaves(shape: canonical.Shape, rows: pa.Table) -> list[Redacted]:
    found = zip(rows.column("event_id").to_pylist(), *merkle.leaves(shape, rows).to_pydict().values(), strict=True)
    return [Redacted(str(i), shape.event_type, int(p), leaf.hex()) for i, p, leaf in found]
