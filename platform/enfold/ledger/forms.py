"""The canonical form of many rows at once: equal to `canonical.form`, from Arrow columns.

Most columns of clinical data hold few distinct values, and neighbouring columns go together: all items of a
form share subject, visit and time. So a text is made once for each distinct value, joined with its neighbours
once for each distinct combination, and a row's form is a join of few ready pieces.
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from enfold.ledger import canonical, engine
from enfold.schema import Field

ROWS = 1 << 18  # whose values are looked at together
AT_ONCE = 1 << 14  # joined at once
SAMPLE = 1024  # rows that tell whether a column holds few distinct values
WORDS = {"id", "code", "text", "when", "ids"}  # kinds whose texts are what Arrow holds, or made of it
FEW = 8  # combinations are few if rows are so many times more


@dataclass(frozen=True)
class Folded:
    """Texts, each held once, and for each row the place of its own; a null text adds nothing."""

    texts: pa.Array
    places: pa.Array

    def spread(self, begin: int, size: int) -> pa.Array | pa.Scalar:
        """Return the texts of some rows, or the one text of all."""
        return self.texts[0] if len(self.texts) == 1 else self.texts.take(self.places.slice(begin, size))


Piece: TypeAlias = Folded | pa.Array


def each(
    fields: Iterable[Field], rows: pa.Table, before: str = "", ready: Sequence[pa.Array | pa.ChunkedArray] = ()
) -> Iterator[pa.Array]:
    """Yield the canonical form of each row, preceded by `before` and by the row's `ready` texts.

    Columns that hold nothing add nothing; columns may be dictionaries. The forms come some after the other: what is
    used at once stays near the processor.
    """
    have = canonical.filled(rows)
    asked = [f for f in fields if f.name in have]
    for at in range(0, rows.num_rows, ROWS):
        some = rows.slice(at, ROWS)
        start = Folded(pa.array([before]), pa.repeat(pa.scalar(0, pa.int64()), some.num_rows))
        between = [_one(text.slice(at, ROWS)) for text in ready]
        pieces = _joinable([start, *between, *_pieces(asked, some)])
        for begin in range(0, some.num_rows, AT_ONCE):
            size = min(AT_ONCE, some.num_rows - begin)
            spread = [p.spread(begin, size) if isinstance(p, Folded) else p.slice(begin, size) for p in pieces]
            if not any(isinstance(p, pa.Array) for p in spread):
                spread.append(pa.repeat(pa.scalar(""), size))
            yield _joined(*spread)


def columns(fields: Iterable[Field], rows: pa.Table, order: pa.Array | None = None) -> Iterator[tuple[str, pa.Array]]:
    """Yield the name and the canonical texts of each column that holds anything; null stays null.

    One column is in hand at a time, and rows need not be copied to come in another `order`.
    """
    have = canonical.filled(rows)
    asked = [f for f in fields if f.name in have]
    numbers = _held([f for f in asked if f.kind == "number"], rows, WORDS)  # by one question
    for f in asked:
        text, few = numbers[f.name] if f.name in numbers else _held([f], rows, WORDS)[f.name]
        places = order if few is None else few.indices if order is None else few.indices.take(order)
        yield f.name, text if places is None else text.take(places)


def _joinable(pieces: Iterable[Piece]) -> list[Piece]:
    """Return the pieces, neighbours joined where they go together in few ways."""
    done: list[Piece] = []
    for piece in pieces:
        both = _both(done[-1], piece) if done and isinstance(done[-1], Folded) and isinstance(piece, Folded) else None
        done[-1 if both else len(done) :] = [both or piece]
    return done


def fold(column: pa.Array | pa.ChunkedArray) -> pa.DictionaryArray | None:
    """Return a column as a dictionary; None if it holds many distinct values."""
    if pa.types.is_dictionary(column.type):
        return _one(column)
    if len(column) > SAMPLE and 2 * len(column.slice(0, SAMPLE).unique()) > SAMPLE:
        return None
    held = _one(column.dictionary_encode())
    return held if 2 * len(held.dictionary) <= len(column) else None


def _one(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _both(one: Folded, other: Folded) -> Folded | None:
    """Return two neighbours as one, unless they go together in too many ways."""
    if len(other.texts) == 1:
        return Folded(_joined(one.texts, other.texts[0]), one.places)
    if len(one.texts) == 1:
        return Folded(_joined(one.texts[0], other.texts), other.places)
    width = pa.scalar(len(other.texts), pa.int64())
    pairs = pc.add(pc.multiply(one.places, width), other.places).dictionary_encode()
    if len(pairs.dictionary) > len(pairs) // FEW:
        return None
    left = pc.divide(pairs.dictionary, width)
    right = pc.subtract(pairs.dictionary, pc.multiply(left, width))
    return Folded(_joined(one.texts.take(left), other.texts.take(right)), pairs.indices.cast(pa.int64()))


def _joined(*texts: pa.Array | pa.Scalar) -> pa.Array:
    # not `skip`, which leaves out a row whose texts are all null
    return pc.binary_join_element_wise(*texts, "", null_handling="replace", null_replacement="")


def _pieces(fields: list[Field], rows: pa.Table) -> list[Piece]:
    """Return what each field adds to a form: its name, `=`, the length of its text, `:` and its text."""
    pieces: list[Piece] = []
    for name, (text, few) in _held(fields, rows, {"ids"}).items():
        size = pc.binary_length(text)
        if few is not None:
            heads = pc.binary_join_element_wise(f"{name}=", size.cast(pa.string()), ":", text, "")  # null if it is
            pieces.append(_folded(heads, few.indices))
        else:
            sizes = size.dictionary_encode()
            heads = pc.binary_join_element_wise(f"{name}=", sizes.dictionary.cast(pa.string()), ":", "")
            pieces += [_folded(heads, sizes.indices), text]
    return pieces


def _held(
    fields: list[Field], rows: pa.Table, as_they_are: Container[str]
) -> dict[str, tuple[pa.Array, pa.DictionaryArray | None]]:
    """Return the canonical texts of each column: of each distinct value, beside the dictionary that has their places.

    Of kinds in `as_they_are`, and of columns with many distinct values, of each row.
    """
    columns = {f.name: _one(rows.column(f.name)) for f in fields}
    held = {f.name: None if f.kind in as_they_are else fold(columns[f.name]) for f in fields}
    values = {n: columns[n] if h is None else h.dictionary for n, h in held.items()}
    return {n: (text, held[n]) for n, text in _texts({f.name: f.kind for f in fields}, values).items()}


def _folded(texts: pa.Array, places: pa.Array) -> Folded:
    if places.null_count:
        places = pc.fill_null(places, len(texts))
        texts = pa.concat_arrays([texts, pa.nulls(1, texts.type)])
    return Folded(texts, places.cast(pa.int64()))


def _texts(kinds: dict[str, str], values: dict[str, pa.Array]) -> dict[str, pa.Array]:
    """Return the canonical text of values by column, in the order of `kinds`; null stays null."""
    names = [n for n, kind in kinds.items() if kind == "number"]
    numbers = dict(zip(names, _numbers([values[n] for n in names]), strict=True))
    return {n: numbers[n] if n in numbers else _text(kind, values[n]) for n, kind in kinds.items()}


def _text(kind: str, values: pa.Array) -> pa.Array:
    if kind == "ids":
        return _words(values)
    return (values.cast(pa.int64()) if kind == "instant" else values).cast(pa.string())


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
    """Return the canonical text of lists of identifiers; null stays null.

    Words that stand after one another in memory are the text of their list already.
    """
    lists = in_order(lists)
    words = lists.flatten()
    if not len(words):
        return pc.if_else(lists.is_valid(), "", pa.scalar(None, pa.string()))
    sizes = pc.binary_length(words).dictionary_encode()
    heads = Folded(pc.binary_join_element_wise(sizes.dictionary.cast(pa.string()), ":", ""), sizes.indices)
    worded = _joined(heads.spread(0, len(words)), words)
    _, offsets, octets = worded.buffers()
    ends = pa.Array.from_buffers(pa.int32(), len(worded) + 1, [None, offsets])
    places = pc.cumulative_sum(pc.fill_null(pc.list_value_length(lists), 0))
    at = ends.take(pa.concat_arrays([pa.array([0], places.type), places]))
    texts = pa.StringArray.from_buffers(len(lists), at.buffers()[1], octets)
    return pc.if_else(lists.is_valid(), texts, pa.scalar(None, pa.string())) if lists.null_count else texts


def in_order(lists: pa.ListArray) -> pa.ListArray:
    """Return the lists with the words of each in order of their octets."""
    if is_sorted(lists):
        return lists
    con = engine.scratch()
    con.register("held", pa.table({"ids": lists}))
    return con.sql("SELECT list_sort(ids) AS ids FROM held").to_arrow_table().column(0).combine_chunks()


def is_sorted(lists: pa.ListArray, *, distinct: bool = False) -> bool:
    """Whether the words of every list are in order of their octets; `distinct`: and none twice."""
    words, owner = lists.flatten(), pc.list_parent_indices(lists)
    if len(words) < 2:
        return True
    before = pc.less if distinct else pc.less_equal
    ordered = before(words.slice(0, len(words) - 1), words.slice(1))
    apart = pc.not_equal(owner.slice(0, len(owner) - 1), owner.slice(1))
    return bool(pc.all(pc.or_(ordered, apart)).as_py())


def tidied(lists: pa.ListArray) -> pa.ListArray:
    """Return the words of every list in order of their octets, none twice; a list that is null stays so."""
    words = lists.flatten().dictionary_encode()
    order = pc.sort_indices(words.dictionary)
    many = max(1, len(order))
    ranks = pc.array_sort_indices(order).take(words.indices).cast(pa.int64())
    owners = pc.list_parent_indices(lists).cast(pa.int64())
    keys = pc.drop_null(pc.add(pc.multiply(owners, many), ranks))  # by list, and in it by word
    keys = keys.take(pc.array_sort_indices(keys))
    if len(keys) > 1:
        again = pc.equal(keys.slice(0, len(keys) - 1), keys.slice(1))
        keys = keys.filter(pc.invert(pa.concat_arrays([pa.array([False]), again])))
    owners = pc.divide(keys, many)
    found = words.dictionary.take(order.take(pc.subtract(keys, pc.multiply(owners, many))))
    counted = pc.value_counts(owners)
    sizes = counted.field("counts").take(pc.index_in(pa.arange(0, len(lists)), counted.field("values")))
    return _listed(sizes, found, lists)


def _listed(sizes: pa.Array, words: pa.Array, lists: pa.ListArray) -> pa.ListArray:
    """Return `words` in lists of these sizes; where `lists` is null, so is the list."""
    ends = pc.cumulative_sum(pc.fill_null(sizes, 0)).cast(pa.int32())
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends])
    offsets = pa.Array.from_buffers(pa.int32(), len(offsets), [None, offsets.buffers()[1]])  # none is null
    return pa.ListArray.from_arrays(offsets, words, mask=lists.is_null() if lists.null_count else None)
