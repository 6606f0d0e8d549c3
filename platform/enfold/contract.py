"""The whole public surface for plugin authors.

A plugin is a distribution of its own that imports this module and nothing else of the host.
Its hook only *registers* declarations; the host calls each declaration alone, on one shard of
subjects at one cut, and stamps what comes back:

    from enfold.contract import Endpoint, SqlRule, hookimpl

    doris = Endpoint(id="doris", version="2021", grain="visit", reads=..., rule=SqlRule("doris.sql"))

    @hookimpl
    def enfold_declarations():
        return [doris]

Rules see the state tables (and columns) they declare in `reads`, and the derivations and
endpoints they name there, as SQL views. Parameters are bound by name (`$threshold`).
"""

import collections
import contextlib
import gc
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from enum import Enum
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import pluggy
import pyarrow as pa
import pyarrow.compute as pc

__all__ = [
    "Clauses",
    "Declaration",
    "Derivation",
    "Endpoint",
    "Evidence",
    "Measure",
    "Parameters",
    "Patient",
    "PatientRule",
    "SqlRule",
    "Verdict",
    "all_met",
    "hookimpl",
    "parameter_digest",
    "status",
]

PROJECT = "enfold"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

GRAINS = ("subject", "period", "visit", "episode", "interval")
MEANINGS = ("response", "event", "conformity", "value")
PARAMETER_TYPES = (Decimal, int, str, bool, Enum)


