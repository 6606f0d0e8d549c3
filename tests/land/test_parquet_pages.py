"""What a Parquet column can unfold to is read off its pages, and decides how it is read."""

import io
from functools import cache

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enfold.land import from_parquet
from enfold.land.parquet_pages import Unfolded, unfolded

ROWS = 90_000
TABLE = pa.table(
    {
        "distinct": [f"{n:040d}" for n in range(ROWS)],
        "few": ["word", "other", None] * (ROWS // 3),
        "gaps": [None if n % 2 else f"{n:099x}" for n in range(ROWS)],
        "long": ["x" * 100_000] + [f"{n:036x}" for n in range(ROWS - 1)],  # a dictionary that may unfold to 6 GB
    }
)


@cache
def written(**options: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(TABLE, sink, **options)
    return sink.getvalue()


def chunk(data: bytes, column: int) -> tuple[memoryview, str]:
    found = pq.ParquetFile(pa.BufferReader(data)).metadata.row_group(0).column(column)
    begin = min(found.data_page_offset, found.dictionary_page_offset or found.data_page_offset)
    return memoryview(data)[begin : begin + found.total_compressed_size], found.compression


@pytest.mark.parametrize("codec", ["NONE", "SNAPPY", "GZIP", "ZSTD", "LZ4", "BROTLI"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_distinct_text_is_read_as_it_is_and_repeated_text_folded(codec: str, version: str) -> None:
    data = written(compression=codec, data_page_version=version, write_page_checksum=True)
    table = from_parquet.read(data, "some.parquet")
    assert table.equals(TABLE) or pa.table({n: table[n].cast(pa.string()) for n in table.column_names}).equals(TABLE)
    folded = [n for n in table.column_names if pa.types.is_dictionary(table[n].type)]
    assert folded == ["few", "long"]


def test_octets_of_a_column_are_its_own_and_at_most_those_of_its_longest_value() -> None:
    for options in ({}, {"use_dictionary": False}, {"row_group_size": 50_000, "data_page_size": 4096}):
        data = written(**options)
        group = min(ROWS, int(options.get("row_group_size", ROWS)))
        found = unfolded(*chunk(data, 0))
        assert found is not None
        assert found.plain > 0
        assert 40 * group <= found.plain + found.folded <= 50 * group
    assert unfolded(*chunk(written(), 1)) is None  # all folded
    long = unfolded(*chunk(written(), 3))
    assert long is not None
    assert long.folded > 1 << 30


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_damage_is_an_answer_of_its_own(data: st.DataObject) -> None:
    column, codec = chunk(written(), 0)
    head = bytearray(column[:80])
    for _ in range(data.draw(st.integers(1, 4))):
        head[data.draw(st.integers(0, 79))] = data.draw(st.integers(0, 255))
    found = unfolded(memoryview(bytes(head) + bytes(column[80:])), codec)
    assert found is None or isinstance(found, Unfolded)


def test_a_dictionary_out_of_all_proportion_is_not_unpacked() -> None:
    page = bytes([0x15, 4, 0x15, *_number(2 << 30), 0x15, 0, 0x4C, 0x15, 2, 0x15, 0, 0, 0])
    assert unfolded(memoryview(page), "ZSTD") is None


def _number(value: int) -> list[int]:
    out, rest = [], value
    while rest > 127:
        out.append(rest & 127 | 128)
        rest >>= 7
    return [*out, rest]
