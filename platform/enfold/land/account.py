"""Nothing is dropped in silence: every column is read or left out by name; of a source of many forms, every value."""

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, TypeVar

import duckdb

from enfold.errors import UsageError
from enfold.land import told
from enfold.land.readers import ROW
from enfold.ledger import engine
from enfold.quoting import quote

if TYPE_CHECKING:
    from enfold.land.stage import Staged

Key = TypeVar("Key", bound=Hashable)
UNTICKED = "___"  # in the name of a REDCap checkbox
IDENTITY = {  # columns that say which row it is, by format of the source
    "redcap": {"redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance"},
    "odm": {*told.RECORD},
    "fhir-r4": {"resourceType", "id", "component"},
    "fhir-r5": {"resourceType", "id", "component"},
    "meds": set[str](),
}
HANDED_DOWN = ("SubjectData", "StudyEventData", "FormData", "ItemGroupData")  # of ODM, to each row below
IGNORED_ROWS = "only_in_rows_left_out"


def columns(con: duckdb.DuckDBPyConnection, staged: "Staged") -> None:
    """Note the columns that the mapping leaves out, by rule.

    Under a `[source]`, a column that only ignored rows fill is left out with them.

    Raises:
        UsageError: the mapping does not name a column.
    """
    source, mapping = staged.source, staged.mapping
    if mapping.native:
        return
    read = {ROW, *mapping.columns, *(told.TOLD if told.tells(mapping) else ())}
    fates = {c: mapping.leaves_out(c) for c in source.rows.column_names if c not in read}
    unnamed = [c for c, rule in fates.items() if rule is None]
    if unnamed and mapping.source:
        filled = some(con, {c: f"{quote(c)} IS NOT NULL AND {_fate('mapped OR ignored IS NULL')}" for c in unnamed})
        fates |= {c: IGNORED_ROWS for c in unnamed if c not in filled}
        unnamed = filled
    if unnamed:
        shown = ", ".join(unnamed[:20]) + (f" and {len(unnamed) - 20:,} more" if len(unnamed) > 20 else "")
        msg = f"{source.name}: mapping {mapping.name} neither uses nor ignores the column {shown}"
        remedy = "Nothing was landed. Extend the mapping with a field, or name the column in an [[ignore_columns]]."
        raise UsageError(msg, remedy=remedy)
    for column, rule in fates.items():
        staged.ignored_columns.setdefault(str(rule), []).append(column)


def values(con: duckdb.DuckDBPyConnection, staged: "Staged") -> None:
    """Refuse what the reader found wrong with single rows, and rows with a value that no rule reads.

    The latter under a `[source]` only, where a row may have any of many forms: there a column may be read in some
    rows and forgotten in others. A column that decides between rules was read wherever it stands; one that an
    `[[ignore_columns]]` names as well is left out where no rule reads it.
    """
    source, mapping = staged.source, staged.mapping
    ignored = {r for (r,) in con.execute(f"SELECT {ROW} FROM fate WHERE NOT mapped AND ignored IS NOT NULL").fetchall()}
    staged.refused += [f for f in source.faults if f["source_row"] not in ignored]
    if not mapping.source:
        return
    conditions = [*(r.when for r in mapping.rules), *(c for _, c in mapping.ignore)]
    beside = tuple(mapping.source.get("carry", ()))
    decides = set().union(IDENTITY[mapping.source["format"]], *(c.deciding for c in conditions))
    unread = {}
    for column in (c for c in mapping.columns if not c.startswith(HANDED_DOWN) and not mapping.leaves_out(c)):
        readers = [r.when.sql() for r in mapping.rules if column in r.columns]
        if column in source.rows.column_names and column not in {*decides, *beside} and "true" not in readers:
            # a box that nobody ticked is exported as 0, on forms that nobody opened too
            value = f"nullif({quote(column)}, '0')" if UNTICKED in column else quote(column)
            read = " OR ".join(f"({r})" for r in readers) or "false"
            unread[column] = f"{value} IS NOT NULL AND NOT ({read}) AND {_fate('mapped AND NOT absent')}"
    for column in some(con, unread):
        for (row,) in con.execute(f"SELECT {ROW} FROM source WHERE {unread[column]} ORDER BY {ROW}").fetchall():
            staged.refused.append(
                {
                    "source_row": row,
                    "column_name": column,
                    "code": "unread_value",
                    "reason": f"no rule of mapping {mapping.name} that takes this row reads this column",
                    "remedy": "Extend a rule, or leave the column or the row out by name.",
                }
            )


def some(con: duckdb.DuckDBPyConnection, conditions: Mapping[Key, str], table: str = "source") -> list[Key]:
    """Return the keys whose condition holds for at least one row of the table."""
    if not conditions:
        return []
    asked = ", ".join(f"coalesce(bool_or({c}), false)" for c in conditions.values())
    found = engine.one_row(con, f"SELECT {asked} FROM {table}")
    return [key for key, holds in zip(conditions, found, strict=True) if holds]


def _fate(what: str) -> str:
    return f"{ROW} IN (SELECT {ROW} FROM fate WHERE {what})"
