"""The six laws, for any endpoint or derivation, as a test class and as plain functions.

    from enfold.testing.laws import PluginLaws

    class TestPlugin(PluginLaws):
        plugin = "my_package"

order-free · patient-local · total per grain · repeatable · no foresight · honest.
"""

import datetime as dt
import random
from collections.abc import Callable
from functools import cache, cached_property
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from enfold import schema, study
from enfold.contract import Declaration, Derivation
from enfold.evaluate.call import evaluate
from enfold.evaluate.discover import Discovery
from enfold.evaluate.graph import plan
from enfold.fold.cut import Cut
from enfold.fold.fold import fold
from enfold.testing import histories
from enfold.testing.examples import PROTOCOL, examples, run
from enfold.testing.subject import subject

PATIENTS = 60
UNTIL = ("2026-04-10", "2026-05-08")
CUTOFF = "data_cutoff = 2026-12-31\n"
KEY = ("subject_id", "period", "visit_id", "occasion_id", "from_at", "criterion", "measure")


class Trial:
    """Generated patients for one declaration, and what it says of them."""

    def __init__(self, found: Discovery, asked: str, patients: int = PATIENTS) -> None:
        self.found, self.asked = found, asked
        chosen = found.offered[asked].declaration
        text = PROTOCOL.replace('time_zone = "UTC"\n', 'time_zone = "UTC"\n' + CUTOFF)
        if not isinstance(chosen, Derivation):
            text += f'[[endpoints]]\nendpoint = "{asked}"\n'
        self.study = study.parse("plugins = []\n" + text)
        self.tasks = plan(self.study, found, also=(asked,))
        if found.failures:
            raise AssertionError("; ".join(f"{f.declaration}: {f.message}" for f in found.failures))
        rows = histories.events([t.declaration for t in self.tasks], range(patients))
        self.events = {t: _arrow(t, mine) for t, mine in rows.items()}

    @cached_property
    def state(self) -> dict[str, pa.Table]:
        """The state tables."""
        return fold(self.events, self.study, Cut(1))

    @cached_property
    def rows(self) -> pa.Table:
        """What the declaration says of everybody."""
        return self.judged(self.state)

    def judged(self, state: dict[str, pa.Table], until: dt.date | None = None) -> pa.Table:
        """Return what the declaration says of `state`.

        Raises:
            AssertionError: it, or something that it needs, failed.
        """
        out = evaluate(self.tasks, state, self.study, until)
        assert not out.failures, "; ".join(f"{f.declaration} ({f.stage}): {f.message}" for f in out.failures)
        tables = {t.column("alias")[0].as_py(): t for t in [*out.verdicts, *out.derived] if t.num_rows}
        kind = schema.results()["derived" if isinstance(self.declaration, Derivation) else "verdicts"]
        return tables.get(self.asked, kind.arrow().empty_table())

    @property
    def declaration(self) -> Declaration:
        """The declaration."""
        return self.found.offered[self.asked].declaration


def order_free(trial: Trial) -> None:
    """The order of rows is not information."""
    rng = random.Random(1)
    shuffled = {}
    for name, table in trial.state.items():
        places = list(range(table.num_rows))
        rng.shuffle(places)
        shuffled[name] = table.take(pa.array(places, pa.int64()))
    assert trial.judged(shuffled).equals(trial.rows), "other answers for the same rows in another order"


def patient_local(trial: Trial) -> None:
    """A patient judged alone gets the same answers."""
    for one in trial.state["subjects"].column("subject_id").to_pylist()[::17]:
        own = {n: t.filter(pc.equal(t.column("subject_id"), one)) for n, t in trial.state.items()}
        among = trial.rows.filter(pc.equal(trial.rows.column("subject_id"), one))
        assert trial.judged(own).equals(among), "a patient judged alone gets other answers"


def total(trial: Trial) -> None:
    """There is one `overall` for each subject, period or due visit; episodes and intervals may be none."""
    if isinstance(trial.declaration, Derivation):
        return
    rows = [r for r in trial.rows.to_pylist() if r["criterion"] == "overall"]
    state = {n: trial.state[n].to_pylist() for n in ("subjects", "periods", "visits")}
    wanted: dict[str, tuple[set[Any], set[Any]]] = {
        "subject": ({(r["subject_id"],) for r in state["subjects"]}, {(r["subject_id"],) for r in rows}),
        "period": (
            {(r["subject_id"], r["period"]) for r in state["periods"]},
            {(r["subject_id"], r["period"]) for r in rows},
        ),
        "visit": (
            {(r["subject_id"], r["visit_id"]) for r in state["visits"] if r["scheduled"] and r["target_day"] > 0},
            {(r["subject_id"], r["visit_id"]) for r in rows},
        ),
    }
    need, have = wanted.get(trial.declaration.grain, (set(), set()))
    assert need <= have, f"{len(need - have)} of {len(need)} have no `overall`"


