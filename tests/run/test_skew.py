"""One subject with a third of all events: its shard is worked alone and spills, and the results are the same."""

import datetime as dt
import threading
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from enfold import schema, study
from enfold.fold import fold as module
from enfold.fold.cut import Cut
from enfold.ledger import engine
from enfold.ledger.ledger import Draft, Ledger
from enfold.run import shard
from enfold.run.room import Room
from enfold.run.run import run

HEAVY = "DEMO-001"
COPIES = 30


@pytest.fixture
def skewed(demo_copy: Path) -> Path:
    """The demo study, with one subject's bedside readings landed again and again under ids of their own."""
    ledger = Ledger(demo_copy / "ledger")
    rows = ledger.read("assessment")
    own = pc.and_(pc.equal(rows.column("subject_id"), HEAVY), pc.equal(rows.column("instrument"), "VITAL_SIGNS"))
    con = engine.connect()
    con.register("own", rows.filter(own))
    shape = schema.event_arrow("assessment")
    names = ", ".join(f'"{n}"' for n in shape.names if n not in {"event_id", "occasion_id"})
    more = con.sql(f"""
        SELECT event_id || '-' || k AS event_id, occasion_id || '-' || k AS occasion_id, {names}
        FROM own, range({COPIES}) copies(k)
    """).to_arrow_table()
    draft = Draft({"assessment": more.select(shape.names).cast(shape)})
    at = dt.datetime(2026, 2, 1, tzinfo=dt.UTC)
    ledger.append(lambda _: draft, kind="landing", author="t", reason="t", now=lambda: at)
    return demo_copy


def test_the_same_digests_alone_and_with_little_memory(skewed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = ("cut_digest", "state_digest", "verdicts_digest")
    whole = run(skewed, again=True)
    monkeypatch.setattr(shard, "MEMORY", "60MB")
    monkeypatch.setattr(shard, "LESS", "60MB")
    parts = run(skewed, rows_per_shard=2_000, again=True)
    assert len(parts["shards"]) > 4 > len(whole["shards"])
    assert [parts[d] for d in digests] == [whole[d] for d in digests]


def test_a_fold_spills_and_what_cannot_be_spilled_is_folded_without_a_limit(
    skewed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(skewed / "ledger")
    cut, parsed = Cut(ledger.position), study.parse(ledger.study_text())
    events = shard.read_events(ledger, cut)
    heavy = pc.sum(pc.equal(events["assessment"].column("subject_id"), HEAVY)).as_py()
    assert heavy > 0.3 * sum(t.num_rows for t in events.values())
    whole = module.fold(events, parsed, cut)
    spilled: list[int] = []  # octets on disk at the end of each attempt
    real = module._folded

    def watched(con: duckdb.DuckDBPyConnection, *args: Any) -> dict[str, pa.Table]:
        spilled.append(0)
        state = real(con, *args)
        (spilled[-1],) = engine.one_row(con, "SELECT sum(temporary_storage_bytes) FROM duckdb_memory()")
        return state

    monkeypatch.setattr(module, "_folded", watched)
    for memory in ("60MB", "2MB"):
        again = module.fold(events, parsed, cut, memory=memory)
        assert all(again[name].equals(rows) for name, rows in whole.items())
    first, *others = spilled
    assert first > 0
    assert others == [0, 0]  # too little, then without a limit


def test_a_shard_larger_than_the_room_is_worked_alone() -> None:
    room, now, seen = Room(10), [0], []
    lock = threading.Lock()

    def hold(rows: int) -> None:
        with room.of(rows):
            with lock:
                now[0] += rows
            threading.Event().wait(0.01)
            with lock:
                seen.append((rows, now[0]))
                now[0] -= rows

    threads = [threading.Thread(target=hold, args=(rows,)) for rows in (4, 4, 50, 6, 4, 50, 4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(seen) == len(threads)
    assert all(together == rows if rows == 50 else together <= 10 for rows, together in seen)
