"""A part of a segment is read: the same rows, few others, and no octet that was not verified."""

import contextlib

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enfold.errors import IntegrityError
from enfold.ledger import reading, segments, storage
from enfold.ledger.ledger import Draft, Ledger
from enfold.ledger.pack import pack
from tests_support import table

SUBJECTS = 300


def land(ledger: Ledger, *names: str, of: range = range(SUBJECTS)) -> None:
    rows = [{"event_id": f"{n}-{s}", "subject_id": f"{s:03d}", "status": "held"} for n in names for s in of]
    ledger.append(lambda _: Draft({"visit": table("visit", rows)}), kind="landing", author="a", reason="r")


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    """Two commits in one segment of many row groups."""
    path = tmp_path_factory.mktemp("packed") / "ledger"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "ROW_GROUP", 100)
        made = Ledger.create(path)
        land(made, *(f"v{n}" for n in range(20)))
        land(made, "late", of=range(7, 8))
        pack(path)
    made = Ledger(path)
    (segment,) = made.segments
    assert len(segment.blocks) > 4
    return made


bounds = st.lists(st.integers(0, 1024), min_size=2, max_size=8, unique=True).map(sorted)
positions = st.integers(0, 2)
KINDS = st.sampled_from(["flip", "cut", "add"])


@settings(max_examples=60, deadline=None)
@given(bounds=bounds, after=positions, upto=positions)
def test_a_part_is_the_whole_filtered(packed: Ledger, bounds: list[int], after: int, upto: int) -> None:
    ranges = list(zip(bounds[::2], bounds[1::2], strict=False))
    rows, count = packed.read_counting("visit", slots=ranges, after=after, upto=upto)
    whole = packed.read("visit")
    wanted = pc.and_(pc.greater(whole.column("position"), after), pc.less_equal(whole.column("position"), upto))
    slots = {n for begin, end in ranges for n in range(begin, end)}
    inside = pc.and_(wanted, pc.is_in(whole.column("slot"), pa.array(sorted(slots), pa.int16())))
    assert rows.equals(whole.filter(inside))
    assert rows.num_rows <= count <= whole.num_rows


def test_a_part_keeps_nothing_of_the_rest_in_memory(packed: Ledger) -> None:
    slot = packed.read("visit").column("slot")[3_000].as_py()
    rows, count = packed.read_counting("visit", slots=[(slot, slot + 1)])
    assert 0 < rows.num_rows < count / 2
    assert rows.get_total_buffer_size() < rows.nbytes * 5 / 4


def test_one_subject_costs_a_row_group_or_two(packed: Ledger) -> None:
    whole = packed.read("visit")
    for slot in sorted(set(whole.column("slot").to_pylist()))[::10]:
        rows, count = packed.read_counting("visit", slots=[(slot, slot + 1)])
        assert 0 < rows.num_rows <= count <= 200 + rows.num_rows


def test_one_late_event_in_a_packed_ledger_costs_one_row_group(packed: Ledger) -> None:
    rows, count = packed.read_counting("visit", after=1)
    assert rows.column("event_id").to_pylist() == ["late-7"]
    assert count <= 100


@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, 10**6), bit=st.integers(0, 7), slot=st.integers(0, 1023), kind=KINDS)
def test_no_octet_that_is_not_verified_is_handed_out(
    packed: Ledger, tmp_path_factory: pytest.TempPathFactory, place: int, bit: int, slot: int, kind: str
) -> None:
    """Damage is found, or lies where nothing was read."""
    (segment,) = packed.segments
    octets = bytearray((packed.path / segment.path).read_bytes())
    place %= len(octets)
    if kind == "flip":
        octets[place] ^= 1 << bit
    elif kind == "cut":
        del octets[place:]
    else:
        octets += bytes([bit])
    root = tmp_path_factory.getbasetemp() / "damaged"
    (root / segment.path).parent.mkdir(parents=True, exist_ok=True)
    (root / segment.path).write_bytes(octets)
    block = place // storage.BLOCK
    asked = (root, segment, [(slot, slot + 1)], 0, 2)
    if kind != "flip" or block == len(segment.blocks) - 1:
        with pytest.raises(IntegrityError, match="SHA-256"):
            reading.read(*asked)
        return
    found = None
    with contextlib.suppress(IntegrityError):
        found, _ = reading.read(*asked)
    assert found is None or found.equals(reading.read(packed.path, *asked[1:])[0])


def test_many_small_commits_are_read_once_for_all_shards(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Ledger.create(tmp_path_factory.mktemp("many") / "ledger")
    for n in range(20):
        land(made, f"v{n}", of=range(n, SUBJECTS, 20))
    whole = Ledger(made.path).read("visit")
    opened = []
    real = storage.read_verified
    monkeypatch.setattr(storage, "read_verified", lambda path, *rest: opened.append(path) or real(path, *rest))
    counts = 0
    for begin in range(0, 1024, 128):
        rows, count = made.read_counting("visit", slots=[(begin, begin + 128)], after=3, upto=15)
        counts += count
        wanted = reading.of_positions(reading.of_slots(whole.sort_by("slot"), [(begin, begin + 128)]), 3, 15)
        assert sorted(rows.column("event_id").to_pylist()) == sorted(wanted.column("event_id").to_pylist())
    assert len(opened) == len(set(opened)) == 20
    assert counts == whole.num_rows == SUBJECTS
    assert reading.across(made.segments[:10]) == [], "few are not kept"
