"""However many endpoints a study asks for, each shard's evidence is read once."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from enfold.cli.main import main as enfold
from enfold.contract import Endpoint
from enfold.evaluate import remote, trust, wire
from enfold.evaluate.call import evaluate
from enfold.evaluate.discover import discover
from enfold.evaluate.graph import plan
from enfold.evaluate.isolation import Source
from enfold.fold.cut import Cut
from enfold.fold.fold import fold
from enfold.ledger import reading
from enfold.run import shard as shard_module
from enfold.run.run import run
from enfold.study import Asked
from tests_support import STUDY, study_file, table

TWELVE = ("sri", "lldas", "doris", "doris_off", "ccr", "ccr0", "drug_free_remission", "flare", "relapse", "visit_timing",
          "eligibility", "crs")  # fmt: skip


@pytest.mark.parametrize("asked", [TWELVE[:1], TWELVE])
def test_a_shard_is_read_and_folded_once(
    asked: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: Counter[str] = Counter()

    def counted(module: Any, name: str) -> None:
        real = getattr(module, name)

        def call(*args: Any, **options: Any) -> Any:
            calls[name] += 1
            return real(*args, **options)

        monkeypatch.setattr(module, name, call)

    plugins = ", ".join(f'"{n}"' for n in sorted(trust.FIRST_PARTY))
    text = STUDY.replace("plugins = []", f"plugins = [{plugins}]") + "".join(
        f'[[endpoints]]\nendpoint = "{e}"\n' for e in asked
    )
    (tmp_path / "study.toml").write_text(text)
    study = tmp_path / "study"
    assert enfold(["init", str(study), str(tmp_path / "study.toml")]) == 0
    rows = "".join(f"S,{n:02},e{n},2026-01-01,F\n" for n in range(8))
    (tmp_path / "enrolment.csv").write_text("study_id,subject_id,event_id,occurred,sex\n" + rows)
    assert enfold(["land", str(study), str(tmp_path / "enrolment.csv")]) == 0
    counted(shard_module, "read_counting")
    counted(shard_module, "fold")
    counted(reading, "read")
    manifest = run(study, rows_per_shard=4)
    shards = len(manifest["shards"])
    assert shards > 1
    assert {f["declaration"] for f in manifest["failures"]} == set()
    assert (calls["read_counting"], calls["fold"]) == (shards, shards)
    assert calls["read"] == shards  # there is one segment


def test_guests_share_one_copy_of_a_shard_and_get_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = discover(trust.FIRST_PARTY & set(trust.installed()))
    source = Source("third-party")
    for name in TWELVE:
        found.offered[name] = replace(found.offered[name], source=source, plugin="third-party")
    asked = replace(study_file(), endpoints=tuple(Asked(e, e) for e in TWELVE))
    tasks = plan(asked, found)
    rows = table("enrolment", [{"event_id": "e1"}]).append_column("position", pa.array([1]))
    state = fold({"enrolment": rows}, asked, Cut(1))

    made: list[list[str]] = []
    sent: list[list[str]] = []
    real = wire.Shared

    class Counted(real):  # type: ignore[valid-type,misc]
        def __init__(self, tables: Any) -> None:
            made.append(sorted(tables))
            super().__init__(tables)

    class Lent:
        def __init__(self) -> None:
            self.holds: dict[str, str] = {}

        def ask(self, message: dict[str, Any], fds: Any, *, answer: Any) -> Any:
            sent.append(message["sent"])
            return {"stage": "return", "message": "no rows", "tainted": False}, b""

    one = Lent()

    @contextlib.contextmanager
    def lend(_: Source) -> Iterator[Lent]:
        yield one

    monkeypatch.setattr(wire, "Shared", Counted)
    monkeypatch.setattr(remote, "guest", lend)
    out = evaluate(tasks, state, asked)
    assert len([f for f in out.failures if f.message == "no rows"]) >= 10
    assert sum("subjects" in tables for tables in made) == 1  # the state, written once for all rules of the shard
    assert sum("state" in roles for roles in sent) == 1  # and sent once to a process that stays


def test_the_twelve_are_endpoints_that_enfold_ships() -> None:
    found = discover(trust.FIRST_PARTY & set(trust.installed())).offered
    assert len(set(TWELVE)) == 12
    assert all(isinstance(found[e].declaration, Endpoint) for e in TWELVE)
