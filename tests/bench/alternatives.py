"""What a user would pick instead: `python tests/bench/alternatives.py [events …]`, part of `make bench`.

One question that every fold answers, in five engines, the answers compared row by row: which version of each numeric
finding stands, which one counts for each planned visit (nearest to the target day, then the earlier, then by id), what was
the last one before treatment, and the change from it. Input is Parquet in every case:

- `design`: enfold's way in small. Beam over descriptors of files by slot, SHA-256 verified, DuckDB with one thread inside.
- `duckdb`: the same SQL over all files with all threads. `polars`, `pandas`: the same steps in their own words.
- `elements`: Beam with one dict an event and GroupByKey, as Beam's own tutorials do it.
"""

import hashlib
import importlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cohort
import pyarrow as pa
import pyarrow.parquet as pq

from enfold.ledger import engine
from enfold.ledger.ledger import Ledger
from enfold.run.plan import plan_shards
from enfold.run.shard import peak_memory

VISITS = [("W4", 28, 1, 42), ("W8", 56, 42, 70), ("W12", 84, 70, 126), ("W24", 168, 126, 210)]  # target, from, until
COLUMNS = ["subject_id", "visit", "item", "event_id", "value", "baseline", "change"]
SHAPE = pa.schema([(c, pa.int64() if c in ("value", "baseline", "change") else pa.string()) for c in COLUMNS])
SQL = """
    WITH gone AS (
        SELECT unnest(supersedes) AS event_id FROM events WHERE supersedes IS NOT NULL
        UNION SELECT retracts FROM events WHERE retracts IS NOT NULL),
    stands AS (
        SELECT subject_id, item, event_id, value, day - infusion AS day
        FROM events ANTI JOIN gone USING (event_id) JOIN infused USING (subject_id) WHERE value IS NOT NULL),
    baseline AS (
        SELECT subject_id, item, value AS baseline FROM stands WHERE day < 0
        QUALIFY row_number() OVER (PARTITION BY subject_id, item ORDER BY day DESC, event_id) = 1),
    chosen AS (
        SELECT subject_id, v.visit, item, event_id, value
        FROM stands JOIN visits v ON day >= v.first AND day < v.until
        QUALIFY row_number() OVER (PARTITION BY subject_id, v.visit, item ORDER BY abs(day - v.target), day, event_id) = 1)
    SELECT subject_id, visit, item, event_id, value, baseline, value - baseline AS change
    FROM chosen LEFT JOIN baseline USING (subject_id, item)
"""


def prepare(where: Path, target: Path) -> int:
    """Write the input: numeric findings (in billionths) and infusion days, one pair of files a shard; return rows."""
    ledger, rows = Ledger(where / "ledger"), 0
    files = {}
    for shard in plan_shards(ledger):
        con = engine.connect(threads=engine.cores())
        for name in ("assessment", "retraction", "infusion"):
            con.register(name, ledger.read(name, slots=shard.ranges))
        corrected = (
            "FROM assessment WHERE hash(event_id) % 20 = 0"  # the demo has no corrections: one in twenty is made
        )
        tables = {
            "events": f"""
                SELECT subject_id, instrument || '.' || item AS item, event_id, supersedes, retracts,
                       (left(occurred, 10)::DATE - DATE '1970-01-01')::BIGINT AS day,
                       (value_number * 1000000000)::BIGINT AS value
                FROM (FROM assessment
                      UNION ALL BY NAME SELECT * REPLACE ([event_id] AS supersedes, 'c' || event_id AS event_id,
                                                          value_number + 1 AS value_number) {corrected})
                WHERE length(occurred) >= 10
                UNION ALL SELECT subject_id, NULL, event_id, NULL, retracts, NULL, NULL FROM retraction""",
            "infused": "SELECT subject_id, min(left(occurred, 10)::DATE - DATE '1970-01-01')::BIGINT AS infusion FROM infusion"
            " WHERE role = 'study_product' GROUP BY subject_id",
        }
        for name, query in tables.items():
            path = target / name / f"{shard.name}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            table = con.sql(query).to_arrow_table()
            pq.write_table(table, path, compression="zstd", write_page_checksum=True)
            files[f"{name}/{path.name}"] = hashlib.sha256(path.read_bytes()).hexdigest()
            rows += table.num_rows if name == "events" else 0
    (target / "files.json").write_text(json.dumps(files))
    return rows


def _asked(con: Any, events: Any, infused: Any) -> pa.Table:
    con.register("events", events)
    con.register("infused", infused)
    con.register(
        "visits", pa.table(dict(zip(("visit", "target", "first", "until"), zip(*VISITS, strict=True), strict=True)))
    )
    return con.sql(SQL).to_arrow_table()


