"""Call: run every task on one shard, each alone; check and stamp what comes back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from enfold import schema
from enfold.contract import Derivation
from enfold.evaluate import remote
from enfold.evaluate.discover import Failure
from enfold.evaluate.evidence import ShardEvidence, prepared
from enfold.evaluate.faults import RuleError, said
from enfold.evaluate.graph import Task
from enfold.ledger import engine
from enfold.ledger.forms import is_sorted
from enfold.study import StudyFile


@dataclass
class Evaluated:
    """Results of one shard, and the failures of single tasks."""

    derived: list[pa.Table] = field(default_factory=list)
    verdicts: list[pa.Table] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


def evaluate(
    tasks: list[Task], state: Mapping[str, pa.Table], study: StudyFile, cutoff: date | None = None
) -> Evaluated:
    """Evaluate `tasks` in order on the state tables of one shard, at the study's cut-off or an earlier one.

    A task that fails is recorded, and so is every task that needs it; the others go on.
    """
    out = Evaluated()
    results: dict[str, pa.Table] = {}
    subjects = set(state["subjects"].column("subject_id").to_pylist())
    until = cutoff or study.data_cutoff
    elsewhere = remote.Evidence(tasks, state, study, until)
    shared = prepared()

    def here(task: Task) -> pa.Table:
        d = task.declaration
        return d.rule(ShardEvidence(d, state, results, study, until, shared), task.parameters)

    def there(task: Task) -> pa.Table:
        return elsewhere.compute(task, results)

    try:
        for task in tasks if subjects else []:  # of nobody there is nothing to say
            _one(out, task, results, subjects, study.id, there if task.offered.source else here)
    finally:
        elsewhere.close()
    return out


def _one(
    out: Evaluated,
    task: Task,
    results: dict[str, pa.Table],
    subjects: set[str],
    study_id: str,
    compute: Callable[[Task], pa.Table],
) -> None:
    d = task.declaration
    lost = [n for n in d.needs if n not in results]
    if lost:
        _fail(out, task, "compute", f"{', '.join(lost)} failed")
        return
    stage = "compute"
    try:
        raw = compute(task)
        stage = "return"
        rows = stamp(task, raw, study_id, subjects)
    except remote.RemoteError as error:
        _fail(out, task, error.stage, error.message)
        return
    except Exception as error:
        _fail(out, task, stage, said(error))
        return
    results[task.alias] = rows
    results.setdefault(d.id, rows)
    (out.derived if isinstance(d, Derivation) else out.verdicts).append(rows)


def _fail(out: Evaluated, task: Task, stage: str, message: str) -> None:
    out.failures.append(Failure(task.offered.plugin, stage, message, task.declaration.id, task.alias))


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
    _check_rows(rows, table, subjects, derivation=derivation)
    con = engine.scratch()
    con.register("rows", rows)
    untidy = {
        f.name for f in table.fields
        if f.kind == "ids" and not is_sorted(rows.column(f.name).combine_chunks(), distinct=True)
    }  # fmt: skip
    names = ", ".join(f'list_sort(list_distinct("{c}")) AS "{c}"' if c in untidy else f'"{c}"' for c in table.names)
    order = ", ".join(f'"{c}"' for c in table.key)  # no key occurs twice
    return con.sql(f"SELECT {names} FROM rows ORDER BY {order}").to_arrow_table().cast(table.arrow())


def _cast(column: pa.ChunkedArray, wanted: pa.Field) -> pa.ChunkedArray:
    try:
        return column.cast(wanted.type)
    except pa.ArrowException:  # its text would quote a value
        msg = f"`{wanted.name}` holds {column.type} that does not fit {wanted.type} exactly"
        raise RuleError(msg) from None


def _check_rows(rows: pa.Table, table: schema.Table, subjects: set[str], *, derivation: bool) -> None:
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
    con = engine.scratch()
    con.register("rows", rows)
    key = ", ".join(f'"{k}"' for k in table.key)
    (double,) = engine.one_row(
        con,
        f"SELECT count(*) FROM (SELECT 1 FROM rows GROUP BY {key} HAVING count(*) > 1)",
    )
    if double:
        msg = f"{double} keys ({key}) occur more than once"
        raise RuleError(msg)
    if not derivation:
        unit = ", ".join(f'"{k}"' for k in table.key if k != "criterion")
        (headless,) = engine.one_row(
            con,
            f"SELECT count(*) FROM (SELECT 1 FROM rows GROUP BY {unit}"
            " HAVING count(*) FILTER (criterion = 'overall') <> 1)",
        )
        if headless:
            msg = f"{headless} results lack their one `overall` row"
            raise RuleError(msg)
