"""What styles and isolation of plugins cost: `python tests/bench/plugins.py [PATIENTS [EVENTS]]`, part of `make bench`.

Ratios in one run on one machine, answers compared first; both wall time and the processor's.

- *Styles*: rules of the demo trial in SQL, as shipped, and in plain Python over one patient (bench/patients.py), on the
  demo's patients copied to PATIENTS (default 10,000; the target is set at 100,000). A patient's copy has event ids and
  instants of its own, so that no value is made once for all. Evaluated 2,500 patients at a time, as a run does.
- *Isolation*: `enfold run`, every shard, of EVENTS (default 200,000; the target is set at 1,000,000) with twelve
  endpoints of one distribution, once loaded in the host's process and once in guests; and once with every plugin in a guest.
"""

import dataclasses
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cohort
import patients
import pyarrow as pa

from enfold import study
from enfold.contract import PatientRule
from enfold.evaluate import isolation, trust
from enfold.evaluate.call import evaluate, stamp
from enfold.evaluate.discover import discover
from enfold.evaluate.evidence import ShardEvidence, prepared
from enfold.evaluate.graph import Task, plan
from enfold.fold.cut import Cut
from enfold.fold.fold import fold
from enfold.ledger import engine
from enfold.ledger.ledger import Ledger
from enfold.run.run import run
from enfold.run.shard import read_events

CHUNK = 2_500  # patients at a time: about as many as a shard of 250,000 events holds
TWINS: dict[str, Callable[..., Any]] = {
    "doris": patients.remission, "ccr": patients.remission, "doris_off": patients.remission,
    "pga": patients.assessed, "visit_timing": patients.timing,
}  # fmt: skip
WORDS = {"reason", "compared", "flags", "known_from"}  # what a twin leaves out
TWELVE = "bench-twelve"