class Evidence(Protocol):
    """What a rule may see: one shard of subjects, at one cut, only what was declared.

    Every declared state table, derivation and endpoint is a view of that name. Columns that
    were not declared do not exist, so `reads` is true lineage.
    """

    def sql(self, query: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Run one SELECT and return Arrow; `$name` in the query binds `parameters["name"]`."""
        ...

    def table(self, name: str) -> pa.Table:
        """Return one declared table as Arrow; its rows come in no order that means anything."""
        ...

    def subjects(self) -> list[str]:
        """Return the ids of every subject of the shard, sorted; also of those without a row anywhere."""
        ...

    def declared(self) -> list[str]:
        """Return the names of the state tables, derivations and endpoints that may be read, sorted."""
        ...


@dataclass(frozen=True)
class Parameters:
    """Base of a declaration's parameters: a frozen dataclass of scalars, never floats."""


Rule = Callable[[Evidence, Any], pa.Table]


@dataclass(frozen=True)
class SqlRule:
    """A rule as SQL text: one or more CTEs and a SELECT in a `.sql` file beside the plugin.

    `text` is the query. Every parameter that the text names as `$name` is bound.
    """

    text: str

    def __call__(self, seen: Evidence, at: Parameters) -> pa.Table:
        """Run the text on the evidence with the parameters that it names."""
        return seen.sql(self.text, parameter_values(at))


@dataclass(frozen=True)
class Clauses(SqlRule):
    """A SQL rule at visit grain that returns clauses; their three-valued AND becomes `overall`.

    The query returns `subject_id, visit_id, held, criterion, status, reason, compared, flags,
    known_from, event_ids`. Where `held` (the visit's status) is `not_due`, the clause does not apply.
    """

    def __call__(self, seen: Evidence, at: Parameters) -> pa.Table:
        """Run the text and add the overall rows."""
        return seen.sql(_OVERALL.format(clauses=self.text), parameter_values(at))


_OVERALL = """
WITH clauses AS ({clauses}
), due AS (
    SELECT * REPLACE (
        CASE WHEN held = 'not_due' THEN 'not_applicable' ELSE status END AS status,
        CASE WHEN held = 'not_due' THEN 'the visit is not due at this cut' ELSE reason END AS reason)
    FROM clauses
), failing AS (
    SELECT *, CASE WHEN status <> 'met' THEN criterion || ': ' || coalesce(reason, status) END AS why FROM due
)
SELECT subject_id, 1 AS period, visit_id, criterion, status, reason, compared, flags, known_from, event_ids FROM due
UNION ALL
SELECT subject_id, 1, visit_id, 'overall', all_met(list(status)), string_agg(DISTINCT why, '; ' ORDER BY why), NULL,
       flatten(list(flags)), max(known_from), flatten(list(event_ids))
FROM failing GROUP BY subject_id, visit_id
"""


class Verdict(NamedTuple):
    """One criterion of an endpoint for one patient, as a `PatientRule` answers it.

    Attributes:
        status: `met`, `not_met`, `not_evaluable` or `not_applicable`.
        criterion: Which one; `overall` is the endpoint's own answer.
        period: Treatment period, where the endpoint has one.
        visit_id: Visit, at visit grain.
        occasion_id: Occasion, where one form is meant.
        from_at: Start of the time it speaks of.
        until_at: End of it.
        grade: Grade proven, for graded endpoints.
        grade_upper: Upper bound of the grade.
        value_number: Value, for measured endpoints; exact.
        value_code: Code or text of the value.
        flags: What a reader must see although it decides nothing.
        reason: Why, in words; names criteria and items, never values.
        compared: The values compared, in words; for explanations only.
        known_from: The latest of the cited events, reviews and window end.
        event_ids: Events that it rests on.
    """

    status: str
    criterion: str = "overall"
    period: int | None = None
    visit_id: str | None = None
    occasion_id: str | None = None
    from_at: datetime | None = None
    until_at: datetime | None = None
    grade: int | None = None
    grade_upper: int | None = None
    value_number: Decimal | None = None
    value_code: str | None = None
    flags: Sequence[str] = ()
    reason: str | None = None
    compared: str | None = None
    known_from: datetime | None = None
    event_ids: Sequence[str] = ()


class Measure(NamedTuple):
    """One measure of a derivation for one patient, as a `PatientRule` answers it.

    Attributes:
        measure: What was derived.
        period: Treatment period, where there is one.
        visit_id: Visit, at visit grain.
        occasion_id: Occasion, where one form is meant.
        from_at: Start of the time it speaks of.
        until_at: End of it.
        value_number: Value, exact.
        value_code: Value as a code.
        value_flag: Value as yes, no or (absent) unknown.
        lower: Lower bound under what is missing.
        upper: Upper bound under what is missing.
        reason: Why, in words; never values.
        known_from: The latest of the cited events, reviews and window end.
        event_ids: Events that it rests on.
    """

    measure: str
    period: int | None = None
    visit_id: str | None = None
    occasion_id: str | None = None
    from_at: datetime | None = None
    until_at: datetime | None = None
    value_number: Decimal | None = None
    value_code: str | None = None
    value_flag: bool | None = None
    lower: Decimal | None = None
    upper: Decimal | None = None
    reason: str | None = None
    known_from: datetime | None = None
    event_ids: Sequence[str] = ()


class Patient:
    """One patient's typed history: for every declared table a tuple of rows, by the table's name.

    `patient.findings` holds named tuples with the declared columns: exact `Decimal` for numbers, aware
    `datetime` in UTC for instants, `date`, `bool`, `str`, and `None` for what is not known. Rows are
    sorted by their columns from left to right, so their order carries no information.
    """

    def __init__(self, subject_id: str, tables: Mapping[str, tuple[Any, ...]]) -> None:
        self.subject_id = subject_id
        self._tables = tables

    def __getattr__(self, name: str) -> tuple[Any, ...]:
        """Return the patient's rows of a declared table.

        Raises:
            AttributeError: it was not declared in `reads` or `needs`.
        """
        if name.startswith("_") or name not in self._tables:
            msg = f"`{name}` is not declared; declared are {', '.join(sorted(self._tables))}"
            raise AttributeError(msg)
        return self._tables[name]


@dataclass(frozen=True)
class PatientRule:
    """A rule as a Python function of one patient; the host reads a shard at once and calls it for each.

    Attributes:
        judge: Gets a `Patient` and the parameters, and returns `Verdict`s (an endpoint) or `Measure`s (a derivation).
        where: By table, an SQL condition on its rows, e.g. `{"findings": "instrument = 'PGA' AND known"}`. Other rows
            are not turned into Python, which is most of what this style costs. Parameters are not bound in it.
    """

    judge: Callable[[Patient, Any], Iterable[Verdict | Measure]]
    where: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, seen: Evidence, at: Parameters) -> pa.Table:
        """Judge every patient of the shard."""
        foreign = sorted(set(self.where) - set(seen.declared()))
        if foreign:
            msg = f"`where` names {', '.join(foreign)}, which the declaration does not read"
            raise ValueError(msg)
        answers: list[tuple[str, Verdict | Measure]] = []
        with _no_collection():
            histories = {name: _by_subject(seen, name, self.where.get(name, "true")) for name in seen.declared()}
            for subject in seen.subjects():
                patient = Patient(subject, {name: rows.get(subject, ()) for name, rows in histories.items()})
                answers += [(subject, answer) for answer in self.judge(patient, at)]
        kind = Measure if answers and isinstance(answers[0][1], Measure) else Verdict
        wrong = next((type(a).__name__ for _, a in answers if type(a) is not kind), None)
        if wrong:
            msg = f"a patient rule returned {wrong} among {kind.__name__}"
            raise TypeError(msg)
        by_name: list[Sequence[Any]] = list(zip(*(a for _, a in answers), strict=True)) or [()] * len(kind._fields)
        columns: dict[str, Any] = {"subject_id": pa.array([s for s, _ in answers], pa.string())}
        for name, values in zip(kind._fields, by_name, strict=True):
            if name == "flags":
                values = [v or None for v in values]  # no flag is no list, as SQL rules have it
            columns[name] = pa.array(values, _ANSWER_TYPES[name])
        return pa.table(columns)


