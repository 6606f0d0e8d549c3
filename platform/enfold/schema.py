"""Schemas: one TOML file says what one row of one kind is; everything else is derived from it.

A closed vocabulary of field kinds maps to Arrow here and nowhere else. `number` is an exact
decimal with 9 places; no clinical value is ever a binary float.

What a study's plugins add is in force within `using(added)`; docs/decisions/0008-added-definitions.md says why.
"""

import contextlib
import json
import tomllib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cache, lru_cache
from importlib.resources.abc import Traversable
from typing import Any, cast

import pyarrow as pa

from enfold.errors import UsageError
from enfold.shipped import shipped

NUMBER = pa.decimal128(38, 9)
KINDS: dict[str, pa.DataType] = {
    "id": pa.string(),  # an identifier, compared and never computed with
    "code": pa.string(),  # a term of a vocabulary, open unless the field lists `codes`
    "text": pa.string(),  # free text
    "when": pa.string(),  # ISO 8601 as collected, possibly partial, zone or offset if given
    "number": NUMBER,  # exact decimal
    "count": pa.int64(),  # whole number
    "flag": pa.bool_(),  # yes, no, or null for unknown
    "date": pa.date32(),  # local calendar date
    "instant": pa.timestamp("us", tz="UTC"),
    "ids": pa.list_(pa.string()),  # identifiers, sorted
}


@dataclass(frozen=True)
class Field:
    """One column: its kind, whether it may be absent, and the values it may take."""

    name: str
    kind: str
    about: str
    optional: bool = False
    content: bool = False  # envelope only: part of the event's content
    codes: tuple[str, ...] = ()
    range: tuple[Decimal, Decimal] | None = None

    def arrow(self) -> pa.Field:
        """Return the Arrow field."""
        return pa.field(self.name, KINDS[self.kind], nullable=self.optional)


