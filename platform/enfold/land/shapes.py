"""The shapes of texts: what they look like when some characters are not told apart.

A column of ids or times has as many values as rows, but few shapes. Most structural checks ask for kinds of characters
only: if a shape passes, so does every text of that shape.
"""

import string

import pyarrow as pa

from enfold.ledger.forms import SAMPLE

WORDS = bytes.maketrans((string.ascii_letters + string.digits).encode(), b"a" * 62)  # letters and digits are one
DIGITS = bytes.maketrans(string.digits.encode(), b"0" * 10)  # digits are


def shapes(column: pa.ChunkedArray, alike: bytes) -> pa.Array | None:
    """Return the shapes of a column's texts, each once; None if there are many.

    Args:
        column: of text.
        alike: `WORDS` or `DIGITS`.
    """
    if len(column) > SAMPLE and 2 * len(_shaped(column.slice(0, SAMPLE), alike).unique()) > SAMPLE:
        return None
    return _shaped(column, alike).unique()


def _shaped(column: pa.ChunkedArray, alike: bytes) -> pa.ChunkedArray:
    return pa.chunked_array([_one(c, alike) for c in column.chunks], pa.string())


def _one(texts: pa.StringArray, alike: bytes) -> pa.StringArray:
    texts = pa.concat_arrays([texts])  # its own octets, if it is a part of a longer one
    valid, offsets, octets = texts.buffers()
    made = pa.py_buffer(bytes(octets or b"").translate(alike))
    return pa.Array.from_buffers(pa.string(), len(texts), [valid, offsets, made], offset=texts.offset)
