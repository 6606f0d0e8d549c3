"""A small study to do harm to: its operations, what it holds, and whether anything was left behind."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from enfold import schema
from enfold.ledger import canonical, engine, segments, storage
from enfold.ledger.commits import Commit
from enfold.ledger.ledger import Draft, Ledger
from enfold.ledger.pack import pack
from enfold.ledger.redact import redact
from enfold.ledger.verify import verify
from tests_support import STUDY, table

Row = dict[str, Any]


@contextmanager
def folder() -> Iterator[Path]:
    """Yield a folder to do harm in: in memory where there is such a thing, to spare the disk."""
    memory = Path("/dev/shm")
    root = tempfile.mkdtemp(prefix="enfold-faults-", dir=memory if os.access(memory, os.W_OK) else None)
    try:
        yield Path(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def visits(batch: str, subjects: int = 3, **fields: Any) -> list[Row]:
    """Return one visit for each of some subjects, named after their batch."""
    return [
        {"event_id": f"{batch}.{n}", "subject_id": f"0{n}", "occurred": "2026-01-05", "status": "held", **fields}
        for n in range(1, subjects + 1)
    ]


def correction(of: str, new: str) -> list[Row]:
    """Return the correction of one visit."""
    subject = f"0{of.rpartition('.')[2]}"
    return [{"event_id": new, "subject_id": subject, "occurred": "2026-01-06", "status": "missed",
             "supersedes": [of], "reason": "typing error"}]  # fmt: skip


def staged(event_type: str, rows: list[Row]) -> pa.Table:
    """Return rows as the stage hands them to admission: with their place in the source and content digest."""
    found = table(event_type, [{"source_row": n, **r} for n, r in enumerate(rows, start=1)])
    con = engine.connect()
    con.execute("SET preserve_insertion_order = true")
    con.register("rows", found)
    digest = con.sql(f"SELECT {canonical.content_sql(event_type)} AS content FROM rows").to_arrow_table().column(0)
    return found.append_column("content", digest)


def land(ledger: Path, batches: dict[str, pa.Table]) -> Commit | None:
    """Land staged rows: admission and one commit, as a landing does after its checks."""
    from enfold.land.admit import admit

    def admission(seen: Ledger) -> Draft:
        return Draft({t: admit(seen, rows).new for t, rows in batches.items()})

    return Ledger(ledger).append(admission, kind="landing", author="a", reason="r")


def land_study(study: Path, text: str = STUDY) -> Commit | None:
    """Land the study file."""
    from enfold.land import protocol

    path = study / "study.toml"
    path.write_text(text, "utf-8")
    return protocol.land_study(study, path, author="a", reason="r")


def small_study(study: Path) -> Path:
    """Make a study with packed and unpacked rows, a correction and a redaction."""
    ledger = Ledger.create(study / "ledger").path
    land_study(study)
    land(ledger, {"visit": staged("visit", visits("a"))})
    land(ledger, {"visit": staged("visit", visits("b"))})
    land(ledger, {"visit": staged("visit", correction("a.1", "a.1c"))})
    redact(ledger, ["b.2"], author="a", reason="r")
    pack(ledger)
    land(ledger, {"visit": staged("visit", visits("c"))})
    return study


def held(ledger: Ledger, upto: int | None = None) -> list[tuple[Any, ...]]:
    """Return type, id, position, status and what it supersedes of every row, sorted."""
    out = []
    for event_type in schema.events():
        rows = ledger.read(event_type, upto=upto)
        names = [n for n in ("event_id", "position", "status", "supersedes") if n in rows.column_names]
        out += [(event_type, *map(str, r.values())) for r in rows.select(names).to_pylist()]
    return sorted(out)


def state(path: Path) -> dict[str, Any]:
    """Verify a ledger from the outside in and return what it says."""
    verify(path)
    ledger = Ledger(path)
    return {
        "commits": [(c.position, c.kind, c.rows) for c in ledger.commits],
        "rows": held(ledger),
        "redacted": dict(sorted(ledger.redactions.items())),
    }


def left_behind(path: Path) -> list[str]:
    """Return what a writer that did not finish left in a ledger: files aside, segments that nothing names."""
    ledger = Ledger(path)
    named = {s.path for s in ledger.segments}
    files = [p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()]
    out = [f for f in files if f.endswith(".tmp") or (f.startswith("segments/") and f not in named)]
    return sorted([*out, *(f"not taken out: {i}" for i in ledger.hidden)])


def stored_ids(path: Path) -> set[str]:
    """Return the event ids in any Parquet file of a ledger, whether it is in force or not."""
    out: set[str] = set()
    for file in (path / "segments").rglob("*"):
        if file.is_file():
            out |= set(segments.decode(file.read_bytes(), columns=["event_id"]).column(0).to_pylist())
    return out


@contextmanager
def quick_runs(study: Path) -> Iterator[Callable[[], dict[str, Any]]]:
    """Yield `run` without Beam and with one remembered fold: everything that writes is the platform's own."""
    from enfold.run import pipeline, run, shard

    kept: dict[str, Any] = {}
    real = shard.fold, shard.slot_digests, pipeline.run_pipeline

    def remembered(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def once(*args: Any) -> Any:
            key = f"{name} {args[0].name if name == 'digest' else ''}"
            if key not in kept:
                kept[key] = call(*args)
            return kept[key]

        return once

    def direct(job: Any, shards: Any, runner: str, options: list[str]) -> None:
        del runner, options
        for s in shards:
            shard.work(job, s)

    try:
        shard.fold, shard.slot_digests = remembered("fold", real[0]), remembered("digest", real[1])
        pipeline.run_pipeline = direct
        yield lambda: run.run(study)
    finally:
        shard.fold, shard.slot_digests, pipeline.run_pipeline = real


def served(study: Path) -> dict[str, list[Any]]:
    """Return every table that a study serves."""
    import enfold

    opened = enfold.open(study)
    return {n: opened.table(n).to_pylist() for n in (*schema.state(), *schema.results(), "run_pins", "rules", "asked")}


def current_run(study: Path) -> str:
    """Return the run that the serving pointer names."""
    return str(json.loads(storage.read(study / "serve" / "current.json"))["run"])