@dataclass(frozen=True)
class Table:
    """One schema file: an event type, a state table, a result table or the envelope."""

    name: str
    class_: str
    version: int
    about: str
    fields: tuple[Field, ...]
    key: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in schema order."""
        return tuple(f.name for f in self.fields)

    def __getitem__(self, name: str) -> Field:
        """Return the field called `name`."""
        return next(f for f in self.fields if f.name == name)

    def arrow(self) -> pa.Schema:
        """Return the Arrow schema."""
        return pa.schema([f.arrow() for f in self.fields])


@dataclass(frozen=True)
class Item:
    """One item of an instrument: a code list, or a number with range and unit."""

    code: str
    about: str
    codes: tuple[str, ...] = ()
    range: tuple[Decimal, Decimal] | None = None
    integer: bool = False
    unit: str | None = None
    units: tuple[str, ...] = ()
    weight: int | None = None
    system: str | None = None
    clinical: bool | None = None
    optional: bool = False  # a form is complete without it
    never_again: tuple[str, ...] = ()  # codes that cannot follow another code of the item
    needs_range: bool = False  # a result without the laboratory's range cannot be judged


@dataclass(frozen=True)
class Instrument:
    """A named set of items, with the source that defines it."""

    name: str
    version: int
    about: str
    source: str
    items: tuple[Item, ...] = field(default=())
    window: str | None = None
    both_stand: bool = False  # two values at one instant both stand: safety rules take the worse
    open: bool = False  # items beyond those listed may come: the source's own test codes
    complete: str = "all"  # a form is complete with `all` items known, or with `any` of them

    @property
    def codes(self) -> tuple[str, ...]:
        """Item codes in schema order."""
        return tuple(i.code for i in self.items)


def table_from(doc: dict[str, Any], where: str) -> Table:
    """Build a table from a parsed TOML document; `where` names the file in errors."""
    fields = []
    for name, spec in cast("dict[str, dict[str, Any]]", doc.get("fields", {})).items():
        if spec.get("kind") not in KINDS:
            msg = f"{where}: field `{name}` has kind `{spec.get('kind')}`"
            raise UsageError(msg, remedy=f"Use one of: {', '.join(KINDS)}.")
        unknown = set(spec) - {"kind", "about", "optional", "content", "codes", "range"}
        if unknown or not spec.get("about"):
            msg = f"{where}: field `{name}`: unknown keys {sorted(unknown)} or no `about`"
            raise UsageError(msg, remedy="See docs/reference/schemas.md for the format.")
        fields.append(
            Field(
                name=name,
                kind=spec["kind"],
                about=spec["about"],
                optional=spec.get("optional", False),
                content=spec.get("content", False),
                codes=tuple(spec.get("codes", ())),
                range=_range(spec),
            )
        )
    return Table(
        name=doc["name"],
        class_=doc["class"],
        version=doc["version"],
        about=doc["about"],
        fields=tuple(fields),
        key=tuple(doc.get("key", ())),
    )


def to_toml(table: Table) -> str:
    """Return a table as a schema file says it."""
    text = {True: "true", False: "false"}
    out = [f"{k} = {json.dumps(v)}" for k, v in (("name", table.name), ("class", table.class_), ("about", table.about))]
    out += [f"version = {table.version}", f"key = {json.dumps(list(table.key))}"]
    for f in table.fields:
        out += [f"[fields.{f.name}]", f"kind = {json.dumps(f.kind)}", f"optional = {text[f.optional]}"]
        out += [f"about = {json.dumps(f.about)}"]
    return "\n".join(out) + "\n"


def instrument_from(doc: dict[str, Any]) -> Instrument:
    """Build an instrument from a parsed TOML document."""
    items = tuple(
        Item(
            code=code,
            about=spec["about"],
            codes=tuple(spec.get("codes", ())),
            range=_range(spec),
            integer=spec.get("integer", False),
            unit=spec.get("unit"),
            units=tuple(spec.get("units", [spec["unit"]] if "unit" in spec else ())),
            weight=spec.get("weight"),
            system=spec.get("system"),
            clinical=spec.get("clinical"),
            optional=spec.get("optional", False),
            never_again=tuple(spec.get("never_again", ())),
            needs_range=spec.get("needs_range", False),
        )
        for code, spec in doc.get("items", {}).items()
    )
    return Instrument(
        name=doc["name"],
        version=doc["version"],
        about=doc["about"],
        source=doc["source"],
        items=items,
        window=doc.get("window"),
        both_stand=doc.get("both_stand", False),
        open=doc.get("open", False),
        complete=doc.get("complete", "all"),
    )


def _range(spec: dict[str, Any]) -> tuple[Decimal, Decimal] | None:
    if "range" not in spec:
        return None
    low, high = spec["range"]
    return Decimal(str(low)), Decimal(str(high))


def _documents(folder: str) -> list[tuple[str, dict[str, Any]]]:
    root: Traversable = shipped("schemas") / folder
    paths = sorted((p for p in root.iterdir() if p.name.endswith(".toml")), key=lambda p: p.name)
    return [(f"schemas/{folder}/{p.name}", tomllib.loads(p.read_text("utf-8"))) for p in paths]


@dataclass(frozen=True)
class Added:
    """What plugins add to the schemas that ship with enfold, as the files that say it.

    `files` holds sorted pairs of name and text: `events/NAME.toml`, `instruments/NAME.toml`,
    `expectations/PLUGIN/EVENT_TYPE.json`, `mappings/PLUGIN/NAME.toml`, and `plugins.json`: by plugin its version,
    its SHA-256 and the names of its files. The ledger stores them.
    """

    files: tuple[tuple[str, str], ...] = ()

    @property
    def owners(self) -> dict[str, dict[str, Any]]:
        """Version, SHA-256 and file names by plugin."""
        return dict(json.loads(dict(self.files).get("plugins.json", "{}")))

    def within(self, folder: str) -> dict[str, str]:
        """Return the texts below `folder`, by file name without it."""
        return {n.removeprefix(f"{folder}/"): t for n, t in self.files if n.startswith(f"{folder}/")}


NOTHING = Added()
_IN_FORCE: ContextVar[Added] = ContextVar("added", default=NOTHING)


def added() -> Added:
    """Return what plugins add, as it is in force here."""
    return _IN_FORCE.get()


@contextlib.contextmanager
def using(more: Added) -> Iterator[None]:
    """Put what plugins add in force: in this thread, until the end of the block, instead of what was before."""
    token = _IN_FORCE.set(more)
    try:
        yield
    finally:
        _IN_FORCE.reset(token)


@cache
def envelope() -> Table:
    """Return the envelope that every event carries."""
    path = shipped("schemas") / "envelope.toml"
    return table_from(tomllib.loads(path.read_text("utf-8")), "schemas/envelope.toml")


@cache
def shipped_tables(folder: str) -> dict[str, Table]:
    """Return the tables of one folder of `schemas/` that ship with enfold: `events`, `state` or `results`."""
    return {t.name: t for t in (table_from(doc, where) for where, doc in _documents(folder))}


def events() -> dict[str, Table]:
    """Return the body schema of every event type, by name; those that plugins add come last."""
    return _events(added())


@lru_cache(maxsize=16)
def _events(more: Added) -> dict[str, Table]:
    return {**shipped_tables("events"), **added_events(more)}


@lru_cache(maxsize=16)
def added_events(more: Added) -> dict[str, Table]:
    """Return the event types that plugins add, by name."""
    tables = (table_from(tomllib.loads(text), name) for name, text in more.within("events").items())
    return {t.name: t for t in tables}


def state() -> dict[str, Table]:
    """Return every state table, by name; each event type that a plugin adds has one of its own."""
    return _state(added())


@lru_cache(maxsize=16)
def _state(more: Added) -> dict[str, Table]:
    return {**shipped_tables("state"), **{n: facts_of(t) for n, t in added_events(more).items()}}


FACT = (
    Field("study_id", "id", "Study."),
    Field("subject_id", "id", "Subject."),
    Field("period", "count", "Treatment period, as in `findings`.", optional=True),
    Field("fact_id", "id", "Fact id: the id of the first version of the event."),
    Field("occasion_id", "id", "Occasion, as collected.", optional=True),
    Field("collected_visit_id", "id", "Visit as collected.", optional=True),
    Field("visit_id", "id", "Visit in whose window its date lies, as in `occasions`.", optional=True),
    Field("from_at", "instant", "Earliest instant (UTC).", optional=True),
    Field("until_at", "instant", "First instant after the interval in which it lies.", optional=True),
    Field("date", "date", "Local date where the day is known.", optional=True),
    Field("study_day", "count", "Study day without day 0.", optional=True),
    Field("infusion_day", "count", "Study day with infusion = day 0.", optional=True),
    Field("contested", "flag", "Live versions disagree; what they disagree on is absent."),
)
EVENT_IDS = Field("event_ids", "ids", "Events that the row rests on, sorted.")


def facts_of(event: Table) -> Table:
    """Return the state table of an added event type: one row for each fact that stands."""
    body = tuple(replace(f, optional=True) for f in event.fields)  # a contested fact keeps what its versions agree on
    about = f"Facts that stand, one row each: {event.about}"
    key = ("study_id", "subject_id", "fact_id")
    return Table(event.name, "state", event.version, about, (*FACT, *body, EVENT_IDS), key)


def results() -> dict[str, Table]:
    """Return the result tables `derived` and `verdicts`."""
    return shipped_tables("results")


def tables() -> dict[str, Table]:
    """Return all tables that a run makes: those of state, then results."""
    return {**state(), **results()}


def instruments() -> dict[str, Instrument]:
    """Return every instrument, by name; those that plugins add come last."""
    return _instruments(added())


@lru_cache(maxsize=16)
def _instruments(more: Added) -> dict[str, Instrument]:
    own = {i.name: i for i in (instrument_from(doc) for _, doc in _documents("instruments"))}
    theirs = (instrument_from(tomllib.loads(text)) for text in more.within("instruments").values())
    return own | {i.name: i for i in theirs}


def event_arrow(event_type: str) -> pa.Schema:
    """Return the Arrow schema of a whole event: envelope, then body."""
    return _event_arrow(event_type, added())


@lru_cache(maxsize=256)
def _event_arrow(event_type: str, more: Added) -> pa.Schema:
    return pa.schema([*envelope().arrow(), *_events(more)[event_type].arrow()])
