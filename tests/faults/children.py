"""What the processes do that the tests start: live until killed, write many commits, read, fill a disk."""

import contextlib
import json
import logging
import os
import random
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import great_expectations  # noqa: F401 - imported before the fork, for it takes longest
import pyarrow as pa

from enfold.errors import EnfoldError
from enfold.land import mapping, readers
from enfold.land.landing import land
from enfold.land.protocol import land_study
from enfold.ledger.ledger import Draft, Ledger
from enfold.ledger.pack import pack
from enfold.ledger.redact import redact
from enfold.ledger.verify import verify
from enfold.run import pipeline  # noqa: F401 - Beam too
from enfold.run.run import run
from enfold.serve.build import build
from faults import scene
from faults.calls import through
from tests_support import table

WAYS = ("land", "correct", "pack", "redact", "run", "publish")
logging.disable(logging.WARNING)


def put(study: Path, rows: list[dict[str, Any]], name: str = "rows") -> Any:
    """Land rows of text the whole way: stage, check, gate, admit, commit."""
    columns = sorted({k for r in rows for k in r})
    texts = {c: [r.get(c) for r in rows] for c in columns}
    source = readers.from_arrow(pa.table({c: pa.array(v, pa.string()) for c, v in texts.items()}), name)
    native = mapping.native("visit", source.rows.column_names)
    return land(study, source, native, study_id="S", author="a", reason="r")


def rows_of(batch: str) -> list[dict[str, Any]]:
    """Return the rows of a batch, as text."""
    return scene.visits(batch)


def changed(of: str) -> list[dict[str, Any]]:
    """Return the correction of one event, as text."""
    row = scene.correction(of, f"{of}c")[0]
    return [{**row, "supersedes": of}]


