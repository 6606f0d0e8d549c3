"""One shard: what the pipeline does for a range of slots. Pure functions and one atomic write."""

import datetime as dt
import io
import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from enfold import schema, study
from enfold.evaluate.call import evaluate
from enfold.evaluate.discover import discover_for
from enfold.evaluate.graph import Task, plan
from enfold.fold.cut import Cut
from enfold.fold.fold import fold, no_queries
from enfold.ledger import storage
from enfold.ledger.ledger import Ledger
from enfold.run.digest import slot_digests


@dataclass(frozen=True)
class Job:
    """What every shard of a run shares; small, so that it travels with each descriptor."""

    ledger: str
    target: str
    cut: Cut
    study_text: str
    dev: bool = False


@dataclass(frozen=True)
class Shard:
    """A descriptor: a half-open range of slots."""

    slot_from: int
    slot_until: int

    @property
    def name(self) -> str:
        """Deterministic name of the shard's files."""
        return f"{self.slot_from:04d}-{self.slot_until:04d}"


def work(job: Job, shard: Shard) -> dict[str, Any]:
    """Read, verify, fold, evaluate and write one shard; return its summary."""
    ledger, parsed, tasks = _prepared(job)
    events = read_events(ledger, job.cut, (shard.slot_from, shard.slot_until))
    state = fold(events, parsed, job.cut, suite_queries(ledger, job.cut))
    until = job.cut.occurred_until
    out = evaluate(tasks, state, parsed, until.date() if until else None)
    tables = {**state, **_gathered(out.derived, "derived"), **_gathered(out.verdicts, "verdicts")}
    schemas = {**schema.state(), **schema.results()}
    files = {}
    for name, rows in tables.items():
        sink = io.BytesIO()
        pq.write_table(rows, sink, compression="zstd", write_page_checksum=True)
        storage.replace(Path(job.target) / name / f"{shard.name}.parquet", sink.getvalue())
        files[name] = storage.sha256(sink.getvalue())
    summary = {
        "shard": shard.name,
        "subjects": state["subjects"].num_rows,
        "events": sum(t.num_rows for t in events.values()),
        "rows": {n: t.num_rows for n, t in sorted(tables.items())},
        "slots": {n: slot_digests(schemas[n], t) for n, t in sorted(tables.items())},
        "failures": [asdict(f) for f in out.failures],
        "files": files,
    }
    data = json.dumps(summary, sort_keys=True).encode()
    storage.replace(Path(job.target) / "shards" / f"{shard.name}.json", data)
    return summary


def read_events(ledger: Ledger, cut: Cut, slots: tuple[int, int] | None = None) -> dict[str, pa.Table]:
    """Return the events that a cut sees by position and recorded time, files verified."""
    return {t: _recorded(ledger.read(t, upto=cut.position, slots=slots), ledger, cut) for t in schema.events()}


def _recorded(rows: pa.Table, ledger: Ledger, cut: Cut) -> pa.Table:
    if cut.recorded_until is None or rows.num_rows == 0:
        return rows
    committed = [dt.datetime.fromisoformat(c.committed_at) for c in ledger.commits]
    at = pa.array([committed[p - 1] for p in rows.column("position").to_pylist()], pa.timestamp("us", "UTC"))
    recorded = pc.coalesce(rows.column("recorded_at"), pa.chunked_array([at]))
    return rows.filter(pc.less_equal(recorded, pa.scalar(cut.recorded_until, pa.timestamp("us", "UTC"))))


def suite_queries(ledger: Ledger, cut: Cut) -> pa.Table:
    """Return what the suites raised at landing, one row per event."""
    rows = [
        {"code": q["code"], "reason": q["reason"], "event_id": i}
        for c in ledger.commits[: cut.position]
        for q in c.details.get("queries", [])
        for i in q["event_ids"]
    ]
    return pa.Table.from_pylist(rows, schema=no_queries().schema)


@cache
def _prepared(job: Job) -> tuple[Ledger, study.StudyFile, list[Task]]:
    """Open ledger and plugins once per process and run."""
    parsed = study.parse(job.study_text)
    folder = Path(job.ledger)
    return Ledger(folder), parsed, plan(parsed, discover_for(parsed, folder.parent, dev=job.dev))


def _gathered(parts: list[pa.Table], name: str) -> dict[str, pa.Table]:
    table = schema.results()[name].arrow()
    return {name: pa.concat_tables(parts) if parts else table.empty_table()}
