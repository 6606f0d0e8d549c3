"""What the ledger costs: `python tests/bench/ledger.py [events]`, part of `make bench`.

Ratios in one run on one machine, medians of several rounds that take turns, in seconds of the clock and of the
processor. The yardstick for landing is the least that any trustworthy store does: pyarrow reads the same Parquet
file and writes it back with page checksums and a SHA-256. Beside it stands the same written as our segments are, in
small row groups, and synced to the disk.
"""

import contextlib
import datetime as dt
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from statistics import median

import pyarrow as pa
import pyarrow.parquet as pq

from enfold import schema
from enfold.land import gate, mapping, readers
from enfold.land.landing import land
from enfold.land.protocol import land_study
from enfold.ledger import batch, engine, segments, storage
from enfold.ledger.ledger import Draft, Ledger
from enfold.run.shard import peak_memory

ROUNDS = 3
STUDY = 'plugins = []\n[study]\nid = "BENCH"\ntitle = "synthetic benchmark"\ntime_zone = "UTC"\n'


def assessments(events: int, subjects: int, first: int = 0) -> pa.Table:
    """Return synthetic assessments as a source would send them: long form, whole forms and laboratory panels, in no order.

    Ids are UUIDs, times have minutes and zone, every record has author, system and recorded time:
    what a real export holds, and what does not compress.
    """
    con = engine.connect(threads=2)
    items = ", ".join(f"'{c}'" for c in schema.instruments()["SLEDAI2K"].codes)
    return con.sql(f"""
        SELECT md5('e' || i)::UUID::VARCHAR AS event_id,
               'SITE-' || lpad((i // 24 % 40)::VARCHAR, 3, '0') || '-' || lpad((hash(i // 24) % {subjects})::VARCHAR, 6, '0')
                   AS subject_id,
               md5('o' || i // 24)::UUID::VARCHAR AS occasion_id, 'W' || (i // 24 % 13 * 4) AS visit_id,
               strftime(TIMESTAMP '2024-01-01' + to_minutes((hash(i // 24 + 1) % 1000000)::INTEGER), '%Y-%m-%dT%H:%M+01:00')
                   AS occurred,
               strftime(TIMESTAMP '2024-01-02' + to_seconds((hash(i // 24 + 1) % 60000000 + i % 24)::INTEGER),
                        '%Y-%m-%dT%H:%M:%SZ') AS recorded_at,
               'edc' AS source_system, 'investigator ' || (hash(i // 24 + 3) % 90) AS author,
               CASE WHEN i % 3 = 0 THEN 'LABORATORY' ELSE 'SLEDAI2K' END AS instrument,
               CASE WHEN i % 3 = 0 THEN 'C3' ELSE [{items}][i % 24 + 1] END AS item,
               CASE WHEN i % 3 <> 0 THEN CASE WHEN hash(i + 2) % 7 = 0 THEN 'present' ELSE 'absent' END END AS value_code,
               CASE WHEN i % 3 = 0 THEN ((hash(i + 4) % 9000)::DECIMAL(18, 2) / 100)::DECIMAL(18, 2)::VARCHAR END AS value_number,
               CASE WHEN i % 3 = 0 THEN 'g/L' END AS unit,
               CASE WHEN i % 3 = 0 THEN '0.9' END AS range_low, CASE WHEN i % 3 = 0 THEN '1.8' END AS range_high
        FROM range({first}, {first} + {events}) t(i)
    """).to_arrow_table()


def timed(what: Callable[[], object]) -> tuple[float, float]:
    """Return seconds of the clock and of the processor."""
    begin = time.perf_counter(), time.process_time()
    what()
    return time.perf_counter() - begin[0], time.process_time() - begin[1]


def yardstick(source: Path, target: Path) -> None:
    """Read a Parquet file and write it back with page checksums and SHA-256."""
    pq.write_table(pq.read_table(source), target, compression="zstd", write_page_checksum=True)
    storage.sha256(target.read_bytes())


def as_segment(source: Path, target: Path) -> None:
    """Do so in the row groups and encodings of our segments, and sync the file."""
    data = segments.encode(pq.read_table(source))
    storage.sha256(data)
    storage.replace(target, data)


@contextlib.contextmanager
def grouping_watched() -> Iterator[list[float]]:
    """Note the processor seconds of bringing rows into the order of slots: finding it, and moving the rows of each piece."""
    seconds: list[float] = []
    steps = {name: getattr(batch, name) for name in ("order", "placed")}

    def noted(step: Callable[..., pa.Table]) -> Callable[..., pa.Table]:
        def made(*args: object) -> pa.Table:
            begin = time.thread_time()
            rows = step(*args)
            seconds.append(time.thread_time() - begin)
            return rows

        return made

    try:
        for name, step in steps.items():
            setattr(batch, name, noted(step))
        yield seconds
    finally:
        for name, step in steps.items():
            setattr(batch, name, step)


