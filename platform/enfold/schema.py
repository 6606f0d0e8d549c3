"""Schemas: one TOML file says what one row of one kind is; everything else is derived from it.

A closed vocabulary of field kinds maps to Arrow here and nowhere else. `number` is an exact
decimal with 9 places; no clinical value is ever a binary float.
"""

import tomllib
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
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


@cache
def envelope() -> Table:
    """Return the envelope that every event carries."""
    path = shipped("schemas") / "envelope.toml"
    return table_from(tomllib.loads(path.read_text("utf-8")), "schemas/envelope.toml")


def _tables(folder: str) -> dict[str, Table]:
    return {t.name: t for t in (table_from(doc, where) for where, doc in _documents(folder))}


@cache
def events() -> dict[str, Table]:
    """Return the body schema of every event type, by name."""
    return _tables("events")


@cache
def state() -> dict[str, Table]:
    """Return every state table, by name."""
    return _tables("state")


@cache
def results() -> dict[str, Table]:
    """Return the result tables `derived` and `verdicts`."""
    return _tables("results")


@cache
def instruments() -> dict[str, Instrument]:
    """Return every instrument, by name."""
    return {i.name: i for i in (instrument_from(doc) for _, doc in _documents("instruments"))}


@cache
def event_arrow(event_type: str) -> pa.Schema:
    """Return the Arrow schema of a whole event: envelope, then body."""
    return pa.schema([*envelope().arrow(), *events()[event_type].arrow()])
