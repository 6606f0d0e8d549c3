"""What a run costs: `python tests/bench/run.py [events …]`, part of `make bench`.

Ratios in one run on one machine, every variant in a process of its own, the digests compared first. The yardstick is
the fold's own SQL as one DuckDB over the whole log with all threads, which verifies nothing:

- `plain`: pyarrow reads every segment, one DuckDB folds in memory, the state is written as Parquet. Up to two million events.
- `disk`: DuckDB reads the segments, keeps its tables in a file and spills (on_disk.py). Given up after three times `fold`.
- `loop`: the shards of a run, worked by as many threads as there are cores, without Beam.
- `fold`: `enfold run` of a study file that asks for no endpoint: Beam, digests verified and made, files written.
- `never packed`: the same of the ledger as it was landed, a million events a commit; all others have it packed.
- `run`: `enfold run` of the demo's study file: derivations and all shipped endpoints as well.
- `serve`: the serving file of that run.
- `more`: one new event of one subject, then a run again, without starting the interpreter.
"""

import datetime as dt
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cohort
import on_disk
import pyarrow as pa
import pyarrow.parquet as pq

from enfold import schema, study
from enfold.cli.main import main as enfold
from enfold.fold.cut import Cut
from enfold.fold.fold import fold
from enfold.ledger import engine, pack
from enfold.ledger.ledger import Draft, Ledger
from enfold.run import pipeline  # noqa: F401  # Beam, before the clock starts
from enfold.run.digest import slot_digests, total
from enfold.run.plan import plan_shards
from enfold.run.run import run
from enfold.run.shard import Job, peak_memory, work
from enfold.serve.build import build

NO_ENDPOINTS = re.compile(
    r"\[+(endpoints|analysis_sets|estimands|report)[].].*?(?=\n\[|\Z)", re.S
)  # and what names them


def plain(where: Path) -> dict[str, str]:
    """Fold the whole log at once; returns the digest of each state table."""
    ledger = Ledger(where / "ledger")
    events = {
        t: pa.concat_tables(pq.read_table(ledger.path / s.path) for s in ledger.segments if s.event_type == t)
        for t in {s.event_type for s in ledger.segments}
    }
    engine.connect = functools.partial(engine.connect, engine.cores())  # type: ignore[assignment]
    state = fold(events, study.parse(ledger.study_text()), Cut(ledger.position))
    with tempfile.TemporaryDirectory() as folder:
        for name, rows in state.items():
            pq.write_table(rows, f"{folder}/{name}.parquet", compression="zstd")
    seconds = time.perf_counter() - BEGIN
    return {"seconds": seconds, **{n: total(slot_digests(schema.state()[n], t)) for n, t in state.items()}}  # type: ignore[dict-item]


def disk(where: Path) -> dict[str, Any]:
    """Fold the whole log at once, on disk; returns how many rows each state table has."""
    return {"rows": on_disk.fold(where)}


def loop(where: Path) -> dict[str, Any]:
    """Work the shards of a run without Beam."""
    ledger = Ledger(where / "ledger")
    target = where / "runs" / "loop"
    job = Job(str(where / "ledger"), str(target), Cut(ledger.position), ledger.study_text())
    with ThreadPoolExecutor(engine.cores()) as pool:
        assert all(pool.map(lambda s: work(job, s), plan_shards(ledger)))
    shutil.rmtree(target)
    return {}


def whole(where: Path) -> dict[str, Any]:
    """Run, every shard."""
    found = run(where, again=True)
    return {
        "digests": {**found["digests"], "events": found["cut_digest"]},
        "stages": found["stage_seconds"],
        "rows": {n: found["rows"][n] for n in schema.state()},
        "shards": len(found["shards"]),
    }


def serve(where: Path) -> dict[str, Any]:
    """Build the serving file."""
    name = json.loads((where / "runs" / "current.json").read_text())["run"]
    path = build(where, name)
    return {"octets": path.stat().st_size}


def more(where: Path) -> dict[str, Any]:
    """Run again after one event of one subject; its landing is not counted."""
    found = run(where)
    return {
        "rows_read": found["rows_read"],
        "worked": len(found["worked"]),
        "digests": {**found["digests"], "events": found["cut_digest"]},
    }


