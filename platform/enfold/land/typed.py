"""Checked text becomes typed events, each with its content digest."""

import pyarrow as pa
import pyarrow.compute as pc

from enfold import schema
from enfold.land.changes import keep_folded, with_ids
from enfold.land.readers import ROW
from enfold.land.rows import constant
from enfold.ledger import engine, hashes
from enfold.quoting import quote
from enfold.schema import KINDS, Field


def events(event_type: str, rows: pa.Table, source: str) -> pa.Table:
    """Return checked rows as events: columns of Arrow types, ids and content digests; what was folded stays so.

    Args:
        event_type: what they are.
        rows: every field as text, perhaps as dictionaries, and `source_row`.
        source: name of the landed file.
    """
    columns = {}
    for field in [*schema.envelope().fields, *schema.events()[event_type].fields]:
        if field.name == "source_file":
            columns[field.name] = constant(source, rows.num_rows)
        else:
            columns[field.name] = rows.column(ROW) if field.name == ROW else _typed(field, rows.column(field.name))
    table = pa.table(columns)
    content = hashes.contents(event_type, table, threads=engine.cores())
    return keep_folded(with_ids(table.append_column("content", content)), event_type)


def sql(field: Field) -> str:
    """Return the SQL that turns checked text into the field's Arrow type."""
    name = quote(field.name)
    match field.kind:
        case "number":
            return f"CAST({name} AS DECIMAL(38, 9))"
        case "count":
            return f"CAST({name} AS BIGINT)"
        case "flag":
            return f"CASE lower({name}) WHEN 'true' THEN true WHEN 'false' THEN false END"
        case "instant":
            return f"CAST({name} AS TIMESTAMPTZ)"
        case "date":
            return f"CAST({name} AS DATE)"
        case "ids":
            return f"list_sort(list_distinct(string_split({name}, ' ')))"
        case _:
            return name


def _typed(field: Field, texts: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Return a column of the field's type; of a dictionary, each value is turned once."""
    kind = KINDS[field.kind]
    if texts.null_count == len(texts):
        return pa.nulls(len(texts), kind)
    if kind == pa.string():
        return texts
    held = _used(texts.combine_chunks()) if pa.types.is_dictionary(texts.type) else None
    con = engine.scratch()
    con.register("held", pa.table({field.name: texts if held is None else held.dictionary}))
    made = con.sql(f"SELECT {sql(field)} AS made FROM held").to_arrow_table().column(0).cast(kind)
    if held is None:
        return made
    values = made.combine_chunks()
    if field.kind == "ids":
        return values.take(held.indices)
    return pa.DictionaryArray.from_arrays(held.indices, values)


def _used(held: pa.DictionaryArray) -> pa.DictionaryArray:
    """Return a dictionary without values that no row has: those of refused rows were not found fit."""
    used = held.indices.unique().drop_null()
    if len(used) == len(held.dictionary):
        return held
    return pa.DictionaryArray.from_arrays(pc.index_in(held.indices, used), held.dictionary.take(used))
