"""Fold the events of a shard, at a cut, into state tables."""

import contextlib
import datetime as dt
from collections.abc import Mapping

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from enfold import schema
from enfold.errors import IntegrityError
from enfold.fold.added import facts_sql
from enfold.fold.cut import Cut
from enfold.fold.resolve import resolve
from enfold.ledger import engine
from enfold.ledger.canonical import content_sql, filled
from enfold.quoting import literal
from enfold.shipped import package_file
from enfold.study import StudyFile

STEPS = {  # and the state tables that each makes; its last statement is the query of the last one
    "20_subjects": ("periods", "subjects"),
    "30_visits": ("visits",),
    "40_findings": ("occasions", "findings"),
    "50_exposures": ("exposures",),
    "60_occurrences": ("occurrences",),
    "70_coverage": ("reviews", "coverage"),
    "80_data_findings": ("data_findings",),
}


def fold(
    events: Mapping[str, pa.Table],
    study: StudyFile,
    cut: Cut,
    queries: pa.Table | None = None,
    memory: str | None = None,
) -> dict[str, pa.Table]:
    """Return every state table for the subjects in `events`.

    Args:
        events: rows of each type as the ledger holds them, up to the cut's position and recorded
            time; all events of a subject must be in the same call.
        study: the study file in force at the cut.
        cut: supplies the bound in clinical time and, if set, the date at which windows close.
        queries: `code`, `reason`, `event_id` of doubts that the suites raised at landing.
        memory: what DuckDB may hold, as it writes sizes; the rest is spilled. Where something cannot be, it is
            folded once more without a limit.

    Pure: the same events in any order give the same rows. Rows come sorted by key.
    """
    unknown = sorted(set(events) - set(schema.events()))
    if unknown:
        msg = f"events of type {', '.join(unknown)} are to be folded, which no schema in force defines"
        raise IntegrityError(msg, remedy="Fold them under the definitions of their ledger.")
    if memory:
        with contextlib.suppress(duckdb.OutOfMemoryException), engine.kept(memory) as con:
            return _folded(con, events, study, cut, queries)
    con = engine.connect()
    con.begin()  # one transaction: each of some hundred and fifty of its own would cost
    return _folded(con, events, study, cut, queries)


def _folded(
    con: duckdb.DuckDBPyConnection,
    events: Mapping[str, pa.Table],
    study: StudyFile,
    cut: Cut,
    queries: pa.Table | None,
) -> dict[str, pa.Table]:
    _tables(con, events, study, cut, queries)
    define_times(con, study.time_zone)
    tables = schema.state()
    replaced = resolve(con, _until(study, cut), study.cut_rules)
    state: dict[str, pa.Table] = {}
    for step, (*before, last) in STEPS.items():
        query = engine.execute_all_but_last(con, package_file(f"fold/sql/{step}.sql"))
        state |= {name: _taken(con, tables[name], study.id, f"FROM {name}") for name in before}
        state[last] = _taken(con, tables[last], study.id, query)
    for name, event in schema.added_events(schema.added()).items():
        state[name] = _taken(con, tables[name], study.id, facts_sql(event))
    versions = _versions(events, replaced)  # last, so that they are held least long: nothing reads them
    state["events"] = _sorted(con, tables["events"], study.id, versions)
    return {name: state[name] for name in tables}


def define_times(con: duckdb.DuckDBPyConnection, time_zone: str) -> None:
    """Define what reads clinical time, for sites in this time zone."""
    con.execute("SET VARIABLE time_zone = $value", {"value": time_zone})
    engine.execute(con, package_file("fold/sql/00_time.sql"))


def _tables(
    con: duckdb.DuckDBPyConnection,
    events: Mapping[str, pa.Table],
    study: StudyFile,
    cut: Cut,
    queries: pa.Table | None,
) -> None:
    for event_type in schema.events():
        rows = events.get(event_type, _no_events(event_type))
        if "content" not in rows.column_names:  # only rows landed in an older shape bring their digest
            rows = rows.append_column("content", pa.nulls(rows.num_rows, pa.string()))
        con.register(f"ev_{event_type}", rows)
    until = cut.occurred_until
    con.execute("SET VARIABLE cutoff = $value", {"value": until.date() if until else study.data_cutoff})
    _register(
        con,
        "planned_visits",
        {
            "visit_id": (pa.string(), [v.id for v in study.visits]),
            "label": (pa.string(), [v.label for v in study.visits]),
            "ordinal": (pa.int64(), [v.ordinal for v in study.visits]),
            "target_day": (pa.int64(), [v.day for v in study.visits]),
            "window_from": (pa.int64(), [v.window_from for v in study.visits]),
            "window_until": (pa.int64(), [v.window_until for v in study.visits]),
            "baseline": (pa.bool_(), [v.baseline for v in study.visits]),
        },
    )
    present = study.baseline_instruments
    _register(con, "baseline_instruments", {"instrument": (pa.string(), list(present))})
    items = [(i, it) for i in schema.instruments().values() for it in i.items]
    _register(
        con,
        "items",
        {
            "instrument": (pa.string(), [i.name for i, _ in items]),
            "item": (pa.string(), [it.code for _, it in items]),
            "complete": (pa.string(), [i.complete for i, _ in items]),
            "both_stand": (pa.bool_(), [i.both_stand for i, _ in items]),
            "optional": (pa.bool_(), [it.optional for _, it in items]),
            "codes": (pa.list_(pa.string()), [list(it.codes) for _, it in items]),
            "units": (pa.list_(pa.string()), [list(it.units) for _, it in items]),
            "never_again": (pa.list_(pa.string()), [list(it.never_again) for _, it in items]),
            "needs_range": (pa.bool_(), [it.needs_range for _, it in items]),
            "whole": (pa.bool_(), [it.integer for _, it in items]),
            "low": (schema.NUMBER, [it.range[0] if it.range else None for _, it in items]),
            "high": (schema.NUMBER, [it.range[1] if it.range else None for _, it in items]),
        },
    )
    con.register("queries", queries if queries is not None else no_queries())


