"""Append, read, verify; damage to any octet of any file is found."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enfold.errors import IntegrityError
from enfold.ledger import commits, segments, storage
from enfold.ledger.ledger import Draft, Ledger
from enfold.ledger.verify import verify
from tests_support import table


def land(ledger: Ledger, rows: pa.Table) -> None:
    ledger.append(lambda _: Draft({"visit": rows}), kind="landing", author="a", reason="r")


def visits(*ids: str) -> pa.Table:
    return table("visit", [{"event_id": i, "subject_id": i[:1], "status": "held"} for i in ids])


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    made = Ledger.create(tmp_path / "ledger")
    land(made, visits("a1", "b1", "c1"))
    land(made, visits("a2"))
    return made


def test_what_was_appended_is_read_and_verifies(ledger: Ledger) -> None:
    assert sorted(ledger.read("visit").column("event_id").to_pylist()) == ["a1", "a2", "b1", "c1"]
    assert sorted(ledger.read("visit", upto=1).column("event_id").to_pylist()) == ["a1", "b1", "c1"]
    found = verify(ledger.path)
    assert (found.commits, found.events) == (2, 4)


def test_slots_partition_the_rows(ledger: Ledger) -> None:
    parts = [ledger.read("visit", slots=[(s, s + 128)]).num_rows for s in range(0, 1024, 128)]
    assert sum(parts) == 4


def test_two_writers_both_land_in_dense_positions(ledger: Ledger) -> None:
    one, two = Ledger(ledger.path), Ledger(ledger.path)
    land(one, visits("d1"))
    land(two, visits("e1"))  # opened before `one` wrote: it loses the position and tries again
    after = Ledger(ledger.path)
    assert [c.position for c in after.commits] == [1, 2, 3, 4]
    assert after.read("visit").num_rows == 6
    verify(ledger.path)


def test_a_commit_cannot_be_taken_out_or_swapped(ledger: Ledger) -> None:
    first = ledger.path / "commits" / "000000000001.json"
    data = first.read_bytes()
    first.unlink()
    with pytest.raises(IntegrityError, match="missing"):
        Ledger(ledger.path)
    second = ledger.path / "commits" / "000000000002.json"
    first.write_bytes(second.read_bytes())
    with pytest.raises(IntegrityError, match="chain is broken"):
        Ledger(ledger.path)
    first.write_bytes(data)
    verify(ledger.path)


@settings(max_examples=150, deadline=None)
@given(which=st.integers(0, 10**6), place=st.integers(0, 10**6), bit=st.integers(0, 7), cut=st.booleans())
def test_every_flipped_bit_or_truncation_is_detected(
    which: int, place: int, bit: int, cut: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("rot")
    made = Ledger.create(root / "ledger")
    land(made, visits("a1", "b1"))
    files = sorted(p for p in (root / "ledger").rglob("*") if p.is_file() and p.name != ".lock")
    path = files[which % len(files)]
    octets = bytearray(path.read_bytes())
    if cut:
        del octets[place % len(octets) :]
    else:
        octets[place % len(octets)] ^= 1 << bit
    path.write_bytes(bytes(octets))
    with pytest.raises(IntegrityError):
        verify(root / "ledger")


def test_a_damaged_segment_never_reaches_an_engine(ledger: Ledger) -> None:
    path = next((ledger.path / "segments").rglob("*.parquet"))
    octets = bytearray(path.read_bytes())
    octets[len(octets) // 2] ^= 1
    path.write_bytes(bytes(octets))
    with pytest.raises(IntegrityError, match="SHA-256"):
        Ledger(ledger.path).read("visit")


def test_rewriting_rows_with_matching_digests_is_still_found(ledger: Ledger) -> None:
    stored = ledger.commits.stored[1]
    (segment,) = stored.segments
    rows = segments.decode((ledger.path / segment.path).read_bytes())
    rows = rows.set_column(rows.column_names.index("status"), rows.schema.field("status"), pa.array(["missed"]))
    octets = segments.encode(rows)
    (ledger.path / segment.path).write_bytes(octets)
    mended = replace(segment, sha256=storage.sha256(octets))
    _, data = commits.file_bytes(stored.commit, [mended])
    (ledger.path / "commits" / commits.commit_name(2)).write_bytes(data)
    assert Ledger(ledger.path).read("visit").num_rows == 4  # every file is what its commit says
    with pytest.raises(IntegrityError, match="content root differs"):
        verify(ledger.path)
