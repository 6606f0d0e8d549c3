"""Stage: source rows through a mapping into typed events, in DuckDB, all rows at once."""

from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from enfold.errors import ConflictError, UsageError
from enfold.land import account, check, limits, told, typed
from enfold.land.changes import staged_schema
from enfold.land.check import Check
from enfold.land.mapping import Mapping, Rule, rounded
from enfold.land.readers import ROW, Source
from enfold.land.rows import folded, rows_of
from enfold.ledger import engine
from enfold.quoting import literal, quote


@dataclass
class Staged:
    """What one source became, before it meets the ledger."""

    source: Source
    mapping: Mapping
    study_id: str
    events: dict[str, pa.Table] = field(default_factory=dict)
    refused: list[dict[str, Any]] = field(default_factory=list)
    mapped_rows: int = 0
    ignored: dict[str, int] = field(default_factory=dict)
    by_rule: dict[str, int] = field(default_factory=dict)  # rows that each rule takes
    ignored_columns: dict[str, list[str]] = field(default_factory=dict)  # by rule
    refused_ids: set[str] = field(default_factory=set)  # of refused rows, as far as their keys can be told
    unknown_refused: int = 0  # refused rows whose keys cannot be told
    unique: set[str] = field(default_factory=set)  # event types of which no two events have one id
    versions: dict[int, tuple[int, ...]] = field(default_factory=dict)  # rows of one record, by each of them


def stage(source: Source, mapping: Mapping, study_id: str, system: str | None) -> Staged:
    """Map, check and type every row; return events by type and the refusals.

    Raises:
        UsageError: a column that the mapping names is not in the file, or the mapping does not name one of the file's.
        ConflictError: two rows of the file have one natural key and different content.
    """
    absent = set(mapping.columns) - set(source.rows.column_names)
    missing = [] if mapping.sparse else sorted(absent - set(mapping.optional))
    if missing:
        msg = f"{source.name}: no column {', '.join(missing)}, which mapping {mapping.name} needs"
        raise UsageError(msg, remedy="Export the file with these columns, or extend the mapping.")
    rows = source.rows
    for column in sorted(absent):
        rows = rows.append_column(column, pa.nulls(rows.num_rows, pa.string()))
    con = engine.of_size(rows.num_rows)
    rows = folded(_rounded(con, rows, mapping))
    con.register("source", rows)
    staged = Staged(source, mapping, study_id)
    _classify(con, staged)
    account.columns(con, staged)
    account.values(con, staged)
    taken = [rows_of(con, staged, rule, rows, system) for rule in mapping.rules]
    for place, rule in enumerate(mapping.rules):
        con.register(f"rule{place}", taken[place])
        _check(con, staged, rule, f"rule{place}", taken[place])
    told.spread(con, staged)
    bad = sorted({r["source_row"] for r in staged.refused})
    con.register("bad", pa.table({ROW: pa.array(bad, pa.int64())}))
    _refused_ids(con, staged, len(mapping.rules))
    parts: dict[str, list[pa.Table]] = {}
    for rule, own in zip(mapping.rules, taken, strict=True):
        fit = own.filter(pc.invert(pc.is_in(own.column(ROW), value_set=pa.array(bad, pa.int64())))) if bad else own
        events = typed.events(rule.emits, fit, source.name) if own.num_rows else staged_schema(rule.emits).empty_table()
        parts.setdefault(rule.emits, []).append(events)
    staged.events = {t: _joined(t, p, mapping) for t, p in parts.items()}
    told.chain(con, staged)
    (gone,) = engine.one_row(con, f"SELECT count(*) FROM fate SEMI JOIN bad USING ({ROW}) WHERE mapped")
    staged.mapped_rows -= gone
    _refuse_ambiguous_keys(con, staged)
    return staged


def _rounded(con: duckdb.DuckDBPyConnection, rows: pa.Table, mapping: Mapping) -> pa.Table:
    """Return the rows with the columns of `digits` as the decimals that were meant."""
    for column in set(mapping.digits) & set(rows.column_names):
        con.register("given", rows.select([column]))
        short = con.sql(f"SELECT {rounded(quote(column), mapping.digits[column])} FROM given").to_arrow_table()
        con.unregister("given")
        rows = rows.set_column(rows.schema.get_field_index(column), column, short.column(0))
    return rows


def _joined(event_type: str, parts: list[pa.Table], mapping: Mapping) -> pa.Table:
    """Return the events of all rules; those of one rule stay folded unless their versions are still to be looked at."""
    if len(parts) == 1 and not told.tells(mapping):
        return parts[0]
    return pa.concat_tables([p.cast(staged_schema(event_type)) for p in parts])


