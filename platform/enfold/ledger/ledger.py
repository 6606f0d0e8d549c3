"""The ledger: open it, append to it, read what a cut may see."""

import contextlib
import datetime as dt
import json
import secrets
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from enfold.errors import BusyError, UsageError
from enfold.ledger import commits, segments, storage
from enfold.ledger.commits import Commit, Segment
from enfold.shipped import shipped

ATTEMPTS = 50


class Ledger:
    """The ledger in one folder. An instance sees the commits that existed when it was opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not (path / "commits").is_dir():
            msg = f"{path}: no ledger here"
            raise UsageError(msg, remedy="Create the study first: enfold init STUDY")
        self.commits = commits.read_chain(path)

    @classmethod
    def create(cls, path: Path) -> "Ledger":
        """Create an empty ledger folder and open it."""
        (path / "commits").mkdir(parents=True)
        return cls(path)

    @property
    def head(self) -> Commit | None:
        """The newest commit, or nothing in an empty ledger."""
        return self.commits[-1] if self.commits else None

    @property
    def position(self) -> int:
        """Position of the newest commit; 0 in an empty ledger."""
        return len(self.commits)

    @cached_property
    def segments(self) -> list[Segment]:
        """Every segment in force, in order of position."""
        return [s for c in self.commits for s in commits.read_manifest(self.path, c)]

    def read(
        self,
        event_type: str,
        *,
        upto: int | None = None,
        slots: tuple[int, int] | None = None,
    ) -> pa.Table:
        """Return the events of one type up to a position, each file verified before it is opened.

        Shape: envelope, body, `slot`, `position`, `salt`; one row per landed event version.
        """
        upto = self.position if upto is None else upto
        parts = []
        for s in self.segments:
            if s.event_type != event_type or s.first_position > upto:
                continue
            if slots and (s.slot_until <= slots[0] or s.slot_from >= slots[1]):
                continue
            data = storage.read_verified(self.path / s.path, s.sha256)
            parts.append(segments.decode(data, slots))
        if not parts:
            return segments.stored_schema(event_type).empty_table()
        table = pa.concat_tables(parts)
        if any(s.last_position > upto for s in self.segments):
            import pyarrow.compute as pc

            table = table.filter(pc.less_equal(table.column("position"), upto))
        return table

    def study_text(self, upto: int | None = None) -> str:
        """Return the newest study file landed up to a position (default: all).

        Raises:
            UsageError: none has been landed.
        """
        for commit in reversed(self.commits[:upto]):
            if commit.kind == "study":
                return str(commit.details["record"]["text"])
        msg = "no study file has been landed up to this position"
        raise UsageError(msg, remedy="Land it: enfold land STUDY STUDY/study.toml")

    def append(
        self,
        admit: Callable[["Ledger"], tuple[dict[str, pa.Table], dict[str, Any]]],
        *,
        kind: str,
        author: str,
        reason: str,
        sources: list[dict[str, Any]],
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> Commit | None:
        """Append one commit and return it; nothing to say is no commit.

        `admit` is called with the ledger as it stands and returns the events to add, by type, and
        details for the commit. If another writer got the position first, admission runs again on
        top of what that writer added.

        Raises:
            BusyError: other writers won every attempt.
        """
        ledger = self
        for _ in range(ATTEMPTS):
            batches, details = admit(ledger)
            batches = {t: rows for t, rows in sorted(batches.items()) if rows.num_rows}
            if not batches and not details.get("record"):
                return None
            commit = ledger._write(batches, details, kind, author, reason, sources, now())
            if commit is not None:
                self.commits = Ledger(self.path).commits
                self.__dict__.pop("segments", None)
                return commit
            ledger = Ledger(self.path)
        msg = f"{self.path.parent.name}: other writers took {ATTEMPTS} positions in a row"
        raise BusyError(msg, remedy="Nothing was written; run the command again.")

    def _write(
        self,
        batches: dict[str, pa.Table],
        details: dict[str, Any],
        kind: str,
        author: str,
        reason: str,
        sources: list[dict[str, Any]],
        now: dt.datetime,
    ) -> Commit | None:
        position = self.position + 1
        prepared = {t: segments.prepare(t, rows, position) for t, rows in batches.items()}
        written = [self._write_segment(t, rows, position) for t, rows in prepared.items()]
        draft = Commit(
            position=position,
            previous=self.head.hash if self.head else None,
            committed_at=now.astimezone(dt.UTC).isoformat(timespec="microseconds"),
            kind=kind,
            author=author,
            reason=reason,
            root=segments.content_root(prepared),
            rows={t: rows.num_rows for t, rows in prepared.items()},
            schemas=self._write_schemas(),
            sources=sources,
            details=details,
        )
        hash_, data = commits.commit_bytes(draft)
        manifest = self.path / "manifest" / commits.manifest_name(position, hash_)
        storage.create(manifest, commits.seal({"segments": [vars(s) for s in written]}))
        try:
            storage.create(self.path / "commits" / commits.commit_name(position), data)
        except FileExistsError:
            manifest.unlink()
            for s in written:
                (self.path / s.path).unlink()
            return None
        return replace(draft, hash=hash_)

    def _write_segment(self, event_type: str, rows: pa.Table, position: int) -> Segment:
        data = segments.encode(event_type, rows)
        name = f"segments/{event_type}/{position:012d}-{secrets.token_hex(4)}.parquet"
        storage.create(self.path / name, data)
        slots = rows.column("slot")
        return Segment(
            path=name,
            sha256=storage.sha256(data),
            event_type=event_type,
            rows=rows.num_rows,
            slot_from=slots[0].as_py(),
            slot_until=slots[-1].as_py() + 1,
            first_position=position,
            last_position=position,
        )

    def _write_schemas(self) -> str:
        """Store the schemas in force, once per change; return their digest."""
        data = schema_bundle()
        digest = storage.sha256(data)
        path = self.path / "schemas" / f"{digest[:16]}.json"
        if not path.exists():
            with contextlib.suppress(FileExistsError):
                storage.create(path, data)
        return digest


def schema_bundle() -> bytes:
    """Return all event and instrument schemas in force as one JSON document."""
    root = shipped("schemas")
    texts = {"envelope.toml": (root / "envelope.toml").read_text("utf-8")}
    for folder in ("events", "instruments"):
        for path in (root / folder).iterdir():
            if path.name.endswith(".toml"):
                texts[f"{folder}/{path.name}"] = path.read_text("utf-8")
    return json.dumps(texts, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
