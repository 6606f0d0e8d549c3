"""One shard: what the pipeline does for a range of slots. Pure functions and one atomic write."""

import contextlib
import ctypes
import datetime as dt
import json
import os
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeAlias, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from enfold import schema, study
from enfold.evaluate.call import evaluate
from enfold.evaluate.discover import Failure, discover_for
from enfold.evaluate.graph import Task, plan
from enfold.fold.cut import Cut
from enfold.fold.fold import fold, no_queries
from enfold.ledger import engine, storage
from enfold.ledger.bundles import added_in
from enfold.ledger.ledger import Ledger
from enfold.ledger.reading import Slots
from enfold.run import poison
from enfold.run.digest import slot_digests
from enfold.run.plan import ROWS_PER_SHARD, Shard
from enfold.run.room import Room
from enfold.run.slots import counts

MEMORY = "512MB"  # of a fold's database; what needs more is spilled to disk
LESS = "160MB"  # the same where one subject has many rows: what is in hand besides is larger then
T = TypeVar("T")
_ROOMS: dict[int, Room] = {}
WATCHED = "watched"  # folder of what was observed while working: seconds, rows, memory; no part of the results


@dataclass(frozen=True)
class Job:
    """What every shard of a run shares; small, so that it travels with each descriptor."""

    ledger: str
    target: str
    cut: Cut
    study_text: str
    dev: bool = False
    tasks: tuple[tuple[str, str, str], ...] = ()  # alias, plugin and code hash of what is to be evaluated
    threads: int = 1  # within one shard: for its rules and digests
    rows: int = ROWS_PER_SHARD  # that a shard was planned to hold

    @property
    def large(self) -> int:
        """How many rows shards hold at most, but where one subject has many."""
        return self.rows * 5 // 4


@dataclass
class Clock:
    """The stage at work, and seconds by stage."""

    stage: str = "open"
    seconds: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def at(self, stage: str) -> Iterator[None]:
        """Work a stage."""
        self.stage, begin = stage, time.monotonic()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.monotonic() - begin


def work(job: Job, shard: Shard) -> bool:
    """Read, verify, fold, evaluate and write one shard; return whether it could be done.

    A shard that cannot be worked leaves a record of stage, subjects and events, and the others go on.

    Raises:
        StorageError, DeniedError: nothing can be written.
    """
    clock, events = Clock(), dict[str, pa.Table]()
    try:
        with schema.using(_added(job)):
            _work(job, shard, clock, events)
    except Exception as error:
        if os.environ.get("ENFOLD_DEBUG"):
            raise
        found = {}
        if clock.stage == "fold":
            _, parsed, _ = _prepared(job)
            with schema.using(_added(job)):
                found = poison.culprits(events, lambda some: fold(some, parsed, job.cut))
        poison.record(Path(job.target), shard, clock.stage, error, found)
        return False
    finally:
        events.clear()
        _let_go()
    return True


def _work(job: Job, shard: Shard, clock: Clock, events: dict[str, pa.Table]) -> None:
    target = Path(job.target)
    with clock.at("open"):
        ledger, parsed, tasks = _prepared(job)
        tasks, lost = _as_expected(job, tasks)
    with clock.at("read"):
        found, rows_read = read_counting(ledger, job.cut, shard.ranges)
        events |= found
        del found
    read = sum(t.num_rows for t in events.values())
    with _room(job).of(read):
        with clock.at("fold"):
            state = fold(events, parsed, job.cut, _doubts(job), LESS if read > job.large else MEMORY)
        events.clear()  # the state has all that the rest needs
        with clock.at("evaluate"):
            until = job.cut.occurred_until
            out = evaluate(tasks, state, parsed, until.date() if until else None, job.threads)
        tables = {**state, **_gathered(out.derived, "derived"), **_gathered(out.verdicts, "verdicts")}
        schemas = schema.tables()
        with clock.at("digest"):
            slots = _each(lambda name: slot_digests(schemas[name], tables[name]), tables, job.threads)
            rows = {name: counts(table) for name, table in tables.items()}
        with clock.at("write"):
            files = _each(lambda name: _write(target, name, shard, tables[name]), tables, job.threads)
    observed = {"seconds": clock.seconds, "rows": read, "rows_read": rows_read, "peak_memory": peak_memory()}
    storage.replace(target / WATCHED / f"{shard.name}.json", json.dumps(observed).encode())
    summary = {
        "shard": shard.text,
        "rows": rows,
        "slots": slots,
        "failures": [asdict(f) for f in [*lost, *out.failures]],
        "files": files,
    }
    data = json.dumps(summary, sort_keys=True).encode()
    storage.replace(target / "shards" / f"{shard.name}.json", data)