def design(where: Path) -> pa.Table:
    """Work each shard in a Beam worker of its own thread."""
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    files, out = json.loads((where / "files.json").read_text()), where / "out"
    out.mkdir()

    def work(name: str) -> None:
        tables = []
        for kind in ("events", "infused"):
            data = (where / kind / name).read_bytes()
            assert hashlib.sha256(data).hexdigest() == files[f"{kind}/{name}"]
            tables.append(pq.read_table(pa.BufferReader(data), page_checksum_verification=True))
        pq.write_table(_asked(engine.connect(), *tables), out / name, compression="zstd", write_page_checksum=True)

    options = PipelineOptions(["--direct_running_mode=multi_threading", f"--direct_num_workers={engine.cores()}"])
    names = sorted(p.name for p in (where / "events").iterdir())
    with beam.Pipeline(runner=FnApiRunner(), options=options) as pipeline:
        pipeline | beam.Create(names) | beam.Reshuffle() | beam.Map(work)
    return pa.concat_tables(pq.read_table(p) for p in sorted(out.iterdir()))


def duckdb(where: Path) -> pa.Table:
    """Ask the same SQL of all files at once."""
    tables = [pq.read_table(where / kind) for kind in ("events", "infused")]
    return _asked(engine.connect(threads=engine.cores()), *tables)


def polars(where: Path) -> pa.Table:
    """Say the same in lazy Polars."""
    import polars as pl

    events, infused = (pl.scan_parquet(where / kind / "*.parquet") for kind in ("events", "infused"))
    gone = pl.concat(
        [
            events.select(pl.col("supersedes").alias("event_id")).drop_nulls().explode("event_id"),
            events.select(pl.col("retracts").alias("event_id")).drop_nulls(),
        ]
    )
    stands = (
        events.filter(pl.col("value").is_not_null())
        .join(gone, on="event_id", how="anti")
        .join(infused, on="subject_id")
        .with_columns(day=pl.col("day") - pl.col("infusion"))
    )
    baseline = (
        stands.filter(pl.col("day") < 0)
        .sort("day", "event_id", descending=[True, False])
        .group_by("subject_id", "item")
        .agg(pl.col("value").first().alias("baseline"))
    )
    parts = [
        stands.filter(pl.col("day").is_between(first, until, closed="left"))
        .with_columns(visit=pl.lit(visit), off=(pl.col("day") - target).abs())
        .sort("off", "day", "event_id")
        .group_by("subject_id", "visit", "item")
        .agg(pl.col("event_id").first(), pl.col("value").first())
        for visit, target, first, until in VISITS
    ]
    found = pl.concat(parts).join(baseline, on=["subject_id", "item"], how="left")
    return found.with_columns(change=pl.col("value") - pl.col("baseline")).collect().to_arrow()


def pandas(where: Path) -> pa.Table:
    """Say the same in pandas on Arrow types."""
    import pandas as pd

    events, infused = (
        pq.read_table(where / kind).to_pandas(types_mapper=pd.ArrowDtype) for kind in ("events", "infused")
    )
    gone = pd.concat([events["supersedes"].dropna().explode(), events["retracts"].dropna()])
    stands = events[events["value"].notna() & ~events["event_id"].isin(gone)].merge(infused, on="subject_id")
    stands["day"] = stands["day"] - stands["infusion"]
    keys = ["subject_id", "item"]
    baseline = stands[stands["day"] < 0].sort_values(["day", "event_id"], ascending=[False, True])
    baseline = baseline.drop_duplicates(keys)[[*keys, "value"]].rename(columns={"value": "baseline"})
    parts = []
    for visit, target, first, until in VISITS:
        inside = stands[(stands["day"] >= first) & (stands["day"] < until)]
        inside = inside.assign(visit=visit, off=(inside["day"] - target).abs())
        parts.append(inside.sort_values(["off", "day", "event_id"]).drop_duplicates(keys))
    found = pd.concat(parts).merge(baseline, on=keys, how="left")
    found["change"] = found["value"] - found["baseline"]
    return pa.Table.from_pandas(found[COLUMNS], preserve_index=False)