def _no_events(event_type: str) -> pa.Table:
    fields = [*schema.event_arrow(event_type), pa.field("position", pa.int64())]
    return pa.schema(fields).empty_table()


def no_queries() -> pa.Table:
    """Return the empty table of doubts raised at landing."""
    return pa.table({n: pa.array([], pa.string()) for n in ("code", "reason", "event_id")})


def _versions(events: Mapping[str, pa.Table], replaced: set[str]) -> str:
    """Return the query of all event versions; content digests make the cut's digest.

    Args:
        events: rows by type.
        replaced: types of which some event may not be effective.
    """
    copied = ", ".join(n for n in schema.state()["events"].names if n not in _MADE)
    present = {t: rows for t, rows in events.items() if rows.num_rows} or {"retraction": _no_events("retraction")}
    read = {
        t: f"SELECT '{t}' AS event_type, coalesce(content, {content_sql(t, filled=filled(rows))}) AS content, {copied}"
        f" FROM ev_{t}"
        for t, rows in present.items()
    }
    parts = [f"SELECT *, true AS effective FROM ({q})" for t, q in read.items() if t not in replaced]
    asked = [q for t, q in read.items() if t in replaced]
    if asked:
        parts.append(f"""
            SELECT v.*, e.event_id IS NOT NULL AS effective FROM ({" UNION ALL ".join(asked)}) v
            LEFT JOIN (SELECT DISTINCT subject_id, event_id FROM effective_ids) e USING (subject_id, event_id)""")
    return " UNION ALL ".join(parts)


_MADE = {"event_type", "effective", "content", "study_id"}


def _until(study: StudyFile, cut: Cut) -> dt.datetime | None:
    """Return the bound in clinical time: the cut's, else the end of the study's data cut-off day."""
    if cut.occurred_until or not study.data_cutoff:
        return cut.occurred_until
    from zoneinfo import ZoneInfo

    day = study.data_cutoff + dt.timedelta(days=1)
    midnight = dt.datetime.combine(day, dt.time(), ZoneInfo(study.time_zone))
    return midnight.astimezone(dt.UTC) - dt.timedelta(microseconds=1)


def _register(con: duckdb.DuckDBPyConnection, name: str, columns: dict[str, tuple[pa.DataType, list[object]]]) -> None:
    con.register(name, pa.table({n: pa.array(v, t) for n, (t, v) in columns.items()}))


def _sorted(con: duckdb.DuckDBPyConnection, table: schema.Table, study_id: str, query: str) -> pa.Table:
    """Return the rows of a state table, made by `query`, by key; where keys are not unique, by everything else as well.

    Arrow sorts by key: DuckDB would hold all columns a second time to do so.
    """
    study = f"{literal(study_id)} AS study_id"
    columns = ", ".join(study if c == "study_id" else f'"{c}"' for c in table.names)
    query = f"SELECT {columns} FROM ({query})"
    key = [c for c in table.key if c != "study_id"]
    if not any(table[c].kind == "ids" for c in key):  # Arrow has no order of lists
        rows = engine.to_arrow(con, query).cast(table.arrow())
        rows = rows.take(pc.sort_indices(rows, sort_keys=[(c, "ascending") for c in key]))
        if not _double(rows.select(key)):
            return rows
    order = ", ".join(f'"{c}"' for c in (*key, *(c for c in table.names if c not in table.key)))
    return engine.to_arrow(con, f"{query} ORDER BY {order}").cast(table.arrow())


def _taken(con: duckdb.DuckDBPyConnection, table: schema.Table, study_id: str, query: str) -> pa.Table:
    """Return a state table; later steps read it from what is returned, so that it is held once."""
    rows = _sorted(con, table, study_id, query)
    con.register(table.name, rows)  # and stands before a table of that name
    return rows


def _double(keys: pa.Table) -> bool:
    """Whether a row of sorted keys may be the same as the next; nulls are not looked at."""
    same = pa.chunked_array([pa.repeat(pa.scalar(value=True), max(0, keys.num_rows - 1))])
    for column in keys.columns:
        equal = pc.equal(column.slice(0, len(same)), column.slice(1))
        same = pc.and_(same, pc.fill_null(equal, fill_value=True))
    return bool(pc.any(same).as_py())
