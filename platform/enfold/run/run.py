"""Run a cut: pin it, plan shards, let Beam work them, gather the manifest."""

import contextlib
import hashlib
import json
import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from enfold import schema, study
from enfold.contract import parameter_values
from enfold.errors import DeniedError, EnfoldError, IntegrityError, UsageError
from enfold.evaluate.discover import discover_for
from enfold.evaluate.graph import Task, plan
from enfold.fold.cut import Cut
from enfold.fold.cuts import redacted_since
from enfold.ledger import storage
from enfold.ledger.canonical import SLOTS
from enfold.ledger.ledger import Ledger, schema_bundle
from enfold.run import manifest as manifest_file
from enfold.run.digest import total
from enfold.run.shard import Job, Shard
from enfold.shipped import lock_file

ROWS_PER_SHARD = 250_000
PINNED = ("enfold", "duckdb", "pyarrow", "apache-beam", "pluggy")


def plan_shards(ledger: Ledger, rows_per_shard: int = ROWS_PER_SHARD) -> list[Shard]:
    """Return slot ranges of about `rows_per_shard` rows; nothing is read but the manifest."""
    weight = [0.0] * SLOTS
    for segment in ledger.segments:
        width = segment.slot_until - segment.slot_from
        for slot in range(segment.slot_from, segment.slot_until):
            weight[slot] += segment.rows / width
    shards, begin, load = [], 0, 0.0
    for slot in range(SLOTS):
        if load and load + weight[slot] > rows_per_shard:
            shards.append(Shard(begin, slot))
            begin, load = slot, 0.0
        load += weight[slot]
    shards.append(Shard(begin, SLOTS))
    return shards


