"""One misbehaving declaration costs its own results and those that need it, nothing else."""

import threading
from dataclasses import make_dataclass
from typing import Any

import pyarrow as pa
import pytest

from enfold.contract import Declaration, Derivation, Endpoint, Evidence, Parameters, SqlRule
from enfold.errors import ConflictError
from enfold.evaluate.call import evaluate
from enfold.evaluate.discover import Discovery, Offered
from enfold.evaluate.graph import plan
from enfold.fold.cut import Cut
from enfold.fold.fold import fold
from tests_support import STUDY, table

GOOD = "SELECT subject_id, 'overall' AS criterion, 'met' AS status FROM subjects"


def endpoint(id_: str, rule: Any, **extra: Any) -> Endpoint:
    usual = {"reads": {"subjects": ("sex",)}, "version": "1", "citation": "test", "grain": "subject"}
    return Endpoint(id=id_, rule=SqlRule(rule) if isinstance(rule, str) else rule, **{**usual, **extra})


def run(*declared: Declaration, threads: int = 1) -> tuple[dict[str, int], dict[str | None, str]]:
    """Return the number of rows by id, and the stage of each failure, both in the order of the results."""
    from enfold import study

    asked = "".join(f'[[endpoints]]\nendpoint = "{d.id}"\n' for d in declared if isinstance(d, Endpoint))
    parsed = study.parse(STUDY + asked)
    found = Discovery({d.id: Offered(d, "p", "0", "0") for d in declared})
    rows = table("enrolment", [{"event_id": f"e{i}", "subject_id": f"{i}"} for i in range(3)])
    state = fold({"enrolment": rows.append_column("position", pa.array([1] * 3))}, parsed, Cut(1))
    out = evaluate(plan(parsed, found), state, parsed, threads=threads)
    counts = {t.column("id")[0].as_py(): t.num_rows for t in [*out.verdicts, *out.derived] if t.num_rows}
    return counts, {f.declaration: f.stage for f in [*found.failures, *out.failures]}


def boom(seen: Evidence, at: Parameters) -> pa.Table:
    raise RuntimeError("no")


BAD: dict[str, tuple[Any, str]] = {
    "an exception": (boom, "compute"),
    "no table": (lambda seen, at: None, "return"),
    "an undeclared column": ("SELECT subject_id, arm FROM subjects", "compute"),
    "an undeclared table": ("SELECT * FROM verdicts", "compute"),
    "a file of the machine": ("SELECT * FROM read_csv('/etc/passwd')", "compute"),
    "a wrong column": (GOOD.replace("AS status", "AS status, 1 AS colour"), "return"),
    "a status outside the codes": (GOOD.replace("'met'", "'maybe'"), "return"),
    "no overall row": (GOOD.replace("'overall'", "'part'"), "return"),
    "a double key": (f"{GOOD} UNION ALL {GOOD}", "return"),
    "a foreign subject": (GOOD.replace("subject_id,", "'nobody' AS subject_id,"), "return"),
    "no status": (GOOD.replace("'met'", "NULL"), "return"),
    "a fraction where a grade belongs": (GOOD.replace("AS status", "AS status, 1.5 AS grade"), "return"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_fault_is_recorded_and_the_others_go_on(name: str) -> None:
    rule, stage = BAD[name]
    counts, failures = run(endpoint("bad", rule), endpoint("good", GOOD), endpoint("needs_bad", GOOD, needs=("bad",)))
    assert counts == {"good": 3}
    assert failures == {"bad": stage, "needs_bad": "compute"}


def test_what_reads_columns_that_do_not_exist_is_not_called() -> None:
    counts, failures = run(endpoint("bad", GOOD, reads={"subjects": ("colour",)}), endpoint("good", GOOD))
    assert (counts, failures) == ({"good": 3}, {"bad": "declare"})


def test_a_circle_is_refused_with_its_path() -> None:
    with pytest.raises(ConflictError, match=r"a -> b -> a|b -> a -> b"):
        run(endpoint("a", GOOD, needs=("b",)), endpoint("b", GOOD, needs=("a",)))


def test_a_python_rule_reads_what_a_derivation_wrote() -> None:
    def count(seen: Evidence, at: Parameters) -> pa.Table:
        n = seen.table("doubled").num_rows
        return seen.sql(
            "SELECT subject_id, 'overall' AS criterion, 'met' AS status, $n AS value_number FROM doubled", {"n": n}
        )

    doubled = Derivation(
        id="doubled", version="1", citation="t", grain="subject", reads={"subjects": ()},
        rule=SqlRule("SELECT subject_id, 'x' AS measure, 2 AS value_number FROM subjects"),
    )  # fmt: skip
    assert run(doubled, endpoint("counts", count, needs=("doubled",))) == ({"doubled": 3, "counts": 3}, {})


@pytest.mark.parametrize("wrong", [1.5, None])
def test_parameters_are_exact_scalars(wrong: object) -> None:
    made = make_dataclass("P", [("x", object, wrong)], bases=(Parameters,), frozen=True)
    with pytest.raises(TypeError, match="`x`"):
        endpoint("wrong", GOOD, parameters=made())


def test_a_rule_cannot_leave_anything_in_the_database_for_the_next() -> None:
    """Rules of a shard share a database: what one of them redefined would answer for all."""

    def redefines(seen: Evidence, at: Parameters) -> pa.Table:
        return seen.sql("CREATE OR REPLACE MACRO verdict(condition) AS 'met'")

    def tries_first(seen: Evidence, at: Parameters) -> pa.Table:
        with pytest.raises(ValueError, match="no_such_table"):
            seen.sql("SELECT * FROM no_such_table")
        return seen.sql(GOOD)

    rows, failures = run(
        endpoint("a_redefines", redefines),
        endpoint("b_uses", GOOD.replace("'met'", "verdict(CAST(NULL AS BOOLEAN))")),
        endpoint("c_tries", tries_first),
    )
    assert failures == {"a_redefines": "compute"}
    assert rows == {"b_uses": 3, "c_tries": 3}


def test_rules_are_called_at_once_and_give_the_same_in_the_same_order() -> None:
    def after(met: threading.Barrier) -> Any:
        def rule(seen: Evidence, at: Parameters) -> pa.Table:
            met.wait(timeout=20)
            return seen.sql(GOOD)

        return rule

    def declared(threads: int) -> list[Declaration]:
        met = threading.Barrier(threads)
        few = [endpoint(f"e{n}", after(met)) for n in range(4)]
        chain = [endpoint(f"f{n}", GOOD, needs=(f"e{n}",)) for n in (3, 1)]
        return [endpoint("g", GOOD, needs=("bad",)), *few, *chain, endpoint("bad", boom)]

    alone, together = (run(*declared(n), threads=n) for n in (1, 4))
    assert [*map(list, alone)] == [*map(list, together)]
    assert alone == together
    assert len(alone[0]) == 6
    assert set(alone[1]) == {"bad", "g"}