_ANSWER_TYPES = {
    **dict.fromkeys(("status", "criterion", "measure", "visit_id", "occasion_id", "value_code", "reason", "compared"),
                    pa.string()),
    **dict.fromkeys(("period", "grade", "grade_upper"), pa.int64()),
    **dict.fromkeys(("value_number", "lower", "upper"), pa.decimal128(38, 9)),
    **dict.fromkeys(("from_at", "until_at", "known_from"), pa.timestamp("us", "UTC")),
    **dict.fromkeys(("flags", "event_ids"), pa.list_(pa.string())),
    "value_flag": pa.bool_(),
}  # fmt: skip


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Keep Python from looking for circles among millions of rows that hold none: it takes a third of the time."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _by_subject(seen: Evidence, name: str, where: str) -> dict[str, tuple[Any, ...]]:
    """Return rows by subject, each a named tuple; sorted, so that order carries no information."""
    table = seen.sql(f'SELECT * FROM "{name}" WHERE {where} ORDER BY subject_id, COLUMNS(*)')
    make: Any = collections.namedtuple
    row = make(name, table.column_names)
    rows = list(map(row._make, zip(*(_values(c) for c in table.columns), strict=True)))
    runs = pc.run_end_encode(table.column("subject_id").combine_chunks())
    ends = runs.run_ends.to_pylist()
    begins = [0, *ends][: len(ends)]
    return {s: tuple(rows[b:e]) for s, b, e in zip(runs.values.to_pylist(), begins, ends, strict=True)}


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Return the values as Python has them; each distinct one is made once, which is most of the cost."""
    if pa.types.is_boolean(column.type):
        return list(column.to_pylist())
    if pa.types.is_list(column.type):
        lists = column.combine_chunks()
        words, bounds = lists.values.to_pylist(), lists.offsets.to_pylist()
        out: list[Any] = [words[b:e] for b, e in pairwise(bounds)]
        for place in pc.indices_nonzero(lists.is_null()).to_pylist():
            out[place] = None
        return out
    coded = column.combine_chunks().dictionary_encode()
    distinct = [*coded.dictionary.to_pylist(), None]
    return [distinct[place] for place in coded.indices.fill_null(len(distinct) - 1).to_pylist()]


def status(condition: bool | None) -> str:
    """Return `met`, `not_met`, or `not_evaluable` where the condition is not known."""
    return "not_evaluable" if condition is None else "met" if condition else "not_met"


def all_met(statuses: Iterable[str]) -> str:
    """Return the three-valued AND: any `not_met` decides, else anything unknown keeps it unknown."""
    seen = set(statuses)
    return next((s for s in ("not_met", "not_evaluable", "met") if s in seen), "not_applicable")


@dataclass(frozen=True)
class Declaration:
    """What a plugin offers.

    Attributes:
        id: Name, unique among all declarations; also the view under which others read it.
        version: Version of the definition, as a protocol would cite it.
        citation: Where the definition is published, or who decided it.
        grain: What one result stands for.
        reads: State tables with the columns read, e.g. `{"findings": ("item", "value_code")}`.
            Key columns (`study_id`, `subject_id`) always exist.
        needs: Derivations and endpoints read, by id.
        instruments: Instruments whose items the rule looks at.
        rule: The computation: `SqlRule`, or any callable of evidence and parameters.
        parameters: An instance of a frozen dataclass holding the published defaults.
        criteria: What each criterion asks, in words, by name; `explain` prints it.
        met_means: `response`, `event` (a flare, a toxicity), `conformity` or `value` (measured); only
            responses are counted as such.
    """

    id: str
    version: str
    citation: str
    grain: str
    reads: Mapping[str, Sequence[str]]
    rule: Rule
    needs: Sequence[str] = ()
    instruments: Sequence[str] = ()
    parameters: Parameters = Parameters()
    criteria: Mapping[str, str] = field(default_factory=dict)
    met_means: str = "response"

    def __post_init__(self) -> None:
        """Refuse a grain outside the vocabulary and parameters that are not exact scalars."""
        if self.grain not in GRAINS:
            msg = f"{self.id}: grain `{self.grain}` is not one of {', '.join(GRAINS)}"
            raise ValueError(msg)
        if self.met_means not in MEANINGS:
            msg = f"{self.id}: met_means `{self.met_means}` is not one of {', '.join(MEANINGS)}"
            raise ValueError(msg)
        for name, value in vars(self.parameters).items():
            if not isinstance(value, PARAMETER_TYPES):
                msg = f"{self.id}: parameter `{name}` is {type(value).__name__}; use Decimal, int, str, bool or Enum"
                raise TypeError(msg)


@dataclass(frozen=True)
class Derivation(Declaration):
    """A named, versioned computation on state that others may read.

    Its rule returns columns of `schemas/results/derived.toml`: at least `subject_id`, `measure`
    and one value column; `lower` and `upper` bound a value under what is missing.
    """


@dataclass(frozen=True)
class Endpoint(Declaration):
    """What a protocol cites.

    Its rule returns columns of `schemas/results/verdicts.toml`: at least `subject_id`,
    `criterion` and `status`, with one `overall` row per grain.
    """


class Hooks:
    """Hooks that enfold calls, in the order in which they fire."""

    @hookspec
    def enfold_declarations(self) -> Sequence[Declaration]:  # type: ignore[empty-body]
        """Return the derivations and endpoints of this plugin; called once, alone, at discovery."""


def parameter_values(at: Parameters) -> dict[str, Any]:
    """Return the parameters as plain scalars by name, enums as their values."""
    plain = {f.name: getattr(at, f.name) for f in fields(at)}
    return {k: v.value if isinstance(v, Enum) else v for k, v in plain.items()}


def parameter_digest(at: Parameters) -> str:
    """Return the first 16 hex digits of the SHA-256 over names and values, in name order."""
    text = "".join(
        f"{name}={type(value).__name__}:{_exact(value)};" for name, value in sorted(parameter_values(at).items())
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _exact(value: object) -> str:
    return format(value.normalize(), "f") if isinstance(value, Decimal) else str(value)