def landing(root: Path, events: int) -> dict[str, float]:
    """Land `events` from one Parquet file; the suites of Great Expectations reported apart."""
    source = root / "assessment.parquet"
    pq.write_table(assessments(events, max(22, events // 400)), source)
    gates = [0.0, 0.0]
    whole = gate.validate

    def watched(event_type: str, rows: pa.Table) -> gate.Outcome:
        begin = time.perf_counter(), time.process_time()
        outcome = whole(event_type, rows)
        gates[:] = time.perf_counter() - begin[0], time.process_time() - begin[1]
        return outcome

    def land_all(study: Path) -> None:
        found = readers.read(source)
        native = mapping.native("assessment", found.rows.column_names)
        report = land(study, found, native, study_id="BENCH", author="bench", reason="bench")
        assert report.landed == events, report

    took: dict[str, list[tuple[float, float]]] = {
        n: [] for n in ("pyarrow", "as_segment", "landing", "suites", "grouping")
    }
    gate.validate = watched
    try:
        for n in range(ROUNDS):
            study = root / f"study{n}"
            Ledger.create(study / "ledger")
            (study / "study.toml").write_text(STUDY, "utf-8")
            land_study(study, study / "study.toml", author="bench", reason="bench")
            took["pyarrow"].append(timed(lambda: yardstick(source, root / "again.parquet")))
            took["as_segment"].append(timed(lambda: as_segment(source, root / "again.parquet")))
            with grouping_watched() as grouping:
                wall, cpu = timed(lambda s=study: land_all(s))
            took["landing"].append((wall - gates[0], cpu - gates[1]))
            took["suites"].append((gates[0], gates[1]))
            took["grouping"].append((sum(grouping), sum(grouping)))
            shutil.rmtree(study)
    finally:
        gate.validate = whole
    seconds = {n: median(wall for wall, _ in found) for n, found in took.items()}
    cpu = {n: median(own for _, own in found) for n, found in took.items()}
    return {
        "events": events, **{f"{n}_seconds": s for n, s in seconds.items()}, **{f"{n}_cpu": s for n, s in cpu.items()},
        **{f"ratio_to_{n}{what}": of["landing"] / of[n]
           for n in ("pyarrow", "as_segment") for what, of in (("", seconds), ("_cpu", cpu))},
        "peak_gigabytes": peak_memory() / 1e9,
    }  # fmt: skip


def many_commits(root: Path, commits: int, events: int) -> dict[str, float]:
    """Open a ledger of many commits, and land 100 events in it."""
    study = root / "study"
    ledger = Ledger.create(study / "ledger")
    (root / "study.toml").write_text(STUDY, "utf-8")
    land_study(study, root / "study.toml", author="bench", reason="bench")
    arrow = schema.event_arrow("assessment")
    size = events // commits
    rows = assessments(events, 2_500)
    for name in ("study_id", "schema_version"):
        value = pa.array(["BENCH"] * events) if name == "study_id" else pa.array([1] * events, pa.int64())
        rows = rows.append_column(name, value)
    full = pa.table({f.name: rows[f.name] if f.name in rows.column_names else pa.nulls(events, f.type) for f in arrow})
    full = full.cast(arrow)
    at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    begin = time.perf_counter()
    for n in range(commits):
        part = full.slice(n * size, size)
        ledger.append(
            lambda _, part=part: Draft({"assessment": part}), kind="landing", author="b", reason="b", now=lambda: at
        )
    made = time.perf_counter() - begin
    opening = min(timed(lambda: Ledger(study / "ledger"))[0] for _ in range(3))
    gate.validate("assessment", full.slice(0, 10))  # starting up: import the suites' library once
    times = []
    for n in range(3):
        source = readers.from_arrow(assessments(100, 22, first=10**9 + n * 100), "more")
        native = mapping.native("assessment", source.rows.column_names)
        times.append(timed(lambda s=source, m=native: land(study, s, m, study_id="BENCH", author="b", reason="b"))[0])
    return {
        "commits": commits, "events": events, "seconds_per_commit": made / commits, "open_seconds": opening,
        "land_100_seconds": sorted(times)[1],
    }  # fmt: skip


def main() -> None:
    """Measure and print."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    for measure, args in ((landing, (events,)), (many_commits, (max(10, events // 100), events))):
        root = Path(tempfile.mkdtemp(prefix="enfold-bench-"))
        try:
            found = measure(root, *args)
            print(measure.__name__, json.dumps({k: float(round(Decimal(v), 4)) for k, v in found.items()}))
        finally:
            shutil.rmtree(root)


if __name__ == "__main__":
    main()
