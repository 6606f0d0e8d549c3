"""Call: run every task on one shard, each alone; check and stamp what comes back."""

from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import date
from graphlib import TopologicalSorter

import pyarrow as pa
import pyarrow.compute as pc

from enfold import schema
from enfold.contract import Derivation
from enfold.evaluate import remote
from enfold.evaluate.discover import Failure
from enfold.evaluate.evidence import ShardEvidence, prepared
from enfold.evaluate.faults import RuleError, said
from enfold.evaluate.graph import Task
from enfold.ledger.forms import is_sorted, tidied
from enfold.study import StudyFile


@dataclass
class Evaluated:
    """Results of one shard, and the failures of single tasks."""

    derived: list[pa.Table] = field(default_factory=list)
    verdicts: list[pa.Table] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


def evaluate(
    tasks: list[Task], state: Mapping[str, pa.Table], study: StudyFile, cutoff: date | None = None, threads: int = 1
) -> Evaluated:
    """Evaluate `tasks` on the state tables of one shard, at the study's cut-off or an earlier one.

    A task that fails is recorded, and so is every task that needs it; the others go on. What comes back is in the
    order of aliases, as the keys of results are, however many `threads` worked.
    """
    if not tasks:
        return Evaluated()
    subjects = set(state["subjects"].column("subject_id").to_pylist())
    until = cutoff or study.data_cutoff
    elsewhere = remote.Evidence(tasks, state, study, until)
    shared = prepared()
    results: dict[str, pa.Table] = {}

    def compute(task: Task) -> pa.Table:
        if task.offered.source:
            return elsewhere.compute(task, results)
        d = task.declaration
        return d.rule(ShardEvidence(d, state, results, study, until, shared), task.parameters)

    failures: dict[str, Failure] = {}

    def one(task: Task) -> None:
        found = _one(task, results, subjects, study.id, compute)
        if isinstance(found, Failure):
            failures[task.alias] = found
        else:
            results[task.alias] = found

    try:
        if subjects:  # of nobody there is nothing to say
            _each(tasks, one, threads)
    finally:
        elsewhere.close()
    out = Evaluated(failures=[failures[t.alias] for t in tasks if t.alias in failures])
    for task in sorted(tasks, key=lambda t: t.alias):
        if task.alias in results:
            (out.derived if isinstance(task.declaration, Derivation) else out.verdicts).append(results[task.alias])
    return out


def _each(tasks: list[Task], one: Callable[[Task], None], threads: int) -> None:
    """Call `one` for every task, each after those that it needs, as many at once as there are threads."""
    named = {t.alias: t for t in tasks}
    order = TopologicalSorter({t.alias: [n for n in t.declaration.needs if n in named] for t in tasks})
    order.prepare()
    running: dict[Future[None], str] = {}
    with ThreadPoolExecutor(threads) as pool:
        while order.is_active():
            for alias in order.get_ready():  # in a context of its own: the definitions in force are the caller's
                running[pool.submit(copy_context().run, one, named[alias])] = alias
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                future.result()
                order.done(running.pop(future))


def _one(
    task: Task,
    results: Mapping[str, pa.Table],
    subjects: set[str],
    study_id: str,
    compute: Callable[[Task], pa.Table],
) -> pa.Table | Failure:
    lost = [n for n in task.declaration.needs if n not in results]
    if lost:
        return _failure(task, "compute", f"{', '.join(lost)} failed")
    stage = "compute"
    try:
        raw = compute(task)
        stage = "return"
        return stamp(task, raw, study_id, subjects)
    except remote.RemoteError as error:
        return _failure(task, error.stage, error.message)
    except Exception as error:
        return _failure(task, stage, said(error))


def _failure(task: Task, stage: str, message: str) -> Failure:
    return Failure(task.offered.plugin, stage, message, task.declaration.id, task.alias)


