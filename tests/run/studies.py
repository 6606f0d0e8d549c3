"""Generated studies, each landed and run in a way that must not matter: `python tests/run/studies.py FIRST LAST`.

A study has a few patients with adversarial histories (partial dates, ties, repeated forms, corrections, contested facts).
From its number follow the order of its rows, how they are split into commits and in which order these land, the plan of
shards, and the number of workers. `expected` has no ledger, no shards and no Beam: it folds the patients of all studies
as one table, and takes each study's rows out of the result. Prints the digests of each study, one JSON line.
"""

import datetime as dt
import json
import random
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from enfold import schema, study
from enfold.evaluate.call import evaluate
from enfold.evaluate.discover import discover
from enfold.evaluate.graph import Task, plan
from enfold.fold.cut import Cut
from enfold.fold.fold import fold
from enfold.land.protocol import land_study
from enfold.ledger.ledger import Draft, Ledger
from enfold.run.digest import slot_digests, total
from enfold.run.run import run
from enfold.testing import histories
from enfold.testing.examples import PROTOCOL

PATIENTS = 3
STUDY = (
    'plugins = ["enfold-crs"]\n'
    + PROTOCOL.replace('time_zone = "UTC"\n', 'time_zone = "Europe/Berlin"\ndata_cutoff = 2026-12-31\n')
    + '[[endpoints]]\nendpoint = "crs"\n'
)
AT = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
WORKERS = (
    ["--direct_running_mode=in_memory"],
    ["--direct_running_mode=multi_threading", "--direct_num_workers=1"],
    ["--direct_running_mode=multi_threading", "--direct_num_workers=3"],
)
Rows = dict[str, list[dict[str, Any]]]


@cache
def tasks() -> list[Task]:
    """Return what the study file asks for, with what that needs."""
    return plan(study.parse(STUDY), discover(["enfold-crs"]))


def patients(number: int) -> range:
    """Return the seeds of a study's patients: of five studies, one has nobody and one a single patient."""
    return range(number * PATIENTS, number * PATIENTS + (0, 1, PATIENTS, PATIENTS, PATIENTS)[number % 5])


def events(number: int) -> Rows:
    """Return the events of one study by type."""
    return histories.events([t.declaration for t in tasks()], patients(number))


def digests(folder: Path, number: int) -> dict[str, str]:
    """Land and run one study in its way; return the digest of each table."""
    rng = random.Random(number)
    where = folder / str(number)
    ledger = Ledger.create(where / "ledger")
    (where / "study.toml").write_text(STUDY, "utf-8")
    land_study(where, where / "study.toml", author="a", reason="r")
    parts: list[Rows] = [{} for _ in range(rng.randint(1, 3))]
    made = events(number)
    for event_type, rows in made.items():
        for row in rng.sample(rows, len(rows)):
            rng.choice(parts).setdefault(event_type, []).append(row)
    for part in parts:
        batches = {t: _table(t, rows) for t, rows in part.items()}
        ledger.append(lambda _, b=batches: Draft(b), kind="landing", author="a", reason="r", now=lambda: AT)
    most = sum(map(len, made.values())) // rng.choice((1, 1, 2)) + 1
    found = run(where, options=list(rng.choice(WORKERS)), rows_per_shard=most, publish=False, again=True)
    return {**found["digests"], "events": found["cut_digest"]}


def expected(numbers: range) -> list[dict[str, str]]:
    """Return the digests of each study, from one fold over all of them."""
    every: Rows = {t: [] for t in schema.events()}
    for number in numbers:
        for event_type, rows in events(number).items():
            every[event_type] += rows
    parsed = study.parse(STUDY)
    state = fold({t: _table(t, rows) for t, rows in every.items()}, parsed, Cut(1))
    out = evaluate(tasks(), state, parsed, None)
    tables = {**state, "verdicts": pa.concat_tables(out.verdicts), "derived": pa.concat_tables(out.derived)}
    schemas = {**schema.state(), **schema.results()}
    wanted = []
    for number in numbers:
        mine = pa.array([f"{seed:06d}" for seed in patients(number)], pa.string())
        own = {n: t.filter(pc.is_in(t.column("subject_id"), mine)) for n, t in tables.items()}
        wanted.append({n: total(slot_digests(schemas[n], t)) for n, t in own.items()})
    return wanted


def _table(event_type: str, rows: list[dict[str, Any]]) -> pa.Table:
    made = pa.Table.from_pylist(rows, schema=schema.event_arrow(event_type))
    return made.append_column("position", pa.array([1] * len(rows), pa.int64()))


def main() -> None:
    """Print the digests of the studies asked for."""
    with tempfile.TemporaryDirectory(prefix="enfold-studies-") as folder:
        for number in range(*map(int, sys.argv[1:])):
            print(json.dumps(digests(Path(folder), number), sort_keys=True), flush=True)


if __name__ == "__main__":
    main()
