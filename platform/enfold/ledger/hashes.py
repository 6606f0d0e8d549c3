"""SHA-256 of many texts and events at once.

hashlib uses the processor's own instructions and takes half of DuckDB's time, but holds the interpreter: one
thread at a time can. So whichever thread comes first uses hashlib; others meanwhile ask DuckDB, which needs no
interpreter.
"""

import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc

from enfold.ledger import canonical, engine, forms
from enfold.ledger.canonical import Shape

DIGEST = pa.binary(32)
ROWS = 1 << 14  # at once
_TURN = threading.Lock()
_GIVE_WAY = 0.0002  # seconds until who hashes lets others have the interpreter; Python's own are 0.005


def contents(of: str | Shape, rows: pa.Table, threads: int = 1) -> pa.ChunkedArray:
    """Return the content digest of each event in hex; equal to `canonical.content_sql`.

    Args:
        of: event type, or its fields as some version of the schemas has them.
        rows: the events; columns may be dictionaries.
        threads: how many to use.
    """
    shape = canonical.shape(of) if isinstance(of, str) else of
    start = canonical.piece(shape.event_type)

    def one(at: int) -> list[pa.Array]:
        return [_hex(_some(texts)) for texts in forms.each(shape.content, rows.slice(at, forms.ROWS), start)]

    return pa.chunked_array([c for part in _map(one, rows.num_rows, threads) for c in part], pa.string())


def leaves(shape: Shape, rows: pa.Table, threads: int = 1) -> pa.ChunkedArray:
    """Return the Merkle leaf of each event: SHA-256 over its salt, content digest and the rest of its envelope.

    The salt makes the leaf a commitment: it proves the event to whoever has it, and tells nothing to
    whoever has the leaf alone, as after a redaction.

    Args:
        shape: the fields that the events were landed with.
        rows: with salt, and with `content` where it is known already.
        threads: how many to use.
    """
    rest = [f for f in shape.envelope if not f.content]
    known = "content" in rows.column_names and rows.column("content").null_count == 0

    def one(at: int) -> list[pa.Array]:
        some = rows.slice(at, forms.ROWS)
        salt = pc.ascii_upper(_hex(some.column("salt").combine_chunks()))
        ready = [salt, some.column("content") if known else contents(shape, some)]
        return [_some(texts) for texts in forms.each(rest, some, "leaf:", ready)]

    return pa.chunked_array([c for part in _map(one, rows.num_rows, threads) for c in part], DIGEST)


def each(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the SHA-256 of each text; none may be null."""
    if texts.null_count:
        msg = "a text to be hashed is null"
        raise ValueError(msg)
    parts = [c.slice(at, ROWS) for c in texts.chunks for at in range(0, len(c), ROWS)]
    return pa.chunked_array(map(_some, parts), DIGEST)


def heads(hexes: pa.ChunkedArray) -> pa.Array:
    """Return the first 16 octets of each digest in hex, as binary."""
    half = pc.binary_slice(hexes.cast(pa.binary()), 0, 32)
    return fixed(bytes.fromhex(b"".join(map(data, half.chunks)).decode()), 16)


def fixed(octets: bytes | bytearray | memoryview, width: int) -> pa.Array:
    """Return octets as an array of binary of a fixed width, without a copy."""
    return pa.Array.from_buffers(pa.binary(width), len(octets) // width, [None, pa.py_buffer(octets)])


def octets(found: pa.Array) -> memoryview:
    """Return the octets of an array of binary of a fixed width, without a copy."""
    width = found.type.byte_width
    return memoryview(found.buffers()[1] or b"")[width * found.offset : width * (found.offset + len(found))]


def data(texts: pa.Array) -> memoryview:
    """Return the octets of all texts, one after the other, without a copy."""
    _, offsets, whole = texts.buffers()
    if not len(texts) or whole is None:
        return memoryview(b"")
    places = memoryview(offsets).cast("i")
    return memoryview(whole)[places[texts.offset] : places[texts.offset + len(texts)]]


def by_hashlib(texts: pa.StringArray) -> pa.Array:
    """Return the SHA-256 of each text, by one Python call a text."""
    whole = data(texts)
    ends = memoryview(texts.buffers()[1]).cast("i")[texts.offset : texts.offset + len(texts) + 1].tolist()
    if ends[0]:
        ends = [end - ends[0] for end in ends]
    made = [sha256(whole[begin:end]).digest() for begin, end in pairwise(ends)]
    return fixed(b"".join(made), 32)


def by_duckdb(texts: pa.StringArray) -> pa.Array:
    """Return the SHA-256 of each text, by one query."""
    con = engine.scratch()
    con.register("texts", pa.table({"text": texts}))
    found = con.sql("SELECT unhex(sha256(text)) AS digest FROM texts").to_arrow_table().column(0)
    return found.combine_chunks().cast(DIGEST)


def _some(texts: pa.StringArray) -> pa.Array:
    if not _TURN.acquire(blocking=False):
        return by_duckdb(texts)
    # Between any two steps of Arrow a thread needs the interpreter for an instant. Beside one that hashes it would
    # wait five milliseconds for each: measured, making texts took 19 times as long so, and 2.4 times this way.
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, _GIVE_WAY))
    try:
        return by_hashlib(texts)
    finally:
        sys.setswitchinterval(before)
        _TURN.release()


def _hex(found: pa.Array) -> pa.Array:
    return fixed(octets(found).hex().encode(), 2 * found.type.byte_width).cast(pa.string())


def _map(one: Callable[[int], list[pa.Array]], size: int, threads: int) -> Iterable[list[pa.Array]]:
    places = range(0, size, forms.ROWS)
    if threads == 1 or len(places) < 2:
        return map(one, places)
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, places))
