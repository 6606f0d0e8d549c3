"""REDCap: a project's raw export, checked against its data dictionary, and the mapping with it.

The export has one row for each record, event, repeating instrument and instance, a column `field___code` for each
box of a checkbox and `form_complete` for each form. The dictionary may be the one downloaded from the project or
the one of its API; they differ in the names of their columns only.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from enfold.errors import UsageError
from enfold.land import account, limits, readers
from enfold.land.mapping import Mapping
from enfold.land.mapping_check import VALUE, columns_of
from enfold.land.readers import ROW, Source
from enfold.land.redcap_dictionary import BOX, RAW, STRUCTURE, Field, choices, columns_of_export
from enfold.ledger import engine
from enfold.quoting import literal, quote

REPEATS = "redcap_repeat_instrument"


def read(path: Path, mapping: Mapping, dictionary: Path | None) -> Source:
    """Return the export as text; what the dictionary finds wrong with a row becomes one of its `faults`.

    Raises:
        UsageError: no dictionary or none that is one, a column that it does not know, a row twice, or a mapping that
            reads fields or choices that the project does not have, or passes over a choice that it has.
    """
    if dictionary is None:
        msg = f"mapping {mapping.name} reads a REDCap export, and no data dictionary was given"
        raise UsageError(msg, remedy="Give the project's data dictionary with --dictionary FILE.")
    book = readers.read(dictionary)
    source = readers.read(path)
    fields, record_id = columns_of_export(book, mapping.source.get("id"), mapping.missing)
    names = source.rows.column_names[:-1]
    unknown = [c for c in names if c not in fields]
    if unknown or record_id not in names:
        what = f"the columns {', '.join(unknown[:20])}" if unknown else f"no column `{record_id}`, the record's id"
        what = f"{what}, which the data dictionary {book.name} does not know" if unknown else what
        raise UsageError(f"{source.name}: {what}", remedy=RAW)
    _check_mapping(mapping, fields, book.name)
    rows = _written(source.rows, fields)
    con = engine.connect(threads=engine.cores())
    con.register("export", rows)
    _check_rows_once(con, source.name, [c for c in (record_id, *STRUCTURE[:3]) if c in names])
    faults = tuple(_faults(con, source.name, {n: fields[n] for n in names}, mapping))
    joined = (*source.joined, (book.name, book.digest, book.rows.num_rows))
    return replace(source, rows=rows, joined=joined, faults=faults)


def _check_mapping(mapping: Mapping, fields: dict[str, Field], book: str) -> None:
    """Check that what the mapping reads is in the project, and that it has a word for every choice."""
    for column in mapping.columns:
        _need(column in fields, mapping, f"reads `{column}`, which is no column of an export under {book}",
              "Correct the name; a checkbox has one column for each choice, `field___code`.")  # fmt: skip
    for name, labels in mapping.source.get("choices", {}).items():
        _need(name in fields and choices(labels) == fields[name].choices, mapping,
              f"[source.choices]: those of `{name}` are not those of {book}",
              "See what changed in the project, and whether the codes still mean what they did.")  # fmt: skip
    asked = [(f"rule `{r.name}`", r.when) for r in mapping.rules]
    for at, when in [*asked, *((f"[[ignore]] `{n}`", c) for n, c in mapping.ignore)]:
        for column, values in [*when.equals.items(), *when.differs.items()]:
            known = {*(fields[column].choices or values), *mapping.missing}
            _need(set(values) <= known, mapping, f"{at} asks `{column}` for a code that is no choice of it",
                  "Correct the code.")  # fmt: skip
    for rule in mapping.rules:
        for target, spec in rule.fields.items():
            if isinstance(spec, str) or "codes" not in spec or spec.get("part") == "missing":
                continue
            for column in rule.each if spec["column"] == VALUE else columns_of(spec):
                listed = fields[column].choices if column in fields else None
                if listed is not None:
                    have = {c.lower() if spec.get("lower") else c for c in listed}
                    at = f"rule `{rule.name}`, field `{target}`: `{column}`"
                    _check_codes(mapping, spec["codes"], have, at)


def _check_codes(mapping: Mapping, codes: dict[str, str], have: set[str], at: str) -> None:
    surplus = sorted(set(codes) - {"*", *mapping.missing} - have)
    _need(not surplus, mapping, f"{at}: `codes` names {', '.join(surplus)}, which is no choice", "Take it out.")
    left = sorted(have - set(codes))
    _need(not left or "*" in codes, mapping, f"{at}: `codes` has no word for the choices {', '.join(left)}",
          "Name every choice of the dictionary, or `*` for all others.")  # fmt: skip


def _need(fine: object, mapping: Mapping, what: str, remedy: str) -> None:
    if not fine:
        raise UsageError(f"mapping {mapping.name}: {what}", remedy=f"Nothing was landed. {remedy}")


def _written(rows: pa.Table, fields: dict[str, Field]) -> pa.Table:
    """Write dates with a time of day with a T, as ISO 8601 does, and decimal commas as points."""
    for place, name in enumerate(rows.column_names):
        for pattern, instead in fields.get(name, Field(None)).rewrite:
            rows = rows.set_column(place, name, pc.replace_substring_regex(rows.column(name), pattern, instead))
    return rows


def _check_rows_once(con: duckdb.DuckDBPyConnection, name: str, key: list[str]) -> None:
    columns = ", ".join(map(quote, key))
    twice = con.execute(
        f"SELECT max({ROW}) FROM export GROUP BY {columns} HAVING count(*) > 1 ORDER BY ALL LIMIT 1"
    ).fetchall()
    if twice:
        msg = f"{name}: row {twice[0][0]:,} has the {', '.join(key)} of another row"
        raise UsageError(msg, remedy="Nothing was landed. " + RAW)


def _faults(
    con: duckdb.DuckDBPyConnection, name: str, fields: dict[str, Field], mapping: Mapping
) -> Iterator[dict[str, Any]]:
    """Yield what is wrong with single values, by the dictionary."""
    found = {(c, *kind): sql for c, field in fields.items() for kind, sql in _checks(c, field, fields, mapping)}
    for column, code, reason, remedy in account.some(con, found, "export"):
        bad = found[column, code, reason, remedy]
        rows = con.execute(
            f"SELECT {ROW} FROM export WHERE {bad} ORDER BY {ROW} LIMIT {limits.MAX_REFUSALS + 1}"
        ).fetchall()
        if len(rows) > limits.MAX_REFUSALS:
            msg = f"{name}: `{column}` {reason} in more than {limits.MAX_REFUSALS:,} rows"
            raise UsageError(msg, remedy=remedy)
        for (row,) in rows:
            yield {"source_row": row, "column_name": column, "code": code, "reason": f"`{column}` {reason}",
                   "remedy": remedy}  # fmt: skip


def _checks(
    column: str, field: Field, fields: dict[str, Field], mapping: Mapping
) -> Iterator[tuple[tuple[str, str, str], str]]:
    """Yield code, reason and remedy of each check of a column, and the SQL that is true for bad rows.

    What a column that the mapping leaves out says does not matter; where it stands does.
    """
    value, missing, read = quote(column), mapping.missing, column in mapping.columns
    given = f"{value} IS NOT NULL AND {value} NOT IN ({_list(['', *missing])})"
    if field.choices is not None and read:
        kind = ("not_a_choice", "is no choice of the data dictionary", RAW)
        yield kind, f"{given} AND {value} NOT IN ({_list(field.choices)})"
    if field.shape is not None and read:
        remedy = "Correct it in REDCap, or declare the missing-data code as `missing` of [source]."
        kind = ("not_validated", "is not what its validation type asks for", remedy)
        yield kind, f"{given} AND NOT regexp_full_match({value}, {literal(field.shape)})"
    if field.form and REPEATS in fields:
        said = f"nullif({value}, '0')" if field.choices is BOX else value
        kind = ("other_instrument", "stands in a row of another repeating instrument", RAW)
        yield kind, f"{said} IS NOT NULL AND {REPEATS} <> {literal(field.form)}"
    if column == REPEATS:
        forms = sorted({f.form for f in fields.values() if f.form})
        kind = ("unknown_instrument", "is no form of the data dictionary", RAW)
        yield kind, f"{value} IS NOT NULL AND {value} NOT IN ({_list(['', *forms])})"


def _list(texts: Iterable[str]) -> str:
    return ", ".join(map(literal, texts))
