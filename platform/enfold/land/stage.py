"""Stage: source rows through a mapping into typed events, in DuckDB, all rows at once."""

from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa

from enfold import schema
from enfold.errors import ConflictError, UsageError
from enfold.land import account, check, limits, told
from enfold.land.changes import NAMESPACE, staged_schema, with_ids
from enfold.land.mapping import ENVELOPE_TARGETS, Mapping, Rule, literal, quote, target_sql
from enfold.land.readers import ROW, Source
from enfold.ledger import engine
from enfold.ledger.canonical import content_sql


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
    con = engine.connect(threads=engine.cores())
    con.register("source", rows)
    staged = Staged(source, mapping, study_id)
    _classify(con, staged)
    account.columns(con, staged)
    account.values(con, staged)
    for place, rule in enumerate(mapping.rules):
        _stage_rule(con, staged, rule, f"rule{place}", study_id, system)
    told.spread(con, staged)
    bad = sorted({r["source_row"] for r in staged.refused})
    con.register("bad", pa.table({ROW: pa.array(bad, pa.int64())}))
    _refused_ids(con, staged, len(mapping.rules))
    parts: dict[str, list[pa.Table]] = {}
    for place, rule in enumerate(mapping.rules):
        some = staged.by_rule[rule.name] > 0
        rows = _typed(con, rule, f"rule{place}", source) if some else staged_schema(rule.emits).empty_table()
        parts.setdefault(rule.emits, []).append(rows)
    staged.events = {t: pa.concat_tables(p) for t, p in parts.items()}
    told.chain(con, staged)
    (gone,) = engine.one_row(con, f"SELECT count(*) FROM fate SEMI JOIN bad USING ({ROW}) WHERE mapped")
    staged.mapped_rows -= gone
    _refuse_ambiguous_keys(con, staged)
    return staged


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
    con.execute(f"CREATE TABLE fate AS {versions if told.tells(mapping) else plain}")
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


def _stage_rule(
    con: duckdb.DuckDBPyConnection,
    staged: Staged,
    rule: Rule,
    name: str,
    study_id: str,
    system: str | None,
) -> None:
    fields = dict(told.FILLS if told.tells(staged.mapping) else {}) | rule.fields
    fields.setdefault("study_id", {"constant": study_id})
    if system:
        fields.setdefault("source_system", {"constant": system})
    targets = [*ENVELOPE_TARGETS, *schema.events()[rule.emits].names]
    missing = staged.mapping.missing
    filled = {t: target_sql(fields[t], missing) if t in fields else "NULL" for t in targets}
    columns = [f"CAST({sql} AS VARCHAR) AS {quote(t)}" for t, sql in filled.items()]
    key = [*rule.key] or ["NULL"]
    occasion = "occasion_id"
    if rule.emits == "assessment":  # a correction inherits the occasion of what it corrects
        made = _uuid5(study_id, _occasion_key(rule))
        occasion = f"CASE WHEN occasion_id IS NULL AND supersedes IS NULL THEN {made} ELSE occasion_id END"
    con.execute(f"""
        CREATE TABLE {name} AS
        SELECT * REPLACE (
            CASE WHEN event_id IS NOT NULL THEN event_id
                 WHEN supersedes IS NOT NULL OR retracts IS NOT NULL THEN NULL
                 WHEN natural_key IS NULL THEN NULL
                 ELSE {_uuid5(study_id, f"subject_id || '|{rule.emits}|{rule.name}|' || natural_key")} END AS event_id,
            {occasion} AS occasion_id)
        FROM (
            SELECT {", ".join(columns)},
                   '1' AS schema_version, {ROW}, {_key_sql(key)} AS natural_key,
                   {_key_sql(rule.occasion_key) if rule.occasion_key else "NULL"} AS occasion_natural
            FROM {rule.rows_sql()} SEMI JOIN (SELECT {ROW} FROM fate WHERE mapped AND NOT absent) USING ({ROW})
            WHERE {rule.when.sql()})
    """)
    (staged.by_rule[rule.name],) = engine.one_row(con, f"SELECT count(*) FROM {name}")
    if staged.by_rule[rule.name] == 0:  # of a mapping for many forms most rules take nothing
        return
    extra = ""
    if staged.mapping.native:
        bad = "event_id IS NULL AND supersedes IS NULL AND retracts IS NULL"
        extra = (
            f" UNION ALL SELECT {ROW}, 'event_id', 'missing', '`event_id` is missing',"
            f" 'Fill the column `event_id`, or land through a mapping that declares a key.'"
            f" FROM {name} WHERE {bad}"
        )
    if "study_id" in rule.fields:
        extra += (
            f" UNION ALL SELECT {ROW}, 'study_id', 'other_study', '`study_id` is another study',"
            f" 'Land it in that study.' FROM {name} WHERE study_id <> {literal(study_id)}"
        )
    query = check.failures(con, rule.emits, name, {*fields, "occasion_id"}) + extra
    seen = set()
    found = con.sql(f"SELECT * FROM ({query}) LIMIT {limits.MAX_REFUSALS + 1}").to_arrow_table()
    if found.num_rows > limits.MAX_REFUSALS:
        msg = f"{staged.source.name}: more than {limits.MAX_REFUSALS} things are wrong with its records"
        remedy = f"Nothing was landed: it is likely not the file, or the mapping, that was meant. {_first(found)}"
        raise UsageError(msg, remedy=remedy)
    for row in found.to_pylist():
        mark = (row["source_row"], row["column_name"], row["code"])
        if mark not in seen:
            seen.add(mark)
            staged.refused.append(row)
    staged.refused.sort(key=lambda r: (r["source_row"], r["column_name"] or "", r["code"]))