VARIANTS = {
    "plain": plain,
    "disk": disk,
    "loop": loop,
    "fold": whole,
    "run": whole,
    "serve": serve,
    "more": more,
    "again": whole,
}


def one(variant: str, where: Path, most: float | None = None) -> dict[str, Any]:
    """Measure a variant in a process of its own: seconds after imports, peak memory in MB; give it up after `most`."""
    words = [sys.executable, __file__, "--one", variant, str(where)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=most)
    except subprocess.TimeoutExpired:
        return {"seconds": most, "given up": True}
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def without_endpoints(where: Path, target: Path) -> Path:
    """Return a study of the same ledger whose study file asks for nothing."""
    shutil.copytree(where / "ledger", target / "ledger", copy_function=os.link)
    text = NO_ENDPOINTS.sub("", (where / "study.toml").read_text("utf-8"))
    (target / "study.toml").write_text(re.sub(r"plugins = \[.*?\]", "plugins = []", text, flags=re.S), "utf-8")
    assert enfold(["land", str(target), str(target / "study.toml"), "--author", "bench"]) == 0
    return target


def land_one(where: Path) -> None:
    """Append one assessment of one subject that is there."""
    ledger = Ledger(where / "ledger")
    shape = schema.event_arrow("assessment")
    part = next(s for s in ledger.segments if s.event_type == "assessment")
    row = pq.read_table(ledger.path / part.path).slice(0, 1).select(shape.names)
    row = row.set_column(shape.get_field_index("event_id"), shape.field("event_id"), pa.array(["bench-one-more"]))
    at = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    ledger.append(
        lambda _: Draft({"assessment": row.cast(shape)}), kind="landing", author="b", reason="b", now=lambda: at
    )


def measure(root: Path, events: int) -> dict[str, Any]:
    """Measure every variant at one size."""
    where = root / str(events)
    count = cohort.enlarge(cohort.demo(root / f"demo{events}"), where, events)
    empty = without_endpoints(where, root / f"{events}-empty")
    never_packed = one("fold", empty)
    for study_ in (empty, where):
        pack.pack(study_ / "ledger")
    found = {"fold": one("fold", empty), "never packed": never_packed, "loop": one("loop", empty)}
    assert never_packed.pop("digests") == found["fold"]["digests"]
    never_packed.pop("rows")
    found["disk"] = one("disk", empty, 3 * found["fold"]["seconds"])
    digests, rows = found["fold"].pop("digests"), found["fold"].pop("rows")
    assert found["disk"].pop("rows", rows) == rows
    if events <= 2_000_000:
        found["plain"] = one("plain", empty)
        for name in schema.state():
            assert found["plain"].pop(name) == digests[name], name
    found["run"] = one("run", where)
    found["serve"] = one("serve", where)
    for name in ("digests", "rows"):
        found["run"].pop(name)
    land_one(where)
    found["more"] = one("more", where)
    assert found["more"].pop("digests") == one("again", where)["digests"]
    ratios = {
        **{
            f"fold / {n}": found["fold"]["seconds"] / found[n]["seconds"]
            for n in ("plain", "disk", "loop", "never packed")
            if n in found
        },
        "run / fold": found["run"]["seconds"] / found["fold"]["seconds"],
        "rows read after one event, %": 100 * found["more"]["rows_read"] / count,
    }
    return {"events": count, "ratios": {k: round(v, 3) for k, v in ratios.items()}, **found}


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["--one"]:
        found = VARIANTS[sys.argv[2]](Path(sys.argv[3]))
        seconds = found.pop("seconds", time.perf_counter() - BEGIN)
        peak = peak_memory() / 1e6
        print(json.dumps({"seconds": round(seconds, 2), "peak_mb": round(peak), **found}))
        return
    root = Path(tempfile.mkdtemp(prefix="enfold-bench-"))
    try:
        for events in map(int, sys.argv[1:] or (10_000, 1_000_000)):
            print(json.dumps(measure(root, events), indent=1), flush=True)
    finally:
        shutil.rmtree(root)


BEGIN = time.perf_counter()
if __name__ == "__main__":
    main()