def run(
    folder: Path,
    cut: Cut | None = None,
    *,
    runner: str = "FnApiRunner",
    options: list[str] | None = None,
    rows_per_shard: int = ROWS_PER_SHARD,
    publish: bool = True,
    dev: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Run a cut (default: everything landed) and return the run's manifest.

    With `publish` false the run in force stays what it was, and a finished run of the same pins is
    not run again. With `dev` plugins are loaded that were edited since they were trusted; the manifest
    names them as `unlocked`.

    Raises:
        UsageError, ConflictError: study file or plugins do not fit together.
        EnfoldError: a shard failed; earlier results stay served.
    """
    started = time.monotonic()
    ledger = Ledger(folder / "ledger")
    cut = cut or Cut(ledger.position)
    if not 0 < cut.position <= ledger.position:
        msg = f"position {cut.position} is not in the ledger (1 to {ledger.position})"
        raise UsageError(msg)
    not_redacted(ledger, cut.position)
    text = ledger.study_text(cut.position)
    parsed = study.parse(text)
    found = discover_for(parsed, folder, dev=dev)
    tasks = plan(parsed, found)
    pins = _pins(ledger, cut, text, tasks) | ({"unlocked": found.unlocked} if dev else {})
    digest = hashlib.sha256(json.dumps(pins, sort_keys=True).encode()).hexdigest()
    target = folder / "runs" / digest[:16]
    if not publish:
        with contextlib.suppress(IntegrityError):  # not finished, or damaged: it is run
            return manifest_file.read(folder, digest[:16])
    shutil.rmtree(target, ignore_errors=True)
    shards = plan_shards(ledger, rows_per_shard)
    say(f"run {digest[:16]}: {sum(c.rows.get(t, 0) for c in ledger.commits[: cut.position] for t in c.rows)}"
        f" events in {len(shards)} shards, {len(tasks)} derivations and endpoints")  # fmt: skip
    logging.disable(logging.WARNING)  # Beam warns about cloud libraries that nobody asked for
    from enfold.run.pipeline import run_pipeline

    logging.disable(logging.NOTSET)
    job = Job(str(folder / "ledger"), str(target), cut, text, dev)
    try:
        with _watched(target, len(shards), started, say):
            run_pipeline(job, shards, runner, options or [])
    except EnfoldError:
        raise
    except Exception as error:  # Beam wraps what a shard raised in its own stack
        cause = _cause(error)
        if isinstance(cause, EnfoldError):
            raise cause from None
        msg = f"a shard failed with {type(cause).__name__}"  # its text may quote data
        remedy = "Earlier results stay served. ENFOLD_DEBUG=1 shows where it happened."
        raise EnfoldError(msg, remedy=remedy) from error
    manifest = _gather(target, shards, [asdict(f) for f in found.failures])
    manifest |= {
        "run": digest,
        "pins": pins,
        "rules": _rules(tasks),
        "unlocked": found.unlocked if dev else None,
        "asked": _asked(parsed, tasks),
        "runner": runner,
        "seconds": round(time.monotonic() - started, 3),
    }
    manifest_file.write(target, manifest)
    if publish:
        storage.replace(folder / "runs" / "current.json", json.dumps({"run": digest[:16]}).encode())
    return manifest


def not_redacted(ledger: Ledger, position: int) -> None:
    """Refuse a cut that saw events which were redacted since: it cannot be recomputed.

    Raises:
        DeniedError: says how many events, and the first position at which a cut can be run.
    """
    seen = redacted_since(ledger, position)
    if seen:
        msg = f"{len(seen)} events that position {position} saw were redacted since; it cannot be recomputed"
        raise DeniedError(msg, remedy=f"Run at position {max(seen)} or later.")


@contextlib.contextmanager
def _watched(target: Path, shards: int, started: float, say: Callable[[str], None]) -> Iterator[None]:
    """Say now and then how many shards are written; the files tell, so any runner can be watched."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(2):
            written = len(list((target / "shards").glob("*.json")))
            say(f"  {written} of {shards} shards after {time.monotonic() - started:.0f} s")

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _pins(ledger: Ledger, cut: Cut, text: str, tasks: list[Any]) -> dict[str, Any]:
    """Return all that decides a result: cut, study, schemas, plugins, parameters, libraries."""
    return {
        "head": ledger.commits[cut.position - 1].hash,
        "position": cut.position,
        "recorded_until": cut.recorded_until.isoformat() if cut.recorded_until else None,
        "occurred_until": cut.occurred_until.isoformat() if cut.occurred_until else None,
        "study": storage.sha256(text.encode()),
        "schemas": storage.sha256(schema_bundle()),
        "tasks": [
            [t.alias, t.declaration.id, t.declaration.version, t.digest, t.offered.plugin,
             t.offered.plugin_version, t.offered.code_hash]
            for t in tasks
        ],
        "lock": storage.sha256(lock_file()),
        "libraries": {name: _version(name) for name in PINNED},
    }  # fmt: skip


def _asked(parsed: study.StudyFile, tasks: list[Task]) -> list[dict[str, Any]]:
    """Return what the study asks for: alias, endpoint, imputation, and what `met` means there."""
    means = {t.alias: t.declaration.met_means for t in tasks}
    return [
        {"alias": a.alias, "id": a.endpoint, "imputation": a.imputation, "met_means": means.get(a.alias)}
        for a in parsed.endpoints
    ]


def _rules(tasks: list[Task]) -> list[dict[str, Any]]:
    """Return each rule in force in words, with its source and parameters: what explanations and footnotes print."""
    out = []
    for task in tasks:
        d = task.declaration
        parameters = {k: str(v) for k, v in parameter_values(task.parameters).items()}
        for criterion, rule in {"overall": None, **d.criteria}.items():
            out.append(
                {
                    "alias": task.alias,
                    "id": d.id,
                    "definition_version": d.version,
                    "citation": d.citation,
                    "parameters": json.dumps(parameters, sort_keys=True),
                    "criterion": criterion,
                    "rule": rule,
                }
            )
    return out


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cause(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _gather(target: Path, shards: list[Shard], failures: list[dict[str, Any]]) -> dict[str, Any]:
    """Add up the shards' summaries; a missing one is an error, never an empty result."""
    names = [*schema.state(), *schema.results()]
    slots: dict[str, dict[int, str]] = {n: {} for n in names}
    rows = dict.fromkeys(names, 0)
    subjects = events = 0
    summaries = {}
    for shard in shards:
        path = target / "shards" / f"{shard.name}.json"
        if not path.exists():
            msg = f"shard {shard.name} reported nothing although the pipeline ended"
            raise EnfoldError(msg, remedy="Run again; earlier results stay served.")
        data = storage.read(path)
        summaries[shard.name] = storage.sha256(data)
        summary = json.loads(data)
        subjects += summary["subjects"]
        events += summary["events"]
        failures += [f for f in summary["failures"] if f not in failures]
        for name in names:
            rows[name] += summary["rows"][name]
            slots[name] |= {int(k): v for k, v in summary["slots"][name].items()}
    digests = {n: total(s) for n, s in slots.items()}
    return {
        "subjects": subjects,
        "events": events,
        "rows": rows,
        "cut_digest": digests.pop("events"),
        "verdicts_digest": digests["verdicts"],
        "state_digest": hashlib.sha256(
            "".join(f"{n}:{digests[n]};" for n in sorted(schema.state()) if n != "events").encode()
        ).hexdigest(),
        "digests": digests,
        "failures": failures,
        "shards": [s.name for s in shards],
        "summaries": summaries,
    }
