"""Mappings: data, in TOML, that say how a row of a source becomes events.

A rule emits one event type for the rows that meet its conditions; a row may meet several rules,
or be ignored by a named rule, or is refused as unmapped. Conditions:

    present = ["AESTDTC"]                  # these columns hold a value
    equals  = { EXTRT = ["PLACEBO"] }      # the column holds one of these
    differs = { DSCAT = ["OTHER EVENT"] }  # the column holds something else, or nothing

A field is a column name, or a table: `column` with `codes` (source value to ours; `"*"` for all
others), or `constant`.
"""

import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from enfold import schema
from enfold.errors import UsageError
from enfold.land import limits
from enfold.ledger.storage import sha256
from enfold.shipped import shipped

ENVELOPE_TARGETS = tuple(n for n in schema.envelope().names if n not in {"source_file", "source_row", "schema_version"})


@dataclass(frozen=True)
class Condition:
    """When a rule applies; see the module's text."""

    present: tuple[str, ...] = ()
    equals: dict[str, list[str]] = field(default_factory=dict)
    differs: dict[str, list[str]] = field(default_factory=dict)

    def sql(self) -> str:
        """Return the condition as SQL over the source's text columns."""
        parts = [f"{quote(c)} IS NOT NULL" for c in self.present]
        parts += [f"coalesce({quote(c)} IN ({_list(v)}), false)" for c, v in self.equals.items()]
        parts += [f"coalesce({quote(c)} NOT IN ({_list(v)}), true)" for c, v in self.differs.items()]
        return " AND ".join(parts) if parts else "true"


@dataclass(frozen=True)
class Rule:
    """One kind of event that a row gives: target fields and what fills them."""

    name: str
    emits: str
    when: Condition
    key: tuple[str, ...]
    fields: dict[str, Any]
    occasion_key: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mapping:
    """One mapping file, or the identity for files in enfold's own columns."""

    name: str
    version: int
    digest: str
    rules: tuple[Rule, ...]
    ignore: tuple[tuple[str, Condition], ...] = ()
    columns: tuple[str, ...] = ()  # every column a rule names
    text: str | None = None  # the file itself; none for enfold's own columns

    @property
    def native(self) -> bool:
        """Whether the source is already in enfold's columns."""
        return self.name.startswith("native/")


def native(event_type: str, present: list[str]) -> Mapping:
    """Return the identity mapping for a file whose columns are enfold's own."""
    if event_type not in schema.events():
        msg = f"`{event_type}` is not an event type"
        raise UsageError(msg, remedy=f"Use one of {', '.join(schema.events())}, or a mapping.")
    known = {*schema.event_arrow(event_type).names} - {"schema_version", "source_file", "source_row"}
    unknown = sorted(set(present) - known - {"source_row"})
    if unknown:
        msg = f"columns {', '.join(unknown)} are not part of `{event_type}`"
        raise UsageError(msg, remedy=f"Remove or rename them; see docs/reference/schemas.md#{event_type}.")
    fields = {n: n for n in present if n in known}
    rule = Rule(event_type, event_type, Condition(), (), fields)
    return Mapping(f"native/{event_type}", 1, sha256(f"native {event_type} 1".encode()), (rule,))


@cache
def shipped_mapping(name: str) -> Mapping:
    """Return a mapping shipped under `schemas/mappings/`, for example `sdtm/ae`."""
    path = shipped("schemas") / "mappings" / f"{name}.toml"
    if not path.is_file():
        msg = f"no mapping called `{name}`"
        raise UsageError(msg, remedy="See schemas/mappings/, or give the path of a .toml file.")
    return parse(path.read_text("utf-8"), name)


def load(name: str) -> Mapping:
    """Return a mapping by shipped name or by the path of a TOML file."""
    if name.endswith(".toml"):
        return parse(limits.text_file(Path(name)), Path(name).stem)
    return shipped_mapping(name)


def parse(text: str, name: str) -> Mapping:
    """Parse a mapping file and check it against the schemas.

    Raises:
        UsageError: names the rule and key that is wrong, and what is allowed.
    """
    try:
        doc = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        msg = f"mapping {name}: not valid TOML: {error}"
        raise UsageError(msg) from None
    rules = []
    for spec in doc.get("rules", []):
        if spec.get("emits") not in schema.events():
            msg = f"mapping {name}: rule `{spec.get('name')}` emits `{spec.get('emits')}`"
            raise UsageError(msg, remedy=f"Event types: {', '.join(schema.events())}.")
        targets = {*ENVELOPE_TARGETS, *schema.events()[spec["emits"]].names}
        unknown = sorted(set(spec["fields"]) - targets)
        if unknown or not spec.get("key"):
            msg = f"mapping {name}: rule `{spec['name']}`: unknown fields {unknown} or no `key`"
            raise UsageError(msg, remedy="Give a natural key, and fields of the event type only.")
        rules.append(
            Rule(
                spec["name"],
                spec["emits"],
                _condition(spec),
                tuple(spec["key"]),
                spec["fields"],
                tuple(spec.get("occasion_key", ())),
            )
        )
    ignore = tuple((s["name"], _condition(s)) for s in doc.get("ignore", []))
    return Mapping(name, doc["version"], sha256(text.encode()), tuple(rules), ignore, _columns(rules, ignore), text)


def target_sql(spec: Any) -> str:
    """Return the SQL that fills one target field from the source's text columns."""
    if isinstance(spec, str):
        return quote(spec)
    if "constant" in spec:
        return literal(str(spec["constant"]))
    column = quote(spec["column"])
    codes = dict(spec.get("codes", {}))
    if not codes:
        return column
    rest = codes.pop("*", None)
    # an unmapped code stays as it is: the structural check names it, with row and column
    otherwise = literal(rest) if rest is not None else column
    cases = " ".join(f"WHEN {literal(k)} THEN {literal(v)}" for k, v in codes.items())
    return f"CASE WHEN {column} IS NULL THEN NULL ELSE CASE {column} {cases} ELSE {otherwise} END END"


def quote(name: str) -> str:
    """Return `name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return `text` as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def _list(values: list[str]) -> str:
    return ", ".join(literal(v) for v in values)


def _condition(spec: dict[str, Any]) -> Condition:
    return Condition(tuple(spec.get("present", ())), spec.get("equals", {}), spec.get("differs", {}))


def _columns(rules: list[Rule], ignore: tuple[tuple[str, Condition], ...]) -> tuple[str, ...]:
    names: set[str] = set()
    for condition in [*(r.when for r in rules), *(c for _, c in ignore)]:
        names |= {*condition.present, *condition.equals, *condition.differs}
    for rule in rules:
        names |= set(rule.key) | set(rule.occasion_key)
        for spec in rule.fields.values():
            if isinstance(spec, str):
                names.add(spec)
            elif "column" in spec:
                names.add(spec["column"])
    return tuple(sorted(names))