def _refused_ids(con: duckdb.DuckDBPyConnection, staged: Staged, rules: int) -> None:
    """Note which keys were refused: a snapshot must not take them for vanished."""
    for place in range(rules):
        for (event_id,) in con.execute(f"SELECT event_id FROM rule{place} SEMI JOIN bad USING ({ROW})").fetchall():
            if event_id is None:
                staged.unknown_refused += 1
            else:
                staged.refused_ids.add(event_id)
    staged.unknown_refused += sum(r["code"] == "unmapped" for r in staged.refused)


def _classify(con: duckdb.DuckDBPyConnection, staged: Staged) -> None:
    """Count rows mapped and ignored by rule; refuse rows that nothing names."""
    mapping = staged.mapping
    any_rule = " OR ".join(f"({r.when.sql()})" for r in mapping.rules)
    cases = " ".join(f"WHEN {c.sql()} THEN {literal(n)}" for n, c in mapping.ignore)
    ignored = f"CASE {cases} END" if cases else "NULL"
    plain = f"SELECT {ROW}, ({any_rule or 'false'}) AS mapped, {ignored} AS ignored, false AS absent FROM source"
    versions = told.fate_sql(any_rule or "false", ignored)
    con.execute(f"CREATE TEMP TABLE fate AS {versions if told.tells(mapping) else plain}")
    (staged.mapped_rows,) = engine.one_row(con, "SELECT count(*) FROM fate WHERE mapped")
    staged.ignored = dict(
        con.execute(
            "SELECT ignored, count(*) FROM fate WHERE NOT mapped AND ignored IS NOT NULL"
            " GROUP BY ignored ORDER BY ignored"
        ).fetchall()
    )
    for (row,) in con.execute(f"SELECT {ROW} FROM fate WHERE NOT mapped AND ignored IS NULL ORDER BY {ROW}").fetchall():
        staged.refused.append(
            {
                "source_row": row,
                "column_name": None,
                "code": "unmapped",
                "reason": f"no rule of mapping {mapping.name} takes or ignores this row",
                "remedy": "Extend the mapping with a rule or a named `ignore`.",
            }
        )


def _check(con: duckdb.DuckDBPyConnection, staged: Staged, rule: Rule, name: str, rows: pa.Table) -> None:
    """Refuse rows that do not have the shape of an event; `rows` are registered as `name`."""
    staged.by_rule[rule.name] = rows.num_rows
    if rows.num_rows == 0:  # of a mapping for many forms most rules take nothing
        return
    failed = check.failures(con, rule.emits, name, rows)
    if staged.mapping.native and rows.column("event_id").null_count:
        bad = "event_id IS NULL AND supersedes IS NULL AND retracts IS NULL"
        remedy = "Fill the column `event_id`, or land through a mapping that declares a key."
        failed.append(Check("event_id", "missing", bad, "`event_id` is missing", remedy))
    if "study_id" in rule.fields:
        bad = f"study_id <> {literal(staged.study_id)}"
        failed.append(Check("study_id", "other_study", bad, "`study_id` is another study", "Land it in that study."))
    if not failed:
        return
    query = f"SELECT * FROM ({check.listing(failed, name)}) LIMIT {limits.MAX_REFUSALS + 1}"
    found = con.sql(query).to_arrow_table()
    if found.num_rows > limits.MAX_REFUSALS:
        msg = f"{staged.source.name}: more than {limits.MAX_REFUSALS} things are wrong with its records"
        remedy = f"Nothing was landed: it is likely not the file, or the mapping, that was meant. {_first(found)}"
        raise UsageError(msg, remedy=remedy)
    seen = set()
    for row in found.to_pylist():
        mark = (row["source_row"], row["column_name"], row["code"])
        if mark not in seen:
            seen.add(mark)
            staged.refused.append(row)
    staged.refused.sort(key=lambda r: (r["source_row"], r["column_name"] or "", r["code"]))


def _first(found: pa.Table) -> str:
    row = found.slice(0, 1).to_pylist()[0]
    return f"One of them: row {row['source_row']}, column {row['column_name']}: {row['reason']}."


def _refuse_ambiguous_keys(con: duckdb.DuckDBPyConnection, staged: Staged) -> None:
    for event_type, rows in staged.events.items():
        con.register("landed", rows)
        if engine.one_row(con, "SELECT count(DISTINCT event_id) = count(*) FROM landed")[0]:
            staged.unique.add(event_type)
            con.unregister("landed")
            continue
        clash = con.execute(f"""
            SELECT event_id, list_sort(list({ROW})) AS rows FROM landed GROUP BY event_id
            HAVING count(*) > 1 AND count(DISTINCT content) > 1 ORDER BY event_id
        """).fetchall()
        con.unregister("landed")
        if clash:
            msg = (
                f"{staged.source.name}: {len(clash)} event ids or natural keys stand for different"
                f" content; first: {clash[0][0]} in rows {', '.join(map(str, clash[0][1][:5]))}"
            )
            raise ConflictError(msg, remedy="Nothing was landed. Declare a key that is unique, or mend the file.")