def _first(found: pa.Table) -> str:
    row = found.slice(0, 1).to_pylist()[0]
    return f"One of them: row {row['source_row']}, column {row['column_name']}: {row['reason']}."


def _typed(con: duckdb.DuckDBPyConnection, rule: Rule, name: str, source: Source) -> pa.Table:
    columns = []
    for f in [*schema.envelope().fields, *schema.events()[rule.emits].fields]:
        if f.name == "source_file":
            columns.append(f"{literal(source.name)} AS source_file")
        elif f.name == "source_row":
            columns.append(ROW)
        else:
            columns.append(f"{check.typed(f)} AS {quote(f.name)}")
    shown = [f.name for f in [*schema.envelope().fields, *schema.events()[rule.emits].fields]]
    filled = {*rule.fields, "study_id", "source_system", "occasion_id", "schema_version"}
    table = con.sql(f"""
        SELECT {", ".join(map(quote, shown))}, {content_sql(rule.emits, filled=filled)} AS content
        FROM (SELECT {", ".join(columns)} FROM {name} ANTI JOIN bad USING ({ROW}))
    """).to_arrow_table()
    return with_ids(table).cast(staged_schema(rule.emits))


def _refuse_ambiguous_keys(con: duckdb.DuckDBPyConnection, staged: Staged) -> None:
    for rows in staged.events.values():
        con.register("landed", rows)
        if engine.one_row(con, "SELECT count(DISTINCT event_id) = count(*) FROM landed")[0]:
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


def _occasion_key(rule: Rule) -> str:
    if rule.occasion_key:
        return "subject_id || '|occasion|' || instrument || '|' || occasion_natural"
    return (
        "subject_id || '|occasion|' || instrument || '|' || coalesce(visit_id, '~') || '|' || coalesce(occurred, '~')"
    )


def _key_sql(columns: tuple[str, ...] | list[str]) -> str:
    if list(columns) == ["NULL"]:
        return "NULL"
    return " || ".join(f"coalesce(strlen({quote(c)}) || ':' || {quote(c)}, '~')" for c in columns)


def _uuid5(study_id: str, name_sql: str) -> str:
    """Return SQL for the UUIDv5 of `study|name` in enfold's namespace."""
    space = NAMESPACE.hex
    digest = f"sha1(from_hex('{space}') || encode({literal(study_id + '|')} || {name_sql}))"
    h = f"({digest})"
    variant = f"substr('89ab', ((('0x' || substr({h}, 17, 1))::INTEGER & 3) + 1), 1)"
    return (
        f"substr({h}, 1, 8) || '-' || substr({h}, 9, 4) || '-5' || substr({h}, 14, 3) || '-' ||"
        f" {variant} || substr({h}, 18, 3) || '-' || substr({h}, 21, 12)"
    )
