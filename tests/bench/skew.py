"""One subject with 30 % of all events: `python tests/bench/skew.py [events …]`, part of `make bench`.

A cohort of copies of demo patients, and one of them with its assessments again and again. All of a subject's events are
in one shard, so what counts is the peak memory of the fold beside that of the same number of events without skew; the
digests must be those of another shard plan.
"""

import datetime as dt
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import cohort
import pyarrow.compute as pc

from enfold import schema
from enfold.ledger import engine
from enfold.ledger.ledger import Draft, Ledger
from enfold.run.run import run
from run import one, without_endpoints

SHARE = 0.3
AT = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)


def burden(where: Path, share: float) -> int:
    """Append assessments of one subject until it holds `share` of all events; returns how many it then has."""
    ledger = Ledger(where / "ledger")
    everything = sum(s.rows for s in ledger.segments)
    rows = ledger.read("assessment")
    subject = rows.column("subject_id")[0].as_py()
    con = engine.connect(threads=engine.cores())
    con.register("own", rows.filter(pc.equal(rows.column("subject_id"), subject)))
    (own,) = engine.one_row(con, "SELECT count(*) FROM own")
    copies = round(everything * share / (1 - share) / own)
    shape = schema.event_arrow("assessment")
    names = ", ".join(f'"{n}"' for n in shape.names if n not in {"event_id", "occasion_id"})
    more = con.sql(f"""
        SELECT md5(k || event_id)::UUID::VARCHAR AS event_id, md5(k || occasion_id)::UUID::VARCHAR AS occasion_id, {names}
        FROM own, range({copies}) copies(k)
    """).to_arrow_table()
    draft = Draft({"assessment": more.select(shape.names).cast(shape)})
    ledger.append(lambda _: draft, kind="landing", author="bench", reason="bench", now=lambda: AT)
    return int(own * (copies + 1))


def measure(root: Path, events: int) -> dict[str, Any]:
    """Fold as many events, once spread evenly and once with most of them in one subject."""
    even, most = root / "even", root / "skewed"
    cohort.enlarge(cohort.demo(root / "demo"), even, events)
    cohort.enlarge(root / "demo" / "demo", most, round(events * (1 - SHARE)))
    heaviest = burden(most, SHARE)
    found = {
        n: one("fold", without_endpoints(where, root / f"{n}-empty")) for n, where in (("even", even), ("skewed", most))
    }
    found["even"].pop("digests")
    again = run(root / "skewed-empty", again=True, rows_per_shard=20_000)
    assert found["skewed"].pop("digests") == {**again["digests"], "events": again["cut_digest"]}
    return {"events": events, "of one subject": heaviest, **found}


def main() -> None:
    """Measure and print."""
    for events in map(int, sys.argv[1:] or (1_000_000,)):
        root = Path(tempfile.mkdtemp(prefix="enfold-bench-"))
        try:
            print(json.dumps(measure(root, events), indent=1), flush=True)
        finally:
            shutil.rmtree(root)


if __name__ == "__main__":
    main()
