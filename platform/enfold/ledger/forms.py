"""The canonical form of many rows at once: equal to `canonical.form`, from Arrow columns.

Most columns of clinical data hold few distinct values, so the text of a value is made once for each of
them; a form is then a join of ready pieces.
"""

from collections.abc import Iterable

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from enfold.ledger import canonical, engine
from enfold.schema import Field

ROWS = 1 << 20  # at once: Arrow counts the octets of a string array in 31 bits


def forms(fields: Iterable[Field], rows: pa.Table, before: str = "") -> pa.ChunkedArray:
    """Return the canonical form of each row, preceded by `before`; columns that hold nothing add nothing."""
    have = canonical.filled(rows)
    asked = [f for f in fields if f.name in have]
    con = engine.scratch()
    chunks = [_joined(con, asked, rows.slice(at, ROWS), before) for at in range(0, rows.num_rows, ROWS)]
    return pa.chunked_array(chunks, pa.string())


def _joined(con: duckdb.DuckDBPyConnection, fields: list[Field], rows: pa.Table, before: str) -> pa.Array:
    pieces = [_ids(con, f, rows) if f.kind == "ids" else _pieces(con, f, rows) for f in fields]
    start = pa.repeat(pa.scalar(before), rows.num_rows)
    return pc.binary_join_element_wise(start, *pieces, "", null_handling="skip")


def _pieces(con: duckdb.DuckDBPyConnection, field: Field, rows: pa.Table) -> pa.Array:
    """Return each value's piece, made once for each distinct value; null stays null."""
    column = rows.column(field.name).combine_chunks()
    held = column.dictionary_encode()
    few = len(held.dictionary) < len(column) // 2
    values = held.dictionary if few else column
    if pa.types.is_string(values.type):
        size = pc.binary_length(values).cast(pa.string())
        pieces = pc.binary_join_element_wise(f"{field.name}=", size, ":", values, "")  # null if the value is
    else:
        con.register("held", pa.table({field.name: values}))
        made = con.sql(f"SELECT {canonical.form([field])} AS piece FROM held").to_arrow_table()
        pieces = made.column(0).combine_chunks()
    return pieces.take(held.indices) if few else pieces


def _ids(con: duckdb.DuckDBPyConnection, field: Field, rows: pa.Table) -> pa.Array:
    lists = rows.column(field.name).combine_chunks()
    if not is_sorted(lists):
        con.register("held", pa.table({"ids": lists}))
        lists = con.sql("SELECT list_sort(ids) AS ids FROM held").to_arrow_table().column(0).combine_chunks()
    held = lists.flatten().dictionary_encode()
    words = held.dictionary
    worded = pc.binary_join_element_wise(pc.binary_length(words).cast(pa.string()), words, ":")
    text = pc.binary_join(_relisted(lists, worded.take(held.indices)), "")
    size = pc.binary_length(text).cast(pa.string())
    return pc.binary_join_element_wise(f"{field.name}=", size, ":", text, "")  # null if the list is


def is_sorted(lists: pa.ListArray, *, distinct: bool = False) -> bool:
    """Whether the words of every list are in order of their octets; `distinct`: and none twice."""
    words, owner = lists.flatten(), pc.list_parent_indices(lists)
    if len(words) < 2:
        return True
    before = pc.less if distinct else pc.less_equal
    ordered = before(words.slice(0, len(words) - 1), words.slice(1))
    apart = pc.not_equal(owner.slice(0, len(owner) - 1), owner.slice(1))
    return bool(pc.all(pc.or_(ordered, apart)).as_py())


def _relisted(lists: pa.ListArray, words: pa.Array) -> pa.ListArray:
    """Return `words` in lists as long as those of `lists`."""
    sizes = pc.fill_null(pc.list_value_length(lists), 0)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(sizes).cast(pa.int32())])
    return pa.ListArray.from_arrays(offsets, words, mask=lists.is_null() if lists.null_count else None)