def _each(call: Callable[[str], T], names: Collection[str], threads: int) -> dict[str, T]:
    """Return what `call` says of each name; one thread is the caller's own, for what another leaves takes memory."""
    if threads == 1:
        return {name: call(name) for name in names}
    with ThreadPoolExecutor(threads) as pool:
        return dict(zip(names, pool.map(call, names), strict=True))


def _write(target: Path, name: str, shard: Shard, rows: pa.Table) -> str:
    """Write one table of a shard; return the SHA-256 of its file."""
    data = encode(rows)
    storage.replace(target / name / f"{shard.name}.parquet", data)
    return storage.sha256(data)


def encode(rows: pa.Table) -> bytes:
    """Return rows of state or results as a Parquet file.

    Statistics are those by which a query for one subject leaves files out; the rest would cost a fifth of the time.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="zstd", write_page_checksum=True, write_statistics=["subject_id"])
    return bytes(sink.getvalue())


def _let_go() -> None:
    """Give memory that is no longer used back to the system: what one shard needed must not add to the next."""
    pa.default_memory_pool().release_unused()
    with contextlib.suppress(AttributeError, OSError, TypeError):  # only the GNU library has it
        ctypes.CDLL(None).malloc_trim(0)


def peak_memory() -> int:
    """Return the most octets that this process held at once."""
    import resource
    import sys

    with contextlib.suppress(OSError):  # where there is no /proc; elsewhere rusage would count the parent's, too
        for line in Path("/proc/self/status").read_text("ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def read_events(ledger: Ledger, cut: Cut, slots: Slots | None = None) -> dict[str, pa.Table]:
    """Return the events that a cut sees by position and recorded time, verified."""
    return read_counting(ledger, cut, slots)[0]


def read_counting(ledger: Ledger, cut: Cut, slots: Slots | None = None) -> tuple[dict[str, pa.Table], int]:
    """Return the same, and how many rows had to be read to find them."""
    events, count = {}, 0
    for event_type in schema.events():
        rows, read = ledger.read_counting(event_type, upto=cut.position, slots=slots)
        events[event_type] = _recorded(rows, ledger, cut)
        count += read
    return events, count


def _recorded(rows: pa.Table, ledger: Ledger, cut: Cut) -> pa.Table:
    if cut.recorded_until is None or rows.num_rows == 0:
        return rows
    places = pc.unique(rows.column("position"))
    committed = [dt.datetime.fromisoformat(ledger.commits[p - 1].committed_at) for p in places.to_pylist()]
    at = pa.array(committed, pa.timestamp("us", "UTC")).take(
        pc.index_in(rows.column("position"), places).combine_chunks()
    )
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


Prepared: TypeAlias = tuple[Ledger, study.StudyFile, list[Task]]
_READY: dict[Job, Prepared] = {}


def prepare(job: Job, ledger: Ledger, parsed: study.StudyFile, tasks: list[Task]) -> None:
    """Hand what is open already to workers in this process."""
    _READY.clear()  # of earlier runs
    _READY[job] = ledger, parsed, tasks


def _prepared(job: Job) -> Prepared:
    return _READY.get(job) or _opened(job)


@cache
def _opened(job: Job) -> Prepared:
    """Open ledger and plugins once per process and run."""
    parsed = study.parse(job.study_text)
    folder = Path(job.ledger)
    return Ledger(folder), parsed, plan(parsed, discover_for(parsed, folder.parent, dev=job.dev))


def expected(tasks: list[Task]) -> tuple[tuple[str, str, str], ...]:
    """Return what a run evaluates, for its workers to compare with what they find."""
    return tuple((t.alias, t.offered.plugin, t.offered.code_hash) for t in tasks)


def _as_expected(job: Job, tasks: list[Task]) -> tuple[list[Task], list[Failure]]:
    """Return the tasks whose plugin this worker loaded in the run's version, and a failure for each other one.

    A worker may be another machine, or have run into a limit while it loaded a plugin.
    """
    found = {e[0]: e for e in expected(tasks)}
    lost = []
    for one in job.tasks:
        if found.get(one[0]) != one:
            what = "has another version of it" if one[0] in found else "could not load it"
            lost.append(Failure(one[1], "load", f"a worker {what}", alias=one[0]))
    names = {f.alias for f in lost}
    return [t for t in tasks if t.alias not in names], lost


@cache
def _added(job: Job) -> schema.Added:
    """Return what plugins add, as of the cut; in a thread or process of its own a worker has nothing in force."""
    return added_in(Path(job.ledger).parent, job.cut.position)


def _room(job: Job) -> Room:
    return _ROOMS.setdefault(job.large, Room(engine.cores() * job.large))


@cache
def _doubts(job: Job) -> pa.Table:
    return suite_queries(_prepared(job)[0], job.cut)


def _gathered(parts: list[pa.Table], name: str) -> dict[str, pa.Table]:
    table = schema.results()[name].arrow()
    return {name: pa.concat_tables(parts) if parts else table.empty_table()}