def styles(where: Path, wanted: int) -> None:
    """Print what each style costs, by rule and together."""
    ledger = Ledger(where / "ledger")
    parsed = study.parse(ledger.study_text())
    found = discover(parsed.plugins)
    tasks = {t.alias: t for t in plan(parsed, found, also=(*TWINS,))}
    state = fold(read_events(ledger, Cut(ledger.position)), parsed, Cut(ledger.position))
    out = evaluate([*tasks.values()], state, parsed)
    assert not out.failures, out.failures
    results = {t.column("alias")[0].as_py(): t for t in [*out.derived, *out.verdicts] if t.num_rows}
    size = state["subjects"].num_rows
    spent: dict[str, list[float]] = {n: [0.0, 0.0] for n in TWINS}
    for first in range(0, -(-wanted // size), CHUNK // size):
        copies = range(first, min(first + CHUNK // size, -(-wanted // size)))
        held = {n: copied(t, copies) for n, t in state.items() if n in {r for a in TWINS for r in _reads(tasks[a])}}
        needed = {n: copied(results[n], copies) for n in {n for a in TWINS for n in tasks[a].declaration.needs}}
        subjects = set(held["subjects"].column("subject_id").to_pylist())
        for name, twin in TWINS.items():
            task = tasks[name]
            other = dataclasses.replace(task.declaration, rule=PatientRule(twin, patients.RULES[twin.__name__]))
            theirs = Task(name, dataclasses.replace(task.offered, declaration=other), task.parameters)
            answers = []
            for place, one in enumerate((task, theirs)):
                begin = time.process_time()
                seen = ShardEvidence(one.declaration, held, needed, parsed, None, prepared())
                answers.append(stamp(one, one.declaration.rule(seen, one.parameters), parsed.id, subjects))
                spent[name][place] += time.process_time() - begin
            _same(name, *answers)
    print(f"styles, {wanted:,} patients, seconds of the processor: rule, SQL, one patient, ratio")
    for name, (sql, python) in [*spent.items(), ("together", [sum(v) for v in zip(*spent.values(), strict=True)])]:
        print(f"  {name:<14}{sql:8.2f}{python:8.2f}{python / sql:8.1f}")


def _reads(task: Task) -> set[str]:
    return {"subjects", *task.declaration.reads}


def _same(name: str, sql: pa.Table, python: pa.Table) -> None:
    """Compare what two styles say."""
    left, right = (t.drop_columns([c for c in t.column_names if c in WORDS]) for t in (sql, python))
    assert left.num_rows == right.num_rows, (name, left.num_rows, right.num_rows)
    for column in left.column_names:
        assert left.column(column).equals(right.column(column)), f"{name}: {column} differs between the styles"


def copied(rows: pa.Table, copies: range) -> pa.Table:
    """Return copies of every patient's rows, with subject and event ids and instants of their own."""
    con = engine.connect(threads=engine.cores())
    con.register("rows", rows)
    made = ["subject_id || '-' || k AS subject_id"]
    made += (
        ["list_transform(event_ids, lambda i: i || '-' || k) AS event_ids"] if "event_ids" in rows.column_names else []
    )
    for f in rows.schema:
        if pa.types.is_timestamp(f.type):
            made.append(f'"{f.name}" + to_seconds(CAST(k AS BIGINT)) AS "{f.name}"')
    what = f"SELECT * EXCLUDE (k) REPLACE ({', '.join(made)}) FROM rows, range({copies.start}, {copies.stop}) c(k)"
    return con.sql(what).to_arrow_table().cast(rows.schema)


MODULE = """
import dataclasses
from enfold.contract import Endpoint, hookimpl
import enfold_conduct, enfold_disease_course, enfold_doris, enfold_lldas, enfold_sri

@hookimpl
def enfold_declarations():
    made = [d for m in (enfold_doris, enfold_lldas, enfold_sri, enfold_conduct, enfold_disease_course)
            for d in m.enfold_declarations() if isinstance(d, Endpoint)]
    ids = {d.id for d in made}
    return [dataclasses.replace(d, id="twelve_" + d.id) for d in made if not ids & {*d.needs}][:12]
"""


def distribution(site: Path) -> None:
    """Write a distribution of twelve endpoints, as it is when installed."""
    info = site / "bench_twelve-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "bench_twelve.py").write_text(MODULE)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {TWELVE}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[enfold]\ntwelve = bench_twelve\n")
    (info / "RECORD").write_text("bench_twelve.py,,\n")


def study_of_twelve(folder: Path) -> None:
    """Land a study file that asks for the twelve and nothing else."""
    from enfold.cli.main import main as enfold

    sys.path.append(str(folder / "site"))
    import bench_twelve  # type: ignore[import-not-found]  # written by `distribution`

    text = (folder / "study.toml").read_text("utf-8")
    head, *parts = text.split("[[")
    kept = [p.split("\n[")[0] + "\n" for p in parts if p.startswith(("visits", "dose_levels", "conditioning"))]
    asked = [f'endpoints]]\nendpoint = "{d.id}"\n' for d in bench_twelve.enfold_declarations()]
    assert len(asked) == 12, len(asked)
    head = head.replace("plugins = [", f'plugins = ["{TWELVE}", ', 1)
    (folder / "study.toml").write_text("[[".join([head, *kept, *asked]), "utf-8")
    assert enfold(["land", str(folder), str(folder / "study.toml"), "--author", "bench"]) == 0


def variant(name: str, folder: Path) -> None:
    """Run one variant in this process and print what it cost, as JSON."""
    sys.path.append(str(folder / "site"))
    if name == "host":
        trust.FIRST_PARTY |= {TWELVE}  # type: ignore[misc]
    if name == "all":
        trust.FIRST_PARTY = frozenset()  # type: ignore[misc]
    begin = time.perf_counter()
    manifest = run(folder, again=True, dev=True)
    wall = time.perf_counter() - begin
    isolation.end_all()
    used = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    assert not manifest["failures"], manifest["failures"]
    print(json.dumps({
        "wall": wall, "cpu": sum(u.ru_utime + u.ru_stime for u in used), "digest": manifest["verdicts_digest"],
        "shards": len(manifest["shards"]), "events": manifest["events"],
    }))  # fmt: skip


def isolated(demo: Path, root: Path, events: int, times: int = 3) -> None:
    """Print what guests add to a run: the least of each variant, run in turn."""
    folder = root / "large"
    cohort.enlarge(demo, folder, events)
    distribution(folder / "site")
    study_of_twelve(folder)
    best: dict[str, dict[str, Any]] = {}
    for _ in range(times):
        for name in ("host", "guests", "all"):
            command = [sys.executable, __file__, "--variant", name, str(folder)]
            done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "TZ": "UTC"})
            one = json.loads(done.stdout.splitlines()[-1])
            for key in ("wall", "cpu"):
                one[key] = min(one[key], best.get(name, one)[key])
            best[name] = one
    assert len({b["digest"] for b in best.values()}) == 1, "isolation changes results"
    host = best["host"]
    print(f"isolation, {host['events']:,} events, {host['shards']} shards, least of {times}: variant, wall, processor")
    for name, one in best.items():
        more = "" if name == "host" else f"  {one['wall'] / host['wall'] - 1:+.1%} {one['cpu'] / host['cpu'] - 1:+.1%}"
        print(f"  {name:<8}{one['wall']:8.2f}{one['cpu']:8.2f}{more}")


def main() -> None:
    """Measure both."""
    if sys.argv[1:2] == ["--variant"]:
        variant(sys.argv[2], Path(sys.argv[3]))
        return
    wanted, events = (
        [*map(int, sys.argv[1:]), 10_000, 200_000][:2] if len(sys.argv) != 2 else [int(sys.argv[1]), 200_000]
    )
    with tempfile.TemporaryDirectory() as folder:
        demo = cohort.demo(Path(folder))
        styles(demo, wanted)
        isolated(demo, Path(folder), events)


if __name__ == "__main__":
    main()
