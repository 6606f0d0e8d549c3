"""The shapes of texts: what they look like when digits, and letters, are not told apart.

A column of ids or times has as many values as rows, but few shapes. What asks only for kinds of characters, as most
structural checks do, gives one answer for all texts of a shape.
"""

import string

import pyarrow as pa

from enfold.ledger.forms import SAMPLE

KEPT = "TZ"  # stand for themselves in a date-time
LETTERS = "".join(c for c in string.ascii_letters if c not in KEPT)
SHAPE = bytes.maketrans((LETTERS + string.digits).encode(), b"a" * len(LETTERS) + b"0" * len(string.digits))


def shapes(column: pa.ChunkedArray) -> pa.Array | None:
    """Return the shapes of a column's texts, each once; None if there are many."""
    if len(column) > SAMPLE and 2 * len(_shaped(column.slice(0, SAMPLE)).unique()) > SAMPLE:
        return None
    return _shaped(column).unique()


def _shaped(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array(map(_one, column.chunks), pa.string())


def _one(texts: pa.StringArray) -> pa.StringArray:
    valid, offsets, octets = texts.buffers()
    made = pa.py_buffer(bytes(octets or b"").translate(SHAPE))
    return pa.Array.from_buffers(pa.string(), len(texts), [valid, offsets, made], offset=texts.offset)