def repeatable(trial: Trial) -> None:
    """The same evidence gives the same bytes."""
    assert trial.judged(trial.state).equals(trial.rows), "other answers the second time"


def no_foresight(trial: Trial) -> None:
    """What is known from an instant does not change when everything after it is taken away."""
    for text in UNTIL:
        until = dt.datetime.fromisoformat(text + "T23:59:59.999999+00:00")
        early = trial.judged(fold(trial.events, trial.study, Cut(1, occurred_until=until)), until.date())
        then = {_key(r): r for r in early.to_pylist()}
        for row in trial.rows.to_pylist():
            if row["known_from"] is not None and row["known_from"] <= until:
                assert then.get(_key(row)) == row, "an answer known by then was another one at that time"


def honest(trial: Trial) -> None:
    """Marking a cited value unknown may make an answer unknown; it never turns it round."""
    if isinstance(trial.declaration, Derivation) or "findings" not in trial.state:
        return
    rng = random.Random(2)
    chosen: dict[str, tuple[dict[str, Any], str]] = {}
    for row in trial.rows.to_pylist():
        if row["criterion"] == "overall" and row["status"] in ("met", "not_met") and row["event_ids"]:
            chosen.setdefault(row["subject_id"], (row, rng.choice(row["event_ids"])))
    findings = trial.state["findings"].to_pylist()
    for f in findings:
        row, event = chosen.get(f["subject_id"], ({}, ""))
        if event in f["event_ids"]:
            f |= {"known": False, "doubt": "stated_unknown", "value_number": None, "value_code": None}
    table = pa.Table.from_pylist(findings, schema=trial.state["findings"].schema)
    after = {_key(r): r for r in trial.judged({**trial.state, "findings": table}).to_pylist()}
    for row, _ in chosen.values():
        now = after.get(_key(row))
        assert now is None or now["status"] in (row["status"], "not_evaluable"), "less knowledge turned an answer round"


LAWS: dict[str, Callable[[Trial], None]] = {
    "order-free": order_free,
    "patient-local": patient_local,
    "total": total,
    "repeatable": repeatable,
    "no foresight": no_foresight,
    "honest": honest,
}


def _arrow(event_type: str, rows: list[dict[str, Any]]) -> pa.Table:
    table = pa.Table.from_pylist(rows, schema=schema.event_arrow(event_type))
    return table.append_column("position", pa.array([1] * len(rows), pa.int64()))


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(k) for k in KEY)


@cache
def _trials(name: str, patients: int) -> list[Trial]:
    own = subject(name)
    return [Trial(own.found, declared, patients) for declared in own.found.installed]


class PluginLaws:
    """Subclass it and name the package: every law on every declaration, and every worked example beside the code.

    `plugin` may also be the path of a folder of endpoints without Python.
    """

    plugin: ClassVar[str]
    patients: ClassVar[int] = PATIENTS

    def found(self) -> Discovery:
        """Return what the package declares."""
        return subject(self.plugin).found

    def _all(self, law: Callable[[Trial], None]) -> None:
        own = subject(self.plugin)
        assert own.found.installed, "the package declares nothing"
        with schema.using(own.added):
            for trial in _trials(self.plugin, self.patients):
                law(trial)

    def test_order_free(self) -> None:
        """The order of rows is not information."""
        self._all(order_free)

    def test_patient_local(self) -> None:
        """A patient judged alone gets the same answers."""
        self._all(patient_local)

    def test_total(self) -> None:
        """Every subject, period or visit has its answer."""
        self._all(total)

    def test_repeatable(self) -> None:
        """The same evidence gives the same bytes."""
        self._all(repeatable)

    def test_no_foresight(self) -> None:
        """Later events change no earlier answer."""
        self._all(no_foresight)

    def test_honest(self) -> None:
        """Less knowledge never turns an answer round."""
        self._all(honest)

    def test_worked_examples(self) -> None:
        """Every row of every page beside the code."""
        own = subject(self.plugin)
        cases = [e for page in own.pages() for e in examples(page.name, page.read_text("utf-8"))]
        assert cases, "the package ships no worked example"
        with schema.using(own.added):
            wrong = [f"{o.example.page}:{o.example.line}: {w}" for o in run(cases, own.found) for w in o.wrong]
        assert not wrong, "\n".join(wrong)
