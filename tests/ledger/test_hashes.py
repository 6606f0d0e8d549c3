"""Digests of many events at once are those of one at a time, whichever way they were computed, in any order."""

import datetime as dt
import hashlib
import random
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enfold.ledger import batch, canonical, engine, hashes, merkle, segments
from tests_support import table

ROWS = [
    {
        "event_id": f"e{n}",
        "subject_id": f"0{n % 5}",
        "occurred": None if n % 7 == 0 else f"2026-01-0{n % 9 + 1}",
        "recorded_at": None if n % 4 == 0 else dt.datetime(2026, 1, 2, 3, 4, 5, n, tzinfo=dt.UTC),
        "source_file": "file é.csv",
        "source_row": n,
        "author": None if n % 3 else "somebody",
        "supersedes": ["b", "a"] if n % 11 == 0 else None,
        "instrument": "LABORATORY",
        "item": "C3",
        "value_number": Decimal(n) / 100,
        "not_done": [None, True, False][n % 3],
    }
    for n in range(400)
]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("folded", [True, False])
def test_contents_are_those_of_one_event_and_of_sql(
    threads: int, folded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashes.forms, "ROWS", 37)
    monkeypatch.setattr(hashes, "ROWS", 11)
    rows = table("assessment", ROWS)
    con = engine.scratch()
    con.register("rows", rows)
    by_sql = (
        con.sql(f"SELECT {canonical.content_sql('assessment')} AS d FROM rows").to_arrow_table().column(0).to_pylist()
    )
    if folded:
        kept = {"supersedes", "not_done"}
        rows = pa.table(
            {n: c if n in kept else c.dictionary_encode() for n, c in zip(rows.column_names, rows.columns, strict=True)}
        )
    found = hashes.contents("assessment", rows, threads).to_pylist()
    full = [{"study_id": "S", "schema_version": 1, **r} for r in ROWS]
    assert found == by_sql == [canonical.content_digest("assessment", r) for r in full]


def test_a_leaf_is_over_salt_content_and_the_rest_of_the_envelope() -> None:
    rows = table("assessment", ROWS)
    rows = batch.placed("assessment", rows, batch.order(rows), 9)
    leaves = merkle.leaves(canonical.shape("assessment"), rows).to_pylist()
    for found, row in zip(leaves, rows.to_pylist(), strict=True):
        since = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        if row["recorded_at"]:
            row["recorded_at"] = (row["recorded_at"] - since) // dt.timedelta(microseconds=1)
        names = [f.name for f in canonical.shape("assessment").envelope if not f.content and row[f.name] is not None]
        rest = "".join(f"{n}={canonical.piece(str(row[n]))}" for n in names)
        text = f"leaf:{row['salt'].hex().upper()}{canonical.content_digest('assessment', row)}{rest}"
        assert found == {"position": 9, "leaf": hashlib.sha256(text.encode()).digest()}


def test_rows_of_dictionaries_are_written_and_committed_to_as_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch.secrets, "token_bytes", bytes)
    rows = table("assessment", ROWS)
    plain = {"event_id", "source_row", "supersedes"}
    columns = {
        n: c.combine_chunks() if n in plain else c.combine_chunks().dictionary_encode()
        for n, c in zip(rows.column_names, rows.columns, strict=True)
    }
    twice = pa.array([n % 10 for n in range(len(ROWS))], pa.int32())  # each of five subjects has two places
    subjects = pa.array([f"0{n % 5}" for n in range(10)])
    columns["subject_id"] = pa.DictionaryArray.from_arrays(twice, subjects)
    assert columns["subject_id"].to_pylist() == rows.column("subject_id").to_pylist()
    put: list[pa.Table] = []
    for some in (rows, pa.table(columns)):
        (piece,) = batch.write("assessment", some, 9, lambda part: put.append(part) or put[-1])
        put[-1] = (put[-1], piece.leaves, piece.entries)
    (one, *of_one), (other, *of_other) = put
    assert one.schema.equals(other.schema)
    assert one.equals(other)
    assert of_one == of_other
    assert segments.encode(one) == segments.encode(other)


def test_both_ways_to_hash_and_many_threads_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes, "ROWS", 100)
    texts = ["", "a", "é" * 50, *map(str, range(3_000))]
    wanted = [hashlib.sha256(t.encode()).digest() for t in texts]
    some = pa.array(["before", *texts, "after"]).slice(1, len(texts))
    assert hashes.by_hashlib(some).to_pylist() == hashes.by_duckdb(some).to_pylist() == wanted
    asked: list[pa.Array] = []
    duckdb = hashes.by_duckdb
    monkeypatch.setattr(hashes, "by_duckdb", lambda t: asked.append(t) or duckdb(t))
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(hashes.each, [pa.chunked_array([some, some])] * 8):
            assert found.to_pylist() == wanted * 2
    with hashes._TURN:  # somebody else's turn
        assert hashes.each(pa.chunked_array([some])).to_pylist() == wanted
    assert asked
    assert hashes.each(pa.chunked_array([], pa.string())).to_pylist() == []
    with pytest.raises(ValueError, match="null"):
        hashes.each(pa.chunked_array([["a", None]]))


@pytest.mark.parametrize("size", [1, 3, 2_500])
def test_a_root_is_over_sorted_leaves_whatever_their_order(size: int) -> None:
    digests = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(size)]
    if size > 2:
        digests[1] = digests[0][:16] + digests[1][16:]  # one head, two digests
        digests[2] = digests[0]
    level = sorted(digests)
    while len(level) > 1:
        level = [
            hashlib.sha256(f"node:{''.join(level[i : i + 1024])}".encode()).hexdigest()
            for i in range(0, len(level), 1024)
        ]
    wanted = hashlib.sha256(f"root:{level[0]}".encode()).hexdigest()
    mixed = random.Random(size).sample(digests, size)
    leaves = pa.table(
        {
            "position": pa.array([7] * size + [3]),
            "leaf": pa.array(map(bytes.fromhex, [*mixed, digests[0]]), pa.binary(32)),
        }
    )
    found = merkle.roots([leaves.slice(0, size // 2), leaves.slice(size // 2)])
    assert found == {3: hashlib.sha256(f"root:{digests[0]}".encode()).hexdigest(), 7: wanted}
    assert merkle.roots([leaves.slice(0, size)]) == {7: wanted}


@given(
    st.lists(
        st.tuples(st.sampled_from("ST"), st.sampled_from(["1", "01", "é", "x" * 40]), st.none() | st.integers(0, 3)),
        max_size=20,
    )
)
@settings(deadline=None)
def test_order_is_by_slot_subject_and_row_of_the_source(keys: list[tuple[str, str, int | None]]) -> None:
    rows = table(
        "visit",
        [{"study_id": s, "subject_id": p, "event_id": "e", "status": "held", "source_row": n} for s, p, n in keys],
    )
    found = batch.order(rows)

    def rank(place: int) -> tuple[object, ...]:
        study, subject, line = keys[place]
        return canonical.slot(study, subject), subject.encode(), study, line is None, line or 0, place

    wanted = sorted(range(len(keys)), key=rank)
    assert found.to_pydict() == {"n": wanted, "slot": [canonical.slot(*keys[n][:2]) for n in wanted]}
