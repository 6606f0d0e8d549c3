"""The ledger: open it, read what a cut may see, append to it (writing.py)."""

import datetime as dt
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from enfold import schema
from enfold.errors import IntegrityError, UsageError
from enfold.ledger import bundles, canonical, engine, placement, reading, segments, storage, upcast, writing
from enfold.ledger.chain import Chain
from enfold.ledger.commits import Commit, Segment
from enfold.ledger.index import Index
from enfold.ledger.placement import Generation
from enfold.ledger.reading import Slots


@dataclass
class Draft:
    """What admission wants to append: events by type, and details for the commit's record."""

    batches: dict[str, pa.Table] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    added: schema.Added | None = None  # what plugins add from this commit on; none: what was in force before

    @property
    def says_something(self) -> bool:
        """Whether there is anything to commit: events, or a record of another kind."""
        return bool(self.details.get("record")) or any(t.num_rows for t in self.batches.values())


class Ledger:
    """The ledger in one folder. An instance sees the commits that existed when it was opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not storage.is_folder(path / "commits"):
            msg = f"{path}: no ledger here"
            raise UsageError(msg, remedy="Create the study first: enfold init STUDY")
        upcast.check_steps()
        self.index = Index(self)
        self.commits = Chain(path / "commits")
        self._lock = threading.Lock()
        self._forget(placement.newest(path, self.commits))

    @classmethod
    def create(cls, path: Path) -> "Ledger":
        """Create an empty ledger folder and open it."""
        storage.make_folder(path / "commits")
        return cls(path)

    def refresh(self) -> None:
        """See what was committed and moved since."""
        self.commits.refresh()
        self._forget(placement.newest(self.path, self.commits))

    def _forget(self, generation: Generation) -> None:
        self.generation = generation
        self._kept: dict[str, tuple[frozenset[str], list[pa.Table]]] = {}
        for name in ("segments", "redactions", "hidden", "added"):
            self.__dict__.pop(name, None)

    @property
    def head(self) -> Commit | None:
        """The newest commit, or nothing in an empty ledger."""
        return self.commits[-1] if self.commits else None

    @property
    def position(self) -> int:
        """Position of the newest commit; 0 in an empty ledger."""
        return len(self.commits)

    @cached_property
    def added(self) -> schema.Added:
        """What plugins add to the schemas, as the newest commit has it; the plugins need not be installed."""
        return self.added_at(self.position)

    def added_at(self, position: int) -> schema.Added:
        """Return what plugins add to the schemas, as the commit at a position has it."""
        digest = self.commits[position - 1].schemas if position else ""
        if digest in ("", storage.sha256(bundles.shipped_bundle())):
            return schema.NOTHING
        return bundles.added_of(self.bundle(digest))

    @cached_property
    def segments(self) -> list[Segment]:
        """Every segment in force, in order of position."""
        found = [*self.generation.segments, *self.placed_after(self.generation.upto)]
        with schema.using(self.added):
            unknown = sorted({s.event_type for s in found} - set(schema.events()))
        if unknown:
            msg = f"the ledger holds events of type {', '.join(unknown)}, which this enfold does not know"
            raise IntegrityError(msg, remedy="Use the enfold, with the plugins, that landed them.")
        return found

    @cached_property
    def redactions(self) -> dict[str, int]:
        """Position of the redaction by the id of every event redacted."""
        return {
            e["event_id"]: c.position for c in self.commits.of_kind("redaction") for e in c.details["record"]["events"]
        }

    @cached_property
    def hidden(self) -> frozenset[str]:
        """Redacted events whose rows are still in a segment: the redaction was interrupted."""
        return frozenset(self.redactions) - {r.event_id for r in self.generation.redacted}

    def placed_after(self, position: int) -> list[Segment]:
        """Return the segments of the commits after a position, as those commits placed them."""
        return [s for c in self.commits.stored[max(position, self.generation.upto) :] for s in c.segments]

    def read(self, event_type: str, *, upto: int | None = None, after: int = 0, slots: Slots | None = None) -> pa.Table:
        """Return the events of one type up to a position, only from octets that were verified.

        Shape: envelope, body, `slot`, `position`, `salt`, and `content`: the content digest of rows
        that were landed in an older shape, else null. One row per landed event version.
        """
        return self.read_counting(event_type, upto=upto, after=after, slots=slots)[0]

    def read_counting(
        self, event_type: str, *, upto: int | None = None, after: int = 0, slots: Slots | None = None
    ) -> tuple[pa.Table, int]:
        """Return the same, and how many rows had to be read to find them."""
        upto = self.position if upto is None else upto
        while True:
            try:
                with schema.using(self.added):
                    return self._read(event_type, upto, after, slots)
            except IntegrityError:
                newest = placement.newest(self.path, self.commits)
                if newest.number == self.generation.number:
                    raise
                self._forget(newest)  # rows moved while we read; where they are now is known

    def _read(self, event_type: str, upto: int, after: int, slots: Slots | None) -> tuple[pa.Table, int]:
        parts = [_with_content(segments.stored_schema(event_type)).empty_table()]
        found = self.placed_after(after) if after and after >= self.generation.upto else self.segments
        count, kept = 0, frozenset[str]()
        if slots is not None:
            kept, rows, count = self._across(event_type)
            parts += [reading.of_positions(reading.of_slots(part, slots), after, upto) for part in rows]
        for s in found:
            if s.event_type != event_type or s.path in kept or not reading.holds(s, slots, after, upto):
                continue
            part, read = reading.read(self.path, s, slots, after, upto)
            count += read
            parts.append(self._current(part, s))
        every = pa.concat_tables(parts)
        if self.hidden:
            every = every.filter(pc.invert(pc.is_in(every.column("event_id"), pa.array(sorted(self.hidden)))))
        return every, count

    def _across(self, event_type: str) -> tuple[frozenset[str], list[pa.Table], int]:
        """Return paths of small segments across the slots, their rows, kept once read, and how many were read now."""
        with self._lock:
            if event_type in self._kept:
                return *self._kept[event_type], 0
            small = reading.across([s for s in self.segments if s.event_type == event_type])
            rows = [self._current(reading.read(self.path, s, None, 0, s.last_position)[0], s) for s in small]
            paths = frozenset(s.path for s in small)
            self._kept[event_type] = paths, [pa.concat_tables(rows).sort_by("slot")] if rows else []
            return *self._kept[event_type], sum(s.rows for s in small)

    def _current(self, rows: pa.Table, s: Segment) -> pa.Table:
        """Return the rows of a segment in today's shape, with the content digest of the landed one."""
        stored = segments.stored_schema(s.event_type)
        content = pa.nulls(rows.num_rows, pa.string())
        if s.schemas != storage.sha256(bundles.schema_bundle(self.added)):
            version = upcast.bundle_versions(self.bundle(s.schemas))[s.event_type]
            if version != schema.events()[s.event_type].version:
                con = engine.connect()
                con.execute("SET preserve_insertion_order = true")
                con.register("rows", rows)
                digest = canonical.content_sql(self.shape(s))
                content = con.sql(f"SELECT {digest} AS content FROM rows").to_arrow_table().column(0)
            rows = upcast.to_current(rows, s.event_type, version, stored)
        return rows.append_column(segments.CONTENT, content)

    def bundle(self, digest: str) -> bytes:
        """Return a stored schema bundle, verified."""
        return storage.read_verified(self.path / "schemas" / f"{digest[:16]}.json", digest)

    def shape(self, s: Segment) -> canonical.Shape:
        """Return the shape that the rows of a segment were landed in."""
        return upcast.bundle_shapes(self.bundle(s.schemas))[s.event_type]

    def study_text(self, upto: int | None = None) -> str:
        """Return the newest study file landed up to a position (default: all).

        Raises:
            UsageError: none has been landed.
        """
        for commit in self.commits.of_kind("study", upto):
            return str(commit.details["record"]["text"])
        msg = "no study file has been landed up to this position"
        raise UsageError(msg, remedy="Land it: enfold land STUDY STUDY/study.toml")

    def append(
        self,
        admit: Callable[["Ledger"], Draft],
        *,
        kind: str,
        author: str,
        reason: str,
        sources: list[dict[str, Any]] | None = None,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> Commit | None:
        """Append one commit and return it; nothing to say is no commit.

        `admit` is called with the ledger as it stands. If another writer gets the position first all
        the same (a file system without locks), admission runs again on top of what that one added.

        Raises:
            BusyError: other writers won every attempt.
            UsageError: author or reason is empty, too long, or would not be seen as it is.
        """
        return writing.append(self, admit, kind, author, reason, sources or [], now)


def _with_content(stored: pa.Schema) -> pa.Schema:
    return stored.append(segments.CONTENT)
