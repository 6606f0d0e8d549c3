"""What a run costs after one new event: `python tests/bench/increment.py [events] [times]`, part of `make bench`.

A study of so many events (default one million) is landed, packed and run. Then, several times over, one new event of one
subject is landed and `enfold run` is called in a process of its own, which runs and serves. Counted are the rows of the
ledger that were read, seconds after start-up (the imports, which are measured beside), and CPU seconds of the process.
Right before each stands a yardstick, since machines differ, and one machine from hour to hour: DuckDB's answer, with all
threads, to the question of `alternatives.py` over a million events; its rows stay the same however large the study is.
At the end everything is worked and served anew, and must give the same digests and the same rows served.
"""

import datetime as dt
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import alternatives
import cohort
import pyarrow as pa
import pyarrow.parquet as pq

from enfold import schema
from enfold.ledger import pack
from enfold.ledger.ledger import Draft, Ledger
from enfold.serve import layers
from enfold.serve.build import current
from enfold.serve.study import connect

DIGESTS = ("cut_digest", "state_digest", "verdicts_digest", "digests", "rows")
QUERIES = {
    "one subject's verdicts": "SELECT * FROM verdicts WHERE subject_id = (SELECT max(subject_id) FROM subjects)",
    "adsl": "SELECT ARM, count(*) FROM adsl GROUP BY ALL",
    "responses": "SELECT alias, count(*) FILTER (any_visit) FROM responses GROUP BY ALL",
    "mean of findings": "SELECT instrument, item, avg(value_number) FROM findings GROUP BY ALL",
    "events by type": "SELECT event_type, count(*) FROM events WHERE effective GROUP BY ALL",
}


YARD = 1_000_000  # events of the yardstick

# `enfold run` with its imports made first, so that both can be measured
COMMAND = """
import sys, time
import enfold.run.pipeline, enfold.run.run, enfold.serve.build
from enfold.cli.main import command
sys.argv[1:] = ["run", *sys.argv[1:], "--json"]
ready, cpu = time.perf_counter(), time.process_time()
code = command()
print()
print(time.perf_counter() - ready, time.process_time() - cpu)
sys.exit(code)
"""


def command(study: Path, *options: str) -> dict[str, Any]:
    """Call `enfold run` in a process of its own."""
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, str(study), *options], capture_output=True, text=True, check=False
    )
    whole = time.perf_counter() - begin
    if done.returncode:
        raise SystemExit(done.stderr)
    *lines, last = done.stdout.splitlines()
    manifest = json.loads(next(line for line in lines if line.startswith("{")))
    seconds, cpu = map(float, last.split())
    return {
        "start_up": round(whole - seconds, 2),
        "seconds": round(seconds, 2),
        "cpu": round(cpu, 2),
        "run": manifest["seconds"],
        **{k: manifest[k] for k in ("rows_read", "stage_seconds", "peak_memory", *DIGESTS)},
        "shards": len(manifest["shards"]),
        "worked": len(manifest["worked"]),
    }


def land_one(study: Path, place: float) -> None:
    """Append one assessment of a subject that is there; `place` says which, from 0 to 1."""
    ledger = Ledger(study / "ledger")
    shape = schema.event_arrow("assessment")
    parts = [s for s in ledger.segments if s.event_type == "assessment" and s.rows > 1]
    rows = pq.read_table(ledger.path / parts[int(place * len(parts))].path, columns=shape.names)
    row = rows.slice(int(place * rows.num_rows), 1)
    one_more = pa.array([f"bench-{ledger.position}"])
    row = row.set_column(shape.get_field_index("event_id"), shape.field("event_id"), one_more)
    at = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    ledger.append(
        lambda _: Draft({"assessment": row.cast(shape)}), kind="landing", author="b", reason="b", now=lambda: at
    )


def served(study: Path) -> dict[str, Any]:
    """Return count and hash of the rows of each table that is served."""
    con = connect(current(study))
    names = [*schema.state(), *schema.results()]
    return {n: con.execute(f'SELECT count(*), bit_xor(hash(t)) FROM "{n}" t').fetchall() for n in names}


def queries(study: Path) -> dict[str, float]:
    """Return the best of five times of some queries, in seconds."""
    con = connect(current(study))
    out = {}
    for name, query in QUERIES.items():
        took = []
        for _ in range(5):
            begin = time.perf_counter()
            con.execute(query).fetchall()
            took.append(time.perf_counter() - begin)
        out[name] = round(min(took), 4)
    return out


def main() -> None:
    """Measure and print."""
    events = int(sys.argv[1]) if sys.argv[1:] else 1_000_000
    times = int(sys.argv[2]) if sys.argv[2:] else 5
    root = Path(tempfile.mkdtemp(prefix="enfold-bench-"))
    try:
        study = root / "study"
        small = cohort.demo(root / "small")
        count = cohort.enlarge(small, study, events)
        pack.pack(study / "ledger")
        cohort.enlarge(small, root / "million", YARD)
        alternatives.prepare(root / "million", root / "yard")
        first = command(study)
        print(json.dumps({"events": count, "first run": _without_digests(first)}, indent=1), flush=True)
        one_file = queries(study)
        for n in range(times):
            land_one(study, (n + 0.5) / times)
            yardstick = alternatives.one("duckdb", root / "yard")["seconds"]
            found = command(study)
            share = round(100 * found["rows_read"] / count, 3)
            ratio = {"yardstick": yardstick, "÷ yardstick": round(found["seconds"] / yardstick, 2)}
            print(
                json.dumps({"rows read, %": share, **ratio, **_without_digests(found)}, ensure_ascii=False), flush=True
            )
        print(json.dumps({"queries over one layer": one_file}))
        print(json.dumps({f"queries over {len(layers.of(current(study)))} layers": queries(study)}), flush=True)
        by_steps = served(study)
        again = command(study, "--again")
        assert {k: found[k] for k in DIGESTS} == {k: again[k] for k in DIGESTS}
        assert served(study) == by_steps
        print(json.dumps({"anew, the same digests and rows served": _without_digests(again)}, indent=1))
    finally:
        shutil.rmtree(root)


def _without_digests(found: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in found.items() if k not in DIGESTS}


if __name__ == "__main__":
    main()
