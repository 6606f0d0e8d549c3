"""Writing: how a commit comes to be, from what admission wants to append to the file that makes it visible."""

import contextlib
import datetime as dt
import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from enfold import schema
from enfold.errors import BusyError, DeniedError, UsageError
from enfold.ledger import batch, bundles, commits, merkle, segments, storage
from enfold.ledger.commits import Commit, Segment

if TYPE_CHECKING:
    from enfold.ledger.ledger import Draft, Ledger

ATTEMPTS = 50
MAX_WORDS = 1_000  # characters of an author or a reason


def append(
    ledger: "Ledger",
    admit: "Callable[[Ledger], Draft]",
    kind: str,
    author: str,
    reason: str,
    sources: list[dict[str, Any]],
    now: Callable[[], dt.datetime],
) -> Commit | None:
    """Append one commit and return it; what `Ledger.append` does."""
    _check_words(author=author, reason=reason)
    with storage.writing(ledger.path) as unfinished:
        ledger.refresh()
        if unfinished:
            heal(ledger)
        if ledger.hidden:
            from enfold.ledger import redact  # it imports the ledger

            redact.take_out(ledger)
        for _ in range(ATTEMPTS):
            with schema.using(ledger.added):
                draft = admit(ledger)
            if not draft.says_something:
                return None
            with schema.using(ledger.added if draft.added is None else draft.added):
                commit = _commit(ledger, draft, kind, author, reason, sources, now())
            ledger.refresh()
            if commit is not None:
                ledger.index.extend()
                return commit
    msg = f"{ledger.path.parent.name}: other writers took {ATTEMPTS} positions in a row"
    raise BusyError(msg, remedy="Nothing was written; run the command again.")


def heal(ledger: "Ledger") -> None:
    """Remove what writers that were killed left behind; call it with the lock held."""
    named = {ledger.path / s.path for s in ledger.segments}
    own = ledger.path / "segments"
    storage.sweep(ledger.path, lambda p: p in named or own not in p.parents)
    storage.sync_tree(ledger.path)  # what is seen here need not be durable yet
    for folder in (ledger.path.parent, ledger.path.parent.parent):
        with contextlib.suppress(DeniedError):  # not ours to sync
            storage.sync_folder(folder)


def write_segment(path: Path, event_type: str, rows: pa.Table, schemas: str) -> Segment:
    """Write sorted rows as one segment file of the ledger in `path`; return where it is and what it holds."""
    data = segments.encode(rows)
    slots, places = rows.column("slot"), pc.min_max(rows.column("position"))
    name = f"segments/{event_type}/{places['max'].as_py():012d}-{secrets.token_hex(4)}.parquet"
    storage.create(path / name, data)
    return Segment(
        path=name,
        sha256=storage.sha256(data),
        event_type=event_type,
        schemas=schemas,
        rows=rows.num_rows,
        slot_from=slots[0].as_py(),
        slot_until=slots[-1].as_py() + 1,
        first_position=places["min"].as_py(),
        last_position=places["max"].as_py(),
        blocks=storage.block_digests(data) if len(data) > storage.BLOCK else (),
    )


def _commit(
    ledger: "Ledger",
    draft: "Draft",
    kind: str,
    author: str,
    reason: str,
    sources: list[dict[str, Any]],
    now: dt.datetime,
) -> Commit | None:
    """Write segments, then the file that makes them visible; nothing if another writer took the position."""
    position = ledger.position + 1
    if ledger.head:  # a clock that was set back must not disorder recorded time
        now = max(now, dt.datetime.fromisoformat(ledger.head.committed_at))
    batches = {t: rows for t, rows in sorted(draft.batches.items()) if rows.num_rows}
    schemas = _write_schemas(ledger.path)
    pieces = {
        t: batch.write(t, rows, position, partial(write_segment, ledger.path, t, schemas=schemas))
        for t, rows in batches.items()
    }
    written = [p.segment for own in pieces.values() for p in own]
    root = merkle.roots(p.leaves for own in pieces.values() for p in own).get(position) if written else None
    record = Commit(
        position=position,
        previous=ledger.commits.head,
        kind=kind,
        committed_at=now.astimezone(dt.UTC).isoformat(timespec="microseconds"),
        author=author,
        reason=reason,
        root=root or merkle.EMPTY_ROOT,
        rows={t: rows.num_rows for t, rows in batches.items()},
        schemas=schemas,
        sources=sources,
        details=draft.details,
    )
    hash_, data = commits.file_bytes(record, written)
    try:
        storage.create(ledger.path / "commits" / commits.commit_name(position), data)
    except FileExistsError:
        for s in written:
            storage.remove(ledger.path / s.path)
        return None
    ledger.index.add(position, [p.entries for own in pieces.values() for p in own])
    return Commit(**{**vars(record), "hash": hash_})


def _write_schemas(ledger: Path) -> str:
    """Store the schemas in force, once per change; return their digest."""
    data = bundles.schema_bundle(schema.added())
    digest = storage.sha256(data)
    path = ledger / "schemas" / f"{digest[:16]}.json"
    if not path.exists():
        with contextlib.suppress(FileExistsError):
            storage.create(path, data)
    return digest


def _check_words(**words: str) -> None:
    """Refuse an author or a reason that a screen would not show as it is: it is kept for ever."""
    for name, text in words.items():
        if not text.strip() or not text.isprintable() or len(text) > MAX_WORDS:
            msg = f"the {name} is empty, longer than {MAX_WORDS} characters, or holds control characters"
            raise UsageError(msg, remedy="Write it in one line of plain text. Nothing was written.")
