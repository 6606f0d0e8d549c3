"""The ledger lives through whatever Hypothesis thinks of, next to a model of a few lines of Python.

After each step its rows are those of the model; at the end the fold says of every version whether it
stands as the reference does (tests/fold/reference.py), before packing and after it.

A new kind of operation is one more rule: change `model`, do it to the ledger, and `agree` compares.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import reference
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from enfold import schema, study
from enfold.errors import UsageError
from enfold.fold import cuts
from enfold.fold.cut import Cut
from enfold.fold.fold import fold
from enfold.land import mapping, readers
from enfold.land.change import move
from enfold.land.landing import land
from enfold.ledger import batch, segments
from enfold.ledger.ledger import Ledger
from enfold.ledger.pack import pack
from enfold.ledger.redact import redact
from enfold.run.digest import slot_digests
from enfold.run.shard import read_events
from faults import scene
from faults.powerloss import small_index
from tests_support import STUDY

SAID = ("event_id", "subject_id", "occurred", "status", "visit_id", "supersedes", "retracts")
numbers = st.integers(0, 10**6)
statuses = st.sampled_from(["held", "missed"])


class LedgerMachine(RuleBasedStateMachine):
    """The ledger and its model."""

    steps_taken = 0

    def __init__(self) -> None:
        super().__init__()
        memory = Path("/dev/shm")
        self.root = Path(tempfile.mkdtemp(prefix="enfold-faults-", dir=memory if memory.is_dir() else None))
        self.index = small_index()
        self.index.__enter__()
        self.path = Ledger.create(self.root / "ledger").path
        self.model: list[dict[str, Any]] = []  # every version, with its position
        self.gone: set[str] = set()
        self.position = 0
        self.named = 0
        self.moved: list[set[str]] = []  # a fact and what it was called before
        self.cuts: dict[int, frozenset[tuple[int, str]]] = {}  # digests by position of a cut
        scene.land_study(self.root)
        self.position += 1

    # what is done

    @rule(subject=st.integers(1, 3), month=st.integers(1, 9), status=statuses, visit=st.sampled_from([None, "W4"]))
    def land(self, subject: int, month: int, status: str, visit: str | None) -> None:
        """A new fact; one that happened before another that is there already is late."""
        row = {"event_id": self._name(), "subject_id": f"0{subject}", "occurred": f"2026-0{month}-01",
               "status": status, "visit_id": visit}  # fmt: skip
        self._land("visit", row)

    @precondition(lambda self: self.model)
    @rule(which=numbers)
    def duplicate(self, which: int) -> None:
        """The same once more, under the same id."""
        row = self._any(which)
        self._land("retraction" if row.get("retracts") else "visit", row)

    @precondition(lambda self: self.model)
    @rule(which=numbers)
    def conflict(self, which: int) -> None:
        """Another content under the same id: both are kept."""
        row = self._any(which)
        if not row.get("retracts"):
            self._land("visit", {**row, "status": "missed" if row["status"] == "held" else "held"})

    @precondition(lambda self: self.model)
    @rule(which=numbers, other=numbers, status=statuses, merge=st.booleans())
    def correct(self, which: int, other: int, status: str, merge: bool) -> None:
        """A correction of one version, or of two of one subject."""
        row = self._any(which)
        if row.get("retracts"):
            return
        targets = {row["event_id"]}
        second = self._any(other)
        if merge and second["subject_id"] == row["subject_id"] and not second.get("retracts"):
            targets.add(second["event_id"])
        new = {"event_id": self._name(), "subject_id": row["subject_id"], "occurred": row["occurred"],
               "status": status, "visit_id": row.get("visit_id"), "supersedes": sorted(targets), "reason": "r"}  # fmt: skip
        self._land("visit", new)

    @precondition(lambda self: self.model)
    @rule(which=numbers)
    def retract(self, which: int) -> None:
        """A retraction of any version, of another retraction too."""
        row = self._any(which)
        new = {"event_id": self._name(), "subject_id": row["subject_id"], "retracts": row["event_id"], "reason": "r"}
        self._land("retraction", new)

    @precondition(lambda self: self.model)
    @rule(which=numbers)
    def redact(self, which: int) -> None:
        """A fact with all that is linked to it leaves for good."""
        joined = {self._any(which)["event_id"]}
        while True:
            linked = [*map(self._ids, self.model), *self.moved]
            more = {i for ids in linked for i in ids if joined & ids} - joined
            if not more:
                break
            joined |= more
        there = sorted(joined & {r["event_id"] for r in self.model})
        redact(self.path, there, author="a", reason="r")
        self.model = [r for r in self.model if r["event_id"] not in joined]
        self.gone |= joined
        self.position += 1

    @rule(orphan=st.booleans(), aside=st.booleans(), lock=st.sampled_from([b"", b"writing\n", b"finished elsewhere\n"]))
    def crash(self, orphan: bool, aside: bool, lock: bytes) -> None:
        """What a writer that was killed leaves: a segment nobody names, a file aside, the lock file not put right."""
        folder = self.path / "segments" / "visit"
        folder.mkdir(parents=True, exist_ok=True)
        if orphan:
            staged = scene.staged("visit", scene.visits("orphan")).drop_columns("content")
            rows = batch.placed("visit", staged, batch.order(staged), 99)
            (folder / "000000000099-0badcafe.parquet").write_bytes(segments.encode(rows))
        if aside:
            (self.path / "commits" / ".0123456789abcdef.tmp").write_bytes(b'{"position":')
            (folder / ".0123456789abcdef.tmp").write_bytes(b"PAR1")
        (self.path / ".lock").write_bytes(lock)

    @precondition(lambda self: self.model)
    @rule(which=numbers, subject=st.integers(1, 3))
    def move(self, which: int, subject: int) -> None:
        """A fact that stands goes to another subject, in one commit; one joined with another fact stays."""
        facts = [f for f in self._facts() if f["subject_id"] != f"0{subject}" and not f["contested"]]
        if not facts:
            return
        fact = facts[which % len(facts)]
        try:
            move(self.root, fact["event_ids"][0], f"0{subject}", author="a", reason="r")
        except UsageError as error:
            if "joined with another fact" not in error.message:
                raise
            return
        new = self._take()
        self.moved.append({fact["fact_id"], new[0]["event_id"]})
        assert [r["subject_id"] for r in new if not r.get("retracts")] == [f"0{subject}"]
        assert fact["fact_id"] not in {f["fact_id"] for f in self._facts()}
        assert new[0]["event_id"] in {f["fact_id"] for f in self._facts()}

    @rule(sent=st.dictionaries(st.sampled_from(["k1", "k2", "k3", "k4"]), statuses), again=st.booleans())
    def snapshot(self, sent: dict[str, str], again: bool) -> None:
        """A source sends everything; at once again, it says nothing new."""
        for _ in range(2 if again else 1):
            before = Ledger(self.path).position
            keys = sorted(sent)
            fields = {"event_id": keys, "subject_id": [f"0{k[1]}" for k in keys], "status": [sent[k] for k in keys],
                      "occurred": ["2026-02-02"] * len(keys), "author": ["edc"] * len(keys)}  # fmt: skip
            rows = pa.table({n: pa.array(v, pa.string()) for n, v in fields.items()})
            report = land(
                self.root, readers.from_arrow(rows, "edc"), mapping.native("visit", [*fields]), study_id="S",
                author="edc", reason="nightly", system="edc", snapshot=True, max_vanished=100,
            )  # fmt: skip
            if Ledger(self.path).position > before:
                self._take()
        assert not again or report.position is None
        gone = {k for k in keys if k in self.gone}
        said = {r["event_id"] for r in self.model if r["event_id"] in keys}
        assert said == set(keys) - gone  # every key is there, whatever became of it here, unless redacted

    @rule()
    def cut(self) -> None:
        """A cut is named; what it sees never changes, whatever follows."""
        self.cuts[self.position] = frozenset(self._digests(self.position).items())
        cuts.create(self.root, f"c{self.position}", Cut(self.position), author="a", reason="r")
        self.position += 1

    @rule()
    def pack(self) -> None:
        """Rows move; nothing else does."""
        pack(self.path)

    # what is compared

    @invariant()
    def agree(self) -> None:
        """The rows are those of the model; an older cut too."""
        ledger = Ledger(self.path)
        assert ledger.position == self.position
        assert set(ledger.redactions) == self.gone
        assert self._held(ledger, self.position) == sorted(map(repr, self._said(self.position)))
        half = self.position // 2
        assert self._held(ledger, half) == sorted(map(repr, self._said(half)))
        LedgerMachine.steps_taken += 1

    def teardown(self) -> None:
        """Fold before packing and after it; both as the reference says."""
        try:
            first = self._standing()
            pack(self.path)
            scene.state(self.path)
            assert scene.left_behind(self.path) == []
            assert self._standing() == first
            assert first == self._expected()
            for named in cuts.cuts(Ledger(self.path)):
                position = named.cut.position
                assert named.redacted or frozenset(self._digests(position).items()) == self.cuts[position]
        finally:
            self.index.__exit__(None, None, None)
            shutil.rmtree(self.root)

    def _name(self) -> str:
        self.named += 1
        return f"e{self.named}"

    def _any(self, which: int) -> dict[str, Any]:
        row = self.model[which % len(self.model)]
        return {k: v for k, v in row.items() if k != "position"}

    def _ids(self, row: dict[str, Any]) -> set[str]:
        named = {row["event_id"], *(row.get("supersedes") or []), row.get("retracts")} - {None}
        return {str(i) for i in named}

    def _land(self, event_type: str, row: dict[str, Any]) -> None:
        there = any({k: v for k, v in r.items() if k != "position"} == row for r in self.model)
        commit = scene.land(self.path, {event_type: scene.staged(event_type, [row])})
        assert (commit is None) == there
        if not there:
            self.position += 1
            self.model.append({**row, "position": self.position})

    def _take(self) -> list[dict[str, Any]]:
        """Take the newest commit's rows into the model as they are: their ids are made by enfold."""
        self.position += 1
        ledger = Ledger(self.path)
        assert ledger.position == self.position
        new = [r for t in ("visit", "retraction") for r in ledger.read(t, after=self.position - 1).to_pylist()]
        self.model += [{k: r.get(k) for k in (*SAID, "reason", "author", "position")} for r in new]
        return new

    def _facts(self) -> list[dict[str, Any]]:
        """Return the facts that stand, as the reference says, sorted."""
        out = [{**f, "subject_id": s} for s in self._subjects() for f in reference.resolve(self._events(s))[0]]
        return sorted(out, key=lambda f: (f["subject_id"], f["fact_id"]))

    def _subjects(self) -> list[str]:
        return sorted({r["subject_id"] for r in self.model})

    def _events(self, subject: str) -> list[dict[str, Any]]:
        return [
            {"study_id": "S", "event_type": "retraction" if r.get("retracts") else "visit",
             **{k: v for k, v in r.items() if v is not None}}
            for r in self.model if r["subject_id"] == subject
        ]  # fmt: skip

    def _digests(self, position: int) -> dict[int, str]:
        ledger, cut = Ledger(self.path), Cut(position)
        return slot_digests(schema.state()["events"], fold(read_events(ledger, cut), study.parse(STUDY), cut)["events"])

    def _said(self, upto: int) -> list[tuple[Any, ...]]:
        return [(*(r.get(k) for k in SAID), r["position"]) for r in self.model if r["position"] <= upto]

    def _held(self, ledger: Ledger, upto: int) -> list[str]:
        rows = [r for t in schema.events() for r in ledger.read(t, upto=upto).to_pylist()]
        return sorted(repr((*(r.get(k) for k in SAID), r["position"])) for r in rows)

    def _standing(self) -> tuple[list[Any], list[Any], list[Any]]:
        ledger = Ledger(self.path)
        cut = Cut(ledger.position)
        out = fold(read_events(ledger, cut), study.parse(STUDY), cut)
        doubts = out["data_findings"].to_pylist()
        return (
            sorted(_ids(out["events"])),
            sorted(d["subject_ref"] for d in doubts if d["code"] == "contested"),
            sorted(d["subject_ref"] for d in doubts if d["code"] == "pending_change"),
        )

    def _expected(self) -> tuple[list[Any], list[Any], list[Any]]:
        standing, contested, pending = set(), [], []
        for subject in self._subjects():
            facts, waiting = reference.resolve(self._events(subject))
            standing |= {i for f in facts for i in f["event_ids"]}
            contested += [f["fact_id"] for f in facts if f["contested"]]
            pending += waiting
        return sorted(standing), sorted(contested), sorted(pending)


def _ids(events: pa.Table) -> set[str]:
    return {r["event_id"] for r in events.to_pylist() if r["effective"]}


def live(runs: int, steps: int, of_seed: int | None = None) -> int:
    """Live through so many histories of so many steps; return the steps taken.

    The same ones each time, unless there is a seed.
    """
    LedgerMachine.steps_taken = 0
    kind = LedgerMachine
    if of_seed is not None:
        kind = seed(of_seed)(type("Seeded", (LedgerMachine,), {}))
    run_state_machine_as_test(
        kind,
        settings=settings(
            max_examples=runs, stateful_step_count=steps, deadline=None, derandomize=of_seed is None, database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
    return LedgerMachine.steps_taken
