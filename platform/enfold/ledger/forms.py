"""The canonical form of many rows at once: equal to `canonical.form`, from Arrow columns.

Most columns of clinical data hold few distinct values, so the text of a value is made once for each of
them; a form is then a join of ready pieces.
"""

from collections.abc import Iterable
from itertools import accumulate

import pyarrow as pa
import pyarrow.compute as pc

from enfold.ledger import canonical, engine
from enfold.schema import Field

ROWS = 1 << 20  # at once: Arrow counts the octets of a string array in 31 bits
SAMPLE = 1024  # rows whose values tell whether a column repeats itself


def forms(fields: Iterable[Field], rows: pa.Table, before: str = "") -> pa.ChunkedArray:
    """Return the canonical form of each row, preceded by `before`; columns that hold nothing add nothing."""
    have = canonical.filled(rows)
    asked = [f for f in fields if f.name in have]
    chunks = [_joined(asked, rows.slice(at, ROWS), before) for at in range(0, rows.num_rows, ROWS)]
    return pa.chunked_array(chunks, pa.string())


def _joined(fields: list[Field], rows: pa.Table, before: str) -> pa.Array:
    columns = {f.name: rows.column(f.name).combine_chunks() for f in fields}
    held = {f.name: _held(columns[f.name]) for f in fields if f.kind != "ids"}
    texts = _texts({f.name: f.kind for f in fields if f.kind != "ids"}, {n: values for n, (values, _) in held.items()})
    pieces = []
    for f in fields:
        text, places = (_words(columns[f.name]), None) if f.kind == "ids" else (texts[f.name], held[f.name][1])
        size = pc.binary_length(text).cast(pa.string())
        piece = pc.binary_join_element_wise(f"{f.name}=", size, ":", text, "")  # null if the value is
        pieces.append(piece if places is None else piece.take(places))
    start = pa.repeat(pa.scalar(before), rows.num_rows)
    return pc.binary_join_element_wise(start, *pieces, "", null_handling="skip")


def _held(column: pa.Array) -> tuple[pa.Array, pa.Array | None]:
    """Return the distinct values and where each row's stands among them; of many, the column itself."""
    if len(column) > SAMPLE and 2 * len(column.slice(0, SAMPLE).unique()) > SAMPLE:
        return column, None
    held = column.dictionary_encode()
    return (held.dictionary, held.indices) if 2 * len(held.dictionary) < len(column) else (column, None)


def _texts(kinds: dict[str, str], values: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """Return the canonical text of values by column; null stays null."""
    numbers = [n for n, kind in kinds.items() if kind == "number"]
    texts = dict(zip(numbers, _numbers([values[n] for n in numbers]), strict=True))
    for name in kinds.keys() - texts.keys():
        one = values[name].cast(pa.int64()) if kinds[name] == "instant" else values[name]
        texts[name] = one.cast(pa.string())
    return texts


def _numbers(columns: list[pa.Array]) -> list[pa.Array]:
    """Return the texts of decimals, all by one question: Arrow would write the small ones with an exponent."""
    if not columns:
        return []
    con = engine.scratch()
    con.register("held", pa.table({"v": pa.concat_arrays(columns)}))
    texts = con.sql(f"SELECT {canonical.TEXT['number'].format(c='v')} AS text FROM held").to_arrow_table()
    text = texts.column(0).combine_chunks()
    ends = list(accumulate(len(c) for c in columns))
    return [text.slice(end - len(c), len(c)) for c, end in zip(columns, ends, strict=True)]


def _words(lists: pa.ListArray) -> pa.Array:
    """Return the canonical text of lists of identifiers; null stays null."""
    if not is_sorted(lists):
        con = engine.scratch()
        con.register("held", pa.table({"ids": lists}))
        lists = con.sql("SELECT list_sort(ids) AS ids FROM held").to_arrow_table().column(0).combine_chunks()
    words, places = _held(lists.flatten())
    worded = pc.binary_join_element_wise(pc.binary_length(words).cast(pa.string()), words, ":")
    return pc.binary_join(_relisted(lists, worded if places is None else worded.take(places)), "")


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
