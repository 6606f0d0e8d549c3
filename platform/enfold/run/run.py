"""Run a cut: pin it, plan shards, let Beam work those that need it, gather the manifest."""

import contextlib
import json
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from enfold import extras, schema, study
from enfold.errors import DeniedError, EnfoldError, IntegrityError, UsageError
from enfold.evaluate.discover import discover_for
from enfold.evaluate.graph import plan
from enfold.fold.cut import Cut
from enfold.fold.cuts import redacted_since
from enfold.ledger import engine, storage
from enfold.ledger.ledger import Ledger
from enfold.run import manifest as manifest_file
from enfold.run import pins, poison, reuse
from enfold.run.gather import gather
from enfold.run.plan import ROWS_PER_SHARD, ROWS_WITH_RULES, Shard, plan_shards, rows_by_slot
from enfold.run.shard import Job, expected, prepare
from enfold.run.watch import observed, watched
from enfold.run.withdraw import withdraw


def run(
    folder: Path,
    cut: Cut | None = None,
    *,
    runner: str = "FnApiRunner",
    options: list[str] | None = None,
    rows_per_shard: int | None = None,
    publish: bool = True,
    dev: bool = False,
    again: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Run a cut (default: everything landed) and return the run's manifest.

    Only what is missing is worked: shards of an interrupted attempt, and those of the run in force in which nothing
    changed, are taken over (run/reuse.py). With `again` nothing is. With `publish` false the run in force stays what
    it was, and a finished run of the same pins is not run again. With `dev` plugins are loaded that were edited since
    they were trusted; the manifest names them as `unlocked`. With `rows_per_shard` shards are of another size than
    what the work asks for (run/plan.py).

    Raises:
        UsageError, ConflictError: study file or plugins do not fit together.
        EnfoldError: a shard failed; earlier results stay served, and the other shards need no second run.
    """
    started = time.monotonic()
    ledger = Ledger(folder / "ledger")
    cut = cut or Cut(ledger.position)
    if not 0 < cut.position <= ledger.position:
        msg = f"position {cut.position} is not in the ledger (1 to {ledger.position})"
        raise UsageError(msg)
    not_redacted(ledger, cut.position)
    with schema.using(ledger.added_at(cut.position)):
        return _run(folder, ledger, cut, started, runner, options or [], rows_per_shard, say,
                    publish=publish, dev=dev, again=again)  # fmt: skip


def _run(
    folder: Path,
    ledger: Ledger,
    cut: Cut,
    started: float,
    runner: str,
    options: list[str],
    rows_per_shard: int | None,
    say: Callable[[str], None],
    *,
    publish: bool,
    dev: bool,
    again: bool,
) -> dict[str, Any]:
    text = ledger.study_text(cut.position)
    parsed = study.parse(text)
    found = discover_for(parsed, folder, dev=dev)
    tasks = plan(parsed, found)
    pinned = pins.pins(ledger, cut, text, tasks, found.unlocked if dev else None)
    digest = pins.digest(pinned)
    target = folder / "runs" / digest[:16]
    if not publish and not again:
        with contextlib.suppress(IntegrityError):  # not finished, or damaged: it is run
            return manifest_file.read(folder, digest[:16])
    with storage.writing(target):
        most = rows_per_shard or (ROWS_WITH_RULES if tasks else ROWS_PER_SHARD)
        plan_ = _planned(folder, target, ledger, pinned, most, again=again)
        shards = [*plan_.kept, *plan_.work]
        todo = [s for s in plan_.work if again or s not in reuse.whole(target, [s])]
        say(f"run {digest[:16]}: {_rows(ledger)} events, {len(todo)} of {len(shards)} shards to work,"
            f" {len(tasks)} derivations and endpoints")  # fmt: skip
        threads = engine.cores() if len(todo) == 1 else 1  # shards are worked side by side; one alone has all cores
        job = Job(str(folder / "ledger"), str(target), cut, text, dev, expected(tasks), threads, most)
        prepare(job, ledger, parsed, tasks)
        if todo:
            weight = rows_by_slot(ledger)
            with watched(target, todo, round(sum(weight[n] for s in todo for n in s.slots)), say):
                _work(job, todo, runner, options)
            poison.raise_first(target, len(shards))
        failures = [asdict(f) for f in found.failures]
        manifest = gather(target, shards, failures)
        withdrawn = withdraw(target, shards) if manifest["failures"] else {}
        if withdrawn:
            manifest = gather(target, shards, failures)
        cost = observed(target, todo)
        manifest |= {
            "run": digest,
            "pins": pinned,
            "rules": pins.rules(tasks),
            "unlocked": found.unlocked if dev else None,
            "asked": pins.asked(parsed, tasks),
            "analysis_sets": pins.analysis_sets(parsed, tasks),
            "runner": runner,
            "withdrawn": withdrawn,
            "worked": [s.name for s in todo],
            **cost,
            "rows_read": cost["rows_read"] + plan_.rows_read,
            "seconds": round(time.monotonic() - started, 3),
        }
        manifest_file.write(target, manifest)
        _tidy(target, shards)
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


def _planned(
    folder: Path, target: Path, ledger: Ledger, pinned: dict[str, Any], rows_per_shard: int, *, again: bool
) -> reuse.Plan:
    """Plan what to work; what is taken over is in `target` afterwards."""
    poison.forget(target)
    if again:
        for path in sorted(target.iterdir()):
            if path.is_dir():
                shutil.rmtree(path)
        return reuse.Plan(work=plan_shards(ledger, rows_per_shard))
    if there := reuse.finished(folder, target):
        return reuse.Plan(work=there)
    return reuse.plan(folder, target, ledger, pinned, rows_per_shard)


def _rows(ledger: Ledger) -> int:
    return sum(s.rows for s in ledger.segments)


def _work(job: Job, todo: list[Shard], runner: str, options: list[str]) -> None:
    """Let Beam work the shards; what it wraps errors in is taken off."""
    logging.disable(logging.WARNING)  # Beam warns about cloud libraries that nobody asked for
    try:
        extras.load("a run", "apache_beam")
        from enfold.run.pipeline import run_pipeline
    finally:
        logging.disable(logging.NOTSET)
    try:
        run_pipeline(job, todo, runner, options)
        engine.close_idle()
    except EnfoldError:
        raise
    except Exception as error:
        cause = _cause(error)
        if isinstance(cause, EnfoldError):
            raise cause from None
        msg = f"the pipeline failed with {type(cause).__name__}"  # its text may quote data
        remedy = "Earlier results stay served. ENFOLD_DEBUG=1 shows where it happened."
        raise EnfoldError(msg, remedy=remedy) from error


def _cause(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _tidy(target: Path, shards: list[Shard]) -> None:
    """Remove what an attempt with other shards, or one that was killed, left in the folder of the run."""
    names = {s.name for s in shards}
    storage.sweep(target, lambda p: p.stem in names or p.name == "manifest.json")