def elements(where: Path) -> pa.Table:
    """Send one dict an event through GroupByKey, and work a patient in Python."""
    import apache_beam as beam
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    def read(name: str) -> Any:
        for kind in ("events", "infused"):
            for row in pq.read_table(where / kind / name).to_pylist():
                yield row["subject_id"], row

    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        names = sorted(p.name for p in (where / "events").iterdir())
        grouped = pipeline | beam.Create(names) | beam.FlatMap(read) | beam.GroupByKey()
        rows = grouped | beam.FlatMap(_patient) | beam.Map(lambda r: dict(zip(COLUMNS, r, strict=True)))
        rows | beam.io.WriteToParquet(str(where / "out" / "part"), SHAPE)
    return pa.concat_tables(pq.read_table(p) for p in sorted((where / "out").iterdir()))


def _patient(element: tuple[str, Any]) -> Any:
    subject, rows = element[0], list(element[1])
    days = [r["infusion"] for r in rows if "infusion" in r]
    events = [r for r in rows if "infusion" not in r]
    gone = {i for r in events for i in [*(r["supersedes"] or ()), r["retracts"]]}
    stands = [r for r in events if r["value"] is not None and r["event_id"] not in gone]
    baseline: dict[str, tuple[Any, ...]] = {}
    best: dict[tuple[str, str], tuple[Any, ...]] = {}
    for r in stands if days else ():
        day = r["day"] - days[0]
        if day < 0:
            rank = (-day, r["event_id"], r["value"])
            baseline[r["item"]] = min(baseline.get(r["item"], rank), rank)
        for visit, target, first, until in VISITS:
            if first <= day < until:
                rank = (abs(day - target), day, r["event_id"], r["value"])
                best[visit, r["item"]] = min(best.get((visit, r["item"]), rank), rank)
    for (visit, item), (_, _, event_id, value) in best.items():
        base = baseline[item][2] if item in baseline else None
        yield subject, visit, item, event_id, value, base, None if base is None else value - base


IMPORTS = {
    "design": "apache_beam",
    "duckdb": "duckdb",
    "polars": "polars",
    "pandas": "pandas",
    "elements": "apache_beam.io",
}
VARIANTS = {f.__name__: f for f in (design, duckdb, polars, pandas, elements)}


def digest(found: pa.Table) -> str:
    """Return one digest of the answers, whatever their order."""
    con = engine.connect(threads=engine.cores())
    con.register("found", found.select(COLUMNS))
    lines = ", ".join(f"coalesce({c}::VARCHAR, '~')" for c in COLUMNS)
    query = f"SELECT string_agg(sha256(concat_ws('|', {lines})), '' ORDER BY subject_id, visit, item) FROM found"
    ((joined,),) = con.execute(query).fetchall()
    return hashlib.sha256(joined.encode()).hexdigest()


def one(variant: str, where: Path) -> dict[str, Any]:
    """Measure a variant in a process of its own."""
    words = [sys.executable, __file__, "--one", variant, str(where)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    shutil.rmtree(where / "out", ignore_errors=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(root: Path, events: int, times: int = 3) -> dict[str, Any]:
    """Measure every variant, in turn and `times` times; medians."""
    where, made = root / "input", root / str(events)
    cohort.enlarge(cohort.demo(root / "small"), made, events)
    rows = prepare(made, where)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in VARIANTS}
    for turn in range(times):
        for name in VARIANTS:
            if turn == 0 or name != "elements":  # it is an order of magnitude slower: once will do
                found[name].append(one(name, where))
    (answer,) = {f["digest"] for runs in found.values() for f in runs}
    base = sorted(f["seconds"] for f in found["duckdb"])[len(found["duckdb"]) // 2]
    out: dict[str, Any] = {"events": rows, "digest": answer}
    for name, runs in found.items():
        seconds = sorted(f["seconds"] for f in runs)[len(runs) // 2]
        peak = max(f["peak_mb"] for f in runs)
        out[name] = {"seconds": seconds, "peak_mb": peak, "ratio": round(seconds / base, 2)}
    return out


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["--one"]:
        importlib.import_module(IMPORTS[sys.argv[2]])  # start-up is measured elsewhere
        begin = time.perf_counter()
        found = VARIANTS[sys.argv[2]](Path(sys.argv[3]))
        if sys.argv[2] not in ("design", "elements"):  # which have written theirs
            pq.write_table(found, Path(sys.argv[3]) / "answer.parquet", compression="zstd")
        seconds = time.perf_counter() - begin
        print(
            json.dumps({"seconds": round(seconds, 2), "peak_mb": round(peak_memory() / 1e6), "digest": digest(found)})
        )
        return
    for events in map(int, sys.argv[1:] or (10_000, 1_000_000)):
        with tempfile.TemporaryDirectory(prefix="enfold-bench-") as folder:
            print(json.dumps(measure(Path(folder), events), indent=1), flush=True)


if __name__ == "__main__":
    main()