class Fuse:
    """Kills the process at the n-th system call with which storage changes something, before or after it."""

    def __init__(self, calls: int, rng: random.Random) -> None:
        self.calls, self.before = calls, rng.random() < 0.5

    def __call__(self, name: str, real: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """Answer one call."""
        if name in {"open", "read", "listdir"}:
            return real(*args)
        self.calls -= 1
        fatal = self.calls == 0  # other threads count on
        if fatal and self.before:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return real(*args)
        finally:
            if fatal:
                os.kill(os.getpid(), signal.SIGKILL)


def live(folder: str, seed: str, log: str, first: str, fuse: int | None) -> None:
    """Do one thing after the other, and say before and after each what it is; never ends."""
    mine: list[list[str]] = []  # ids by batch: a fact is redacted with all its versions
    if first in {"correct", "redact"}:  # there must be something to change
        put(Path(folder), rows_of(f"{seed}-first"))
        mine.append([r["event_id"] for r in rows_of(f"{seed}-first")])
    with through(Fuse(fuse, random.Random(seed))) if fuse else contextlib.nullcontext():
        _live(folder, seed, log, first, mine)


def publish(folder: str) -> None:
    """Run and publish once."""
    build(Path(folder), run(Path(folder))["run"][:16])


def _live(folder: str, seed: str, log: str, first: str, mine: list[list[str]]) -> None:
    study, rng = Path(folder), random.Random(seed)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def say(what: str, **more: Any) -> None:
        os.write(out, json.dumps({"what": what, **more}).encode() + b"\n")

    last = None
    say("ready")
    for ids in mine:
        say("done", way="land", ids=ids)
    n = 0
    while True:
        way = first if n == 0 else rng.choices(WAYS, (6, 3, 2, 2, 1, 2))[0]
        n += 1
        if way in {"correct", "redact"} and not mine:
            continue
        if way == "land":
            ids = [r["event_id"] for r in rows_of(f"{seed}-{n}")]
            say("try", way=way, ids=ids)
            put(study, rows_of(f"{seed}-{n}"))
            mine.append(ids)
            say("done", way=way, ids=ids)
        elif way == "correct":
            batch = rng.choice(mine)
            if f"{batch[0]}c" in batch:
                continue
            say("try", way="land", ids=[f"{batch[0]}c"])
            put(study, changed(batch[0]))
            batch.append(f"{batch[0]}c")
            say("done", way="land", ids=[f"{batch[0]}c"])
        elif way == "pack":
            say("try", way=way)
            pack(study / "ledger")
            say("done", way=way)
        elif way == "redact":
            ids = mine.pop(rng.randrange(len(mine)))
            say("try", way=way, ids=ids)
            redact(study / "ledger", ids, author="a", reason="r")
            say("done", way=way, ids=ids)
        elif way == "run":
            say("try", way=way)
            last = str(run(study)["run"][:16])
            say("done", way=way, run=last)
        elif last or (study / "runs" / "current.json").exists():
            name = last or json.loads((study / "runs" / "current.json").read_text("utf-8"))["run"]
            if (study / "runs" / name / "manifest.json").exists():
                say("try", way=way, run=name)
                build(study, name)
                say("done", way=way, run=name)


def write(ledger: str, name: str, commits: int, log: str) -> None:
    """Append so many commits of one row each; say each one that was acknowledged, then end."""
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    opened = Ledger(Path(ledger))
    for n in range(commits):
        rows = table("visit", [{"event_id": f"{name}.{n}", "subject_id": f"{n % 7}", "status": "held"}])
        done = opened.append(lambda _, rows=rows: Draft({"visit": rows}), kind="landing", author=name, reason="r")
        os.write(out, f"{name}.{n} {done.position if done else None}\n".encode())


def read(ledger: str, log: str) -> None:
    """Open, read and now and then verify until killed: each time a prefix, each no shorter than the last."""
    path, seen = Path(ledger), 0
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    held: list[str | None] = []
    looks = 0
    opened = Ledger(path)
    while True:
        try:
            if looks % 10 == 0:
                opened = Ledger(path)
            else:
                opened.refresh()
            looks += 1
            hashes = [s.hash for s in opened.commits.stored]
            rows = opened.read("visit")
            positions = sorted(rows.column("position").to_pylist())
            assert hashes[: len(held)] == held, "what was read before is no longer there"
            assert positions == list(range(1, len(hashes) + 1)), "not a prefix, or not each commit once"
            old = Ledger(path)
            if looks % 5 == 0 and len(hashes) < 2_000:
                verify(path)
            later = old.read("visit", upto=seen).num_rows
            assert later == seen, "an older cut reads otherwise"
            held, seen = hashes, len(hashes)
            os.write(out, b"ok\n")
        except Exception as error:
            os.write(out, f"{type(error).__name__}: {error}\n".encode())
            raise
        time.sleep(0.02)


def move(ledger: str, log: str) -> None:
    """Pack again and again until killed."""
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    while True:
        time.sleep(0.5)
        try:
            found = pack(Path(ledger))
        except Exception as error:
            os.write(out, f"{type(error).__name__}: {error}\n".encode())
            raise
        os.write(out, f"ok {found.before}\n".encode())


def limited(study: str, log: str, how: str) -> None:
    """Land and run under a limit, as another user or on a full disk; say what came of it."""
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    folder = Path(study)
    if how == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))
    if how == "other user":
        os.setuid(65534)
    ways = {
        "open": lambda: Ledger(folder / "ledger"),
        "read": lambda: scene.held(Ledger(folder / "ledger")),
        "land": lambda: put(folder, rows_of("new")),
        "redact": lambda: redact(folder / "ledger", ["c.1"], author="a", reason="r"),
        "pack": lambda: pack(folder / "ledger"),
        "study": lambda: land_study(folder, Path(log).with_name("other.toml"), author="a", reason="r"),
    }
    for way, do in ways.items():
        said = "ok"
        try:
            do()
        except EnfoldError as error:
            said = f"{error.exit_code} {error.message}"
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
        with contextlib.suppress(OSError):
            os.write(out, f"{way}: {said}\n".encode())
