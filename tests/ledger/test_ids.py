"""The id index: it answers as a scan of all segments would, and damage never answers."""

import hashlib
import uuid
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enfold.errors import IntegrityError
from enfold.land.admit import admit
from enfold.land.changes import with_content
from enfold.ledger import ids
from enfold.ledger.ledger import Draft, Ledger
from enfold.ledger.pack import pack
from tests_support import table


def rows(names: list[str]) -> pa.Table:
    full = [{"event_id": n, "subject_id": n[:1], "status": "held", "source_row": i} for i, n in enumerate(names)]
    return table("visit", full)


def land(ledger: Ledger, names: list[str]) -> int:
    """Land through admission; return how many were new."""
    staged = with_content(rows(names), "visit")
    got = []

    def admission(now: Ledger) -> Draft:
        got.append(admit(now, staged))
        return Draft({"visit": got[-1].new})

    ledger.append(admission, kind="landing", author="a", reason="r")
    return got[-1].landed


@settings(max_examples=10, deadline=None)
@given(
    landings=st.lists(
        st.lists(st.from_regex("[a-h][0-9]", fullmatch=True), min_size=1, max_size=6), min_size=1, max_size=8
    ),
    packed=st.integers(0, 8),
)
def test_what_is_known_is_what_was_landed(
    landings: list[list[str]], packed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("ids")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ids, "INDEX_AFTER", 3)  # so that ranges are made and merged
        ledger = Ledger.create(root / "ledger")
        seen: set[str] = set()
        for n, names in enumerate(landings):
            assert land(ledger, names) == len(set(names) - seen)
            seen |= set(names)
            if n == packed:
                pack(root / "ledger")
            if n % 2:
                ledger = Ledger(root / "ledger")  # another process
        assert sorted(Ledger(root / "ledger").read("visit").column("event_id").to_pylist()) == sorted(seen)


@pytest.fixture
def indexed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setattr(ids, "INDEX_AFTER", 3)
    ledger = Ledger.create(tmp_path / "ledger")
    land(ledger, ["a1", "b1", "c1", "d1"])
    land(ledger, ["e1"])
    assert len(list((tmp_path / "ledger" / "index").glob("*.ids"))) == 1
    return ledger


def test_a_damaged_block_is_named_and_its_file_may_be_deleted(indexed: Ledger) -> None:
    (file,) = (indexed.path / "index").glob("*.ids")
    data = bytearray(file.read_bytes())
    data[-9] ^= 4
    file.write_bytes(bytes(data))
    again = Ledger(indexed.path)
    with pytest.raises(IntegrityError, match="damaged"):
        land(again, ["a1", "b1", "c1", "d1"])
    file.unlink()
    assert land(Ledger(indexed.path), ["a1", "b1", "c1", "d1", "f1"]) == 1


def test_an_index_with_a_damaged_head_or_of_another_chain_is_not_in_force(indexed: Ledger, tmp_path: Path) -> None:
    (file,) = (indexed.path / "index").glob("*.ids")
    whole = file.read_bytes()
    file.write_bytes(whole[:3] + b"?" + whole[4:])
    assert land(Ledger(indexed.path), ["a1", "g1"]) == 1
    assert not file.exists()  # the next index is in its place
    other = Ledger.create(tmp_path / "other")
    (tmp_path / "other" / "index").mkdir()
    (tmp_path / "other" / "index" / file.name).write_bytes(whole)
    assert land(other, ["a1"]) == 1


def test_an_index_of_an_older_format_is_made_anew(indexed: Ledger) -> None:
    (file,) = (indexed.path / "index").glob("*.ids")
    head, _, rest = file.read_bytes().split(b"\n", 2)
    line = head.replace(b'"format": 2, ', b"") + b"\n"
    assert line != head + b"\n"
    file.write_bytes(line + hashlib.sha256(line).hexdigest().encode() + b"\n" + rest)
    assert ids.ranges(indexed.path / "index", [s.hash for s in Ledger(indexed.path).commits.stored]) == []
    assert land(Ledger(indexed.path), ["a1", "b1", "e1", "g1"]) == 1


UUIDS = st.uuids().map(str) | st.uuids().map(lambda u: str(u).upper()) | st.text("0123456789abcdef-", max_size=36)


@given(st.lists(UUIDS | st.text(max_size=4), max_size=12, unique=True), st.integers(0, 3))
@settings(deadline=None)
def test_octets_stand_for_one_id(names: list[str], skip: int) -> None:
    """UUIDs by themselves, others by their SHA-256; which is which shows in the variant, so they never meet."""
    found = ids.keys(pa.chunked_array([names[:3], names[3:]], pa.string())[skip:]).to_pylist()
    assert len({*found}) == len(found) == len(names[skip:])
    for name, key in zip(names[skip:], found, strict=True):
        if key[8] >> 5 != 0b111:
            assert str(uuid.UUID(bytes=key)) == name
        else:
            made = hashlib.sha256(name.encode()).digest()
            assert (key[:8], key[8] & 31, key[9:]) == (made[:8], made[8] & 31, made[9:16])


def test_an_id_that_imitates_the_octets_of_another_is_another() -> None:
    digest = bytearray(hashlib.sha256(b"a1").digest()[:16])
    same = str(uuid.UUID(bytes=bytes(digest)))
    digest[8] |= 0b11100000
    marked = str(uuid.UUID(bytes=bytes(digest)))
    assert len({*ids.keys(pa.chunked_array([["a1", same, marked]])).to_pylist()}) == 3


def test_ranges_of_like_size_are_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "INDEX_AFTER", 2)
    ledger = Ledger.create(tmp_path / "ledger")
    for n in range(12):
        land(ledger, [f"a{n}", f"b{n}"])
    files = list((tmp_path / "ledger" / "index").glob("*.ids"))
    assert len(files) <= 3
    assert land(Ledger(tmp_path / "ledger"), [f"a{n}" for n in range(12)]) == 0


def test_ids_that_all_look_like_uuids_have_the_octets_that_they_have_among_others() -> None:
    """They are then looked at as one text; variant 111 is no UUID either way."""
    names = [str(uuid.UUID(bytes=hashlib.sha256(str(n).encode()).digest()[:16])) for n in range(200)]
    assert any(n[19] in "ef" for n in names)
    assert any(n[19] < "e" for n in names)
    among = ids.keys(pa.chunked_array([[*names, "another"]])).to_pylist()
    assert ids.keys(pa.chunked_array([names[:50], names[50:]])).to_pylist() == among[:-1]
    whole = pa.array(["before", *names])
    assert ids.keys(pa.chunked_array([whole.slice(1)])).to_pylist() == among[:-1]
    for other in (names[0].upper(), names[0].replace("-", "0"), names[0][:-1] + "g"):
        assert ids.keys(pa.chunked_array([[names[1], other]])).to_pylist()[1][8] >> 5 == 0b111