def stamp(task: Task, raw: pa.Table, study_id: str, subjects: set[str]) -> pa.Table:
    """Return `raw` in the shape of its result table, host columns added, sorted by key.

    Raises:
        RuleError: no table, columns that do not exist, missing or double keys, foreign subjects, grades
            without `overall`, or values of a wrong type.
    """
    if not isinstance(raw, pa.Table):
        msg = f"returned {type(raw).__name__}, not a pyarrow.Table"
        raise RuleError(msg)
    derivation = isinstance(task.declaration, Derivation)
    table = schema.results()["derived" if derivation else "verdicts"]
    d = task.declaration
    extra = sorted(set(raw.column_names) - set(table.names))
    if extra:
        msg = f"returned columns that the result table does not have: {', '.join(extra)}"
        raise RuleError(msg)
    fixed = {
        "study_id": study_id,
        "alias": task.alias,
        "id": d.id,
        "definition_version": d.version,
        "parameter_digest": task.digest,
        "grain": d.grain,
        "plugin": task.offered.plugin,
        "plugin_version": task.offered.plugin_version,
        "code_hash": task.offered.code_hash,
    }
    columns = []
    for f in table.arrow():
        if f.name in fixed:
            columns.append(pa.repeat(pa.scalar(fixed[f.name], f.type), raw.num_rows))
        elif f.name in raw.column_names:
            columns.append(_cast(raw.column(f.name), f))
        elif f.name == "event_ids":
            columns.append(pa.repeat(pa.scalar([], f.type), raw.num_rows))
        else:
            columns.append(pa.nulls(raw.num_rows, f.type))
    rows = pa.table(columns, schema=pa.schema([f.with_nullable(True) for f in table.arrow()]))
    _check_rows(rows, table, subjects)
    keys = [k for k in table.key if k not in fixed]
    order = [(k, "ascending") for k in keys if rows.column(k).null_count < rows.num_rows]
    if order:
        rows = rows.take(pc.sort_indices(rows, sort_keys=order))
    _check_keys(rows, table, keys, derivation=derivation)
    for f in table.fields:
        ids = rows.column(f.name).combine_chunks() if f.kind == "ids" else None
        if ids is not None and not is_sorted(ids, distinct=True):
            rows = rows.set_column(rows.column_names.index(f.name), f.name, tidied(ids))
    return rows.cast(table.arrow())


def _cast(column: pa.ChunkedArray, wanted: pa.Field) -> pa.ChunkedArray:
    try:
        return column.cast(wanted.type)
    except pa.ArrowException:  # its text would quote a value
        msg = f"`{wanted.name}` holds {column.type} that does not fit {wanted.type} exactly"
        raise RuleError(msg) from None


def _check_rows(rows: pa.Table, table: schema.Table, subjects: set[str]) -> None:
    for f in table.fields:
        if not f.optional and rows.column(f.name).null_count:
            msg = f"`{f.name}` is empty in {rows.column(f.name).null_count} rows"
            raise RuleError(msg)
        if f.codes:
            wrong = set(pc.unique(rows.column(f.name)).to_pylist()) - set(f.codes) - {None}
            if wrong:
                msg = f"`{f.name}` holds {len(wrong)} values that are not among {', '.join(f.codes)}"
                raise RuleError(msg)
    foreign = set(pc.unique(rows.column("subject_id")).to_pylist()) - subjects
    if foreign:
        msg = f"{len(foreign)} subjects that were not in evidence"
        raise RuleError(msg)


def _check_keys(rows: pa.Table, table: schema.Table, keys: list[str], *, derivation: bool) -> None:
    """Check that no key is there twice, and that each result has its one `overall` row; `rows` are sorted by key."""
    *result, last = keys
    results = _apart(rows, result)
    each = pc.or_(results, _apart(rows, [last]))
    if not pc.all(each, min_count=0).as_py():
        double = pc.sum(pc.greater(_sizes(_numbered(each)), 1)).as_py()
        msg = f"{double} keys ({', '.join(table.key)}) occur more than once"
        raise RuleError(msg)
    if derivation or not rows.num_rows:
        return
    numbers = _numbered(results)
    headed = _sizes(numbers.filter(pc.equal(rows.column("criterion").combine_chunks(), "overall")))
    headless = numbers[-1].as_py() + 1 - (pc.sum(pc.equal(headed, 1)).as_py() or 0)
    if headless:
        msg = f"{headless} results lack their one `overall` row"
        raise RuleError(msg)


def _apart(rows: pa.Table, keys: list[str]) -> pa.Array:
    """Return for each row but the first whether some key is not that of the row before."""
    many = max(0, rows.num_rows - 1)
    apart = pa.repeat(pa.scalar(value=False), many)
    for key in keys:
        column = rows.column(key).combine_chunks()
        if column.null_count == len(column):
            continue
        before, here = column.slice(0, many), column.slice(1)
        other = pc.not_equal(before, here)
        if column.null_count:
            other = pc.coalesce(other, pc.xor(before.is_null(), here.is_null()))
        apart = pc.or_(apart, other)
    return apart


def _numbered(apart: pa.Array) -> pa.Array:
    """Return a number for each row, from 0: the same as that of the row before unless it is apart from it."""
    return pc.cumulative_sum(pa.concat_arrays([pa.array([0], pa.int64()), apart.cast(pa.int64())]))


def _sizes(numbers: pa.Array) -> pa.Array:
    """Return how often each number occurs."""
    return pc.value_counts(numbers).field("counts")
