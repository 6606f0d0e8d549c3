"""The pages of a Parquet column by their own headers: to how much text they can unfold, whatever the footer says.

A reader unpacks what a page's header says of its size, and nothing else. Values stand in a page as they are, or as
places in the column's dictionary, where few octets can stand for a long text a million times.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow as pa

MOST = 10_000  # pages of one column that are looked at
LARGEST = 8 << 20  # octets of a dictionary that is looked at; writers make them of one MiB
DATA, DICTIONARY, DATA_2 = 0, 2, 3  # types of pages
PLAIN, FOLDED = 0, {2, 8}  # encodings of pages: values themselves, places in the dictionary
CODECS = {"SNAPPY": "snappy", "GZIP": "gzip", "BROTLI": "brotli", "ZSTD": "zstd", "LZ4_RAW": "lz4_raw"}


class Unfolded(NamedTuple):
    """What a column's text comes to: octets that stand in the file as themselves, and at most from its dictionary."""

    plain: int
    folded: int


def unfolded(column: memoryview, codec: str) -> Unfolded | None:
    """Return what the text of one column chunk comes to; None if that cannot be told, or if all is folded.

    Args:
        column: octets of the chunk, from its first page on.
        codec: its compression, as Parquet names it.
    """
    plain = folded = 0
    dictionaries = []
    try:
        for count, (header, octets) in enumerate(_pages(column)):
            kind = header[1]
            own = header[{DATA: 5, DICTIONARY: 7, DATA_2: 8}[kind]]
            encoding = own[4 if kind == DATA_2 else 2]
            if kind == DICTIONARY:
                dictionaries.append((octets, header[2]))
            elif encoding == PLAIN:
                plain += max(header[2], len(octets))
            elif encoding in FOLDED:
                folded += own[1]
            if count == MOST or (encoding not in {PLAIN, *FOLDED} if kind != DICTIONARY else header[2] > LARGEST):
                return None
        if not plain:
            return None
        longest = max((_longest(_unpacked(octets, size, codec)) for octets, size in dictionaries), default=0)
    except (IndexError, KeyError, TypeError, ValueError, OSError, pa.ArrowException):
        return None
    return Unfolded(plain, folded * longest)


def _pages(column: memoryview) -> Iterator[tuple[dict[int, Any], memoryview]]:
    at = 0
    while at < len(column):
        header, at = _struct(column, at)
        until = at + header[3]
        if header[2] < 0 or not at <= until <= len(column):
            raise ValueError
        yield header, column[at:until]
        at = until


def _unpacked(octets: memoryview, size: int, codec: str) -> memoryview:
    if codec == "UNCOMPRESSED":
        return octets
    return memoryview(pa.decompress(octets, decompressed_size=size, codec=CODECS[codec]))


def _longest(values: memoryview) -> int:
    """Return the length of the longest of values that each stand after their length."""
    at = longest = 0
    while at < len(values):
        size = int.from_bytes(values[at : at + 4], "little")
        longest, at = max(longest, size), at + 4 + size
    return longest


def _struct(octets: memoryview, at: int, depth: int = 0) -> tuple[dict[int, Any], int]:
    """Return the numbers of a structure in Thrift's compact protocol by field, and where it ends."""
    found: dict[int, Any] = {}
    field = 0
    while (head := octets[at]) != 0:
        at, kind = at + 1, head & 15
        if head >> 4:
            field += head >> 4
        else:
            field, at = _number(octets, at)
        if kind in {4, 5, 6}:
            found[field], at = _number(octets, at)
        elif kind == 8:  # text: its length, not zigzag, then itself
            size, at = _varint(octets, at)
            at += size
        elif kind == 12 and depth < 3:
            found[field], at = _struct(octets, at, depth + 1)
        elif kind not in {1, 2}:  # true and false are kinds of their own; others have no place in a header
            raise ValueError
    return found, at + 1


def _number(octets: memoryview, at: int) -> tuple[int, int]:
    value, at = _varint(octets, at)
    return (value >> 1) ^ -(value & 1), at


def _varint(octets: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        octet = octets[at]
        value |= (octet & 127) << shift
        at, shift = at + 1, shift + 7
        if octet < 128:
            return value, at
        if shift > 63:
            raise ValueError
