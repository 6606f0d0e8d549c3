"""The rows of one rule: source rows as text in the fields of an event type, with ids where the source gives none.

A field that is a column of the source, or a constant, is taken as it is; DuckDB makes the others. Columns of few
distinct values are dictionaries, so that what follows looks at each value once.
"""

from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from enfold import schema
from enfold.land import told
from enfold.land.changes import NAMESPACE
from enfold.land.mapping import ENVELOPE_TARGETS, Rule, target_sql
from enfold.land.readers import ROW
from enfold.ledger.forms import fold
from enfold.quoting import literal, quote

if TYPE_CHECKING:
    from enfold.land.stage import Staged


def folded(rows: pa.Table) -> pa.Table:
    """Return rows with the text columns of few distinct values as dictionaries."""
    few = {n: fold(rows.column(n)) for n in rows.column_names if n != ROW}
    return pa.table({n: rows.column(n) if few.get(n) is None else few[n] for n in rows.column_names})


def constant(value: object, size: int) -> pa.DictionaryArray:
    """Return a column of one value."""
    return pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), size), pa.array([value]))


def rows_of(
    con: duckdb.DuckDBPyConnection, staged: "Staged", rule: Rule, source: pa.Table, system: str | None
) -> pa.Table:
    """Return the rows of `source` that a rule takes: each field of the event type as text, and `source_row`.

    Args:
        con: holds `source` and `fate`, and keeps the order of rows.
        staged: what is known of the source so far.
        rule: one of its mapping.
        source: the rows, folded.
        system: name of the source system.
    """
    fields = dict(told.FILLS if told.tells(staged.mapping) else {}) | rule.fields
    fields.setdefault("study_id", {"constant": staged.study_id})
    if system:
        fields.setdefault("source_system", {"constant": system})
    fields["schema_version"] = {"constant": "1"}
    targets = [*ENVELOPE_TARGETS, *schema.events()[rule.emits].names, "schema_version"]
    every = staged.mapped_rows == source.num_rows and rule.when.sql() == "true"
    if not every or rule.each or told.tells(staged.mapping):
        taken = f"SEMI JOIN (SELECT {ROW} FROM fate WHERE mapped AND NOT absent) USING ({ROW})"
        taken += "" if rule.each else f" WHERE {rule.when.sql()}"
        return folded(con.sql(_sql(staged, rule, fields, [*targets, ROW], taken)).to_arrow_table())
    ready = _ready(staged, rule, fields, targets, source)
    rest = [t for t in targets if t not in ready]
    if rest:
        made = folded(con.sql(_sql(staged, rule, fields, rest)).to_arrow_table())
        ready |= dict(zip(rest, made.columns, strict=True))
    return pa.table({**{t: ready[t] for t in targets}, ROW: source.column(ROW)})


def _ready(
    staged: "Staged", rule: Rule, fields: dict[str, Any], targets: list[str], source: pa.Table
) -> dict[str, pa.Array | pa.ChunkedArray]:
    """Return the fields that need no making: columns of the source, constants, and those that nothing fills."""
    empty = pa.nulls(source.num_rows, pa.string())
    out = {}
    for target in targets:
        spec = fields.get(target)
        if spec is None:
            out[target] = empty
        elif isinstance(spec, str) and not staged.mapping.missing:
            out[target] = source.column(spec)
        elif isinstance(spec, dict) and "constant" in spec:
            out[target] = constant(str(spec["constant"]), source.num_rows)
    made = [] if staged.mapping.native else ["event_id"]
    made += ["occasion_id"] if rule.emits == "assessment" else []
    return {t: c for t, c in out.items() if t not in made or c.null_count == 0}


def _sql(staged: "Staged", rule: Rule, fields: dict[str, Any], wanted: list[str], taken: str = "") -> str:
    """Return SQL for the fields `wanted` of the rows of `source`, or of those `taken`."""
    missing = staged.mapping.missing
    targets = [*ENVELOPE_TARGETS, *schema.events()[rule.emits].names, "schema_version"]
    filled = {t: target_sql(fields[t], missing) if t in fields else "NULL" for t in targets}
    columns = [f"CAST({sql} AS VARCHAR) AS {quote(t)}" for t, sql in filled.items()]
    key = [*rule.key] or ["NULL"]
    occasion = "occasion_id"
    if rule.emits == "assessment":  # a correction inherits the occasion of what it corrects
        made = _uuid5(staged.study_id, _occasion_key(rule))
        occasion = f"CASE WHEN occasion_id IS NULL AND supersedes IS NULL THEN {made} ELSE occasion_id END"
    event = _uuid5(staged.study_id, f"subject_id || '|{rule.emits}|{rule.name}|' || natural_key")
    return f"""
        SELECT {", ".join(map(quote, wanted))} FROM (
            SELECT * REPLACE (
                CASE WHEN event_id IS NOT NULL THEN event_id
                     WHEN supersedes IS NOT NULL OR retracts IS NOT NULL THEN NULL
                     WHEN natural_key IS NULL THEN NULL
                     ELSE {event} END AS event_id,
                {occasion} AS occasion_id)
            FROM (
                SELECT {", ".join(columns)}, {ROW}, {_key_sql(key)} AS natural_key,
                       {_key_sql(rule.occasion_key) if rule.occasion_key else "NULL"} AS occasion_natural
                FROM {rule.rows_sql()} {taken}))
    """


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
