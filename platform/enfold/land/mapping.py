"""Mappings: data, in TOML, that say how a row of a source becomes events.

A rule emits one event type for the rows that meet its conditions; a row may meet several rules,
or be ignored by a named rule, or is refused as unmapped. Conditions:

    present = ["AESTDTC"]                  # these columns hold a value
    absent  = ["Value"]                    # these hold none
    equals  = { EXTRT = ["PLACEBO"] }      # the column holds one of these
    differs = { DSCAT = ["OTHER EVENT"] }  # the column holds something else, or nothing

A rule with `otherwise = true` takes what no rule before it takes. A field is a column name, or a table:

    { constant = "PGA" }
    { column = "SEX", codes = { F = "F", "*" = "U" } }  # source value to ours; "*" for all others
    { column = "LBSTRESC", part = "number" }             # of "<0.2": number, comparator, or text where it is neither
    { column = "CMDOSE", digits = 15 }                   # a double, to so many significant digits
    { column = "CMDECOD", lower = true }
    { first = ["VSTPT", "VSPOS"] }                       # the first that holds a value
    { column = "sbp", part = "missing" }                 # the missing-data code that stands in place of a value

A rule with `each = { sle_seizure = "SEIZURE", sle_rash = "RASH" }` gives one event for each of these columns that
holds a value; its fields read the item as `"*item"` and the value as `"*value"`.

`digits = { VISITNUM = 15 }` at the top of the file reads a column of doubles to so many significant digits wherever it
stands, keys and conditions included: 9.299999999999999 is visit 9.3.

Every column of a source is named by a rule or by an `[[ignore_columns]]` (`*` stands for any characters), or the file
is refused. Columns in `optional` may be absent. A `[source]` says how a file of one of `land/sources.py` is
read; there, a value that no rule reads which takes its row is refused too. land/mapping_check.py says what is wrong
with a mapping file.
"""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from enfold import schema
from enfold.errors import UsageError
from enfold.land import limits, mapping_check
from enfold.land.mapping_check import ITEM, VALUE, columns_of
from enfold.ledger.storage import sha256
from enfold.quoting import literal, quote
from enfold.shipped import shipped

RESULT = r"^\s*(<=|>=|<|>)?\s*([+-]?[0-9]+(\.[0-9]*)?)\s*$"  # a number, with its comparator
PARTS = {  # of a value
    "number": f"nullif(regexp_extract({{0}}, '{RESULT}', 2), '')",
    "comparator": f"nullif(regexp_extract({{0}}, '{RESULT}', 1), '')",
    "text": f"CASE WHEN NOT regexp_matches({{0}}, '{RESULT}') THEN {{0}} END",
}
ENVELOPE_TARGETS = tuple(n for n in schema.envelope().names if n not in {"source_file", "source_row", "schema_version"})


@dataclass(frozen=True)
class Condition:
    """When a rule applies; see the module's text."""

    present: tuple[str, ...] = ()
    otherwise: tuple["Condition", ...] = ()  # none of these holds
    equals: dict[str, list[str]] = field(default_factory=dict)
    differs: dict[str, list[str]] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    some: tuple[str, ...] = ()  # at least one of these columns holds a value

    def sql(self) -> str:
        """Return the condition as SQL over the source's text columns."""
        parts = [f"{quote(c)} IS NOT NULL" for c in self.present]
        parts += [f"{quote(c)} IS NULL" for c in self.absent]
        parts += [f"({' OR '.join(f'{quote(c)} IS NOT NULL' for c in self.some)})"] if self.some else []
        parts += [f"NOT ({c.sql()})" for c in self.otherwise]
        parts += [f"coalesce({quote(c)} IN ({_list(v)}), false)" for c, v in self.equals.items()]
        parts += [f"coalesce({quote(c)} NOT IN ({_list(v)}), true)" for c, v in self.differs.items()]
        return " AND ".join(parts) if parts else "true"

    @property
    def columns(self) -> set[str]:
        """The columns that it asks."""
        return self.deciding | {*self.present, *self.absent, *self.some}

    @property
    def deciding(self) -> set[str]:
        """The columns of whose values it asks more than whether they are there."""
        return {*self.equals, *self.differs}


@dataclass(frozen=True)
class Rule:
    """One kind of event that a row gives: target fields and what fills them."""

    name: str
    emits: str
    when: Condition
    key: tuple[str, ...]
    fields: dict[str, Any]
    occasion_key: tuple[str, ...] = ()
    each: dict[str, str] = field(default_factory=dict)  # item by column: an event for each that holds a value

    @property
    def columns(self) -> set[str]:
        """The source's columns that the rule reads."""
        return self.when.columns | self._filling | {*self.each}

    @property
    def _filling(self) -> set[str]:
        """The columns that keys and fields are made of."""
        names = {*self.key, *self.occasion_key}
        return names.union(*(columns_of(spec) for spec in self.fields.values())) - {ITEM, VALUE}

    def rows_sql(self) -> str:
        """Return SQL for the source's rows; of a rule with `each`, one for each value of those that it takes."""
        if not self.each:
            return "source"
        pairs = ", ".join(f"{{'item': {literal(i)}, 'value': {quote(c)}}}" for c, i in self.each.items())
        names = ", ".join(map(quote, [*sorted(self._filling), limits.ROW]))
        return (
            f"(SELECT {names}, pair.item AS {quote(ITEM)}, pair.value AS {quote(VALUE)}"
            f" FROM (SELECT {names}, unnest([{pairs}]) AS pair FROM source WHERE {self.when.sql()})"
            f" WHERE pair.value IS NOT NULL)"
        )


@dataclass(frozen=True)
class Mapping:
    """One mapping file, or the identity for files in enfold's own columns."""

    name: str
    version: int
    digest: str
    rules: tuple[Rule, ...]
    ignore: tuple[tuple[str, Condition], ...] = ()
    columns: tuple[str, ...] = ()  # every column a rule names
    ignore_columns: tuple[tuple[str, tuple[str, ...]], ...] = ()  # by the name of the rule that leaves them out
    optional: tuple[str, ...] = ()  # of `columns`, those that a file may lack
    about: str = ""
    text: str | None = None  # the file itself; none for enfold's own columns
    source: dict[str, Any] = field(default_factory=dict)  # how the file is read; none: by its ending
    digits: dict[str, int] = field(default_factory=dict)  # columns of doubles, and their significant digits

    @property
    def missing(self) -> tuple[str, ...]:
        """The codes that stand in place of a value."""
        return tuple(self.source.get("missing", ()))

    @property
    def sparse(self) -> bool:
        """Whether a column is there only if some row of the file has a value for it."""
        return bool(self.source) and self.source["format"] != "redcap"

    def leaves_out(self, column: str) -> str | None:
        """Return the rule that leaves a column out; None if none does."""
        for name, patterns in self.ignore_columns:
            if any(_fits(pattern, column) for pattern in patterns):
                return name
        return None

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


def is_shipped_set(name: str) -> bool:
    """Return whether enfold ships mappings of the name `name/…`."""
    return (shipped("schemas") / "mappings" / name).is_dir()


def load(name: str) -> Mapping:
    """Return a mapping by shipped name, by that of a plugin (`acme-recist/rs`), or by the path of a TOML file."""
    if name.endswith(".toml"):
        return parse(limits.text_file(Path(name)), Path(name).stem)
    added = schema.added().within("mappings")
    if f"{name}.toml" in added:
        return parse(added[f"{name}.toml"], name)
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
    mapping_check.check(doc, name, ENVELOPE_TARGETS)
    rules: list[Rule] = []
    for spec in doc.get("rules", []):
        before = tuple(r.when for r in rules) if spec.get("otherwise") else ()
        key, occasion, each = tuple(spec["key"]), tuple(spec.get("occasion_key", ())), spec.get("each", {})
        when = _condition(spec, before)
        rules.append(Rule(spec["name"], spec["emits"], when, key, spec["fields"], occasion, each))
    ignore = tuple((s["name"], _condition(s)) for s in doc.get("ignore", []))
    return Mapping(
        name, doc["version"], sha256(text.encode()), tuple(rules), ignore, _columns(rules, ignore),
        tuple((s["name"], tuple(s["columns"])) for s in doc.get("ignore_columns", [])),
        tuple(doc.get("optional", ())), doc.get("about", ""), text, doc.get("source", {}),
        doc.get("digits", {}),
    )  # fmt: skip


def target_sql(spec: Any, missing: tuple[str, ...] = ()) -> str:
    """Return the SQL that fills one target field from the source's text columns; `missing` codes are no values."""

    def value(name: str) -> str:
        column = quote(name)
        return f"CASE WHEN {column} NOT IN ({_list(missing)}) THEN {column} END" if missing else column

    if isinstance(spec, str):
        return value(spec)
    if "constant" in spec:
        return literal(str(spec["constant"]))
    if "first" in spec:
        found = f"coalesce({', '.join(map(value, spec['first']))})"
        return f"lower({found})" if spec.get("lower") else found
    column = value(spec["column"])
    if spec.get("part") == "missing":
        name = quote(spec["column"])
        column = f"CASE WHEN {name} IN ({_list(missing)}) THEN {name} END" if missing else "NULL"
    elif "part" in spec:
        return PARTS[spec["part"]].format(f"({column})")
    if "digits" in spec:
        return rounded(column, int(spec["digits"]))
    if spec.get("lower"):
        column = f"lower({column})"
    codes = dict(spec.get("codes", {}))
    if not codes:
        return column
    rest = codes.pop("*", None)
    # an unmapped code stays as it is: the structural check names it, with row and column
    otherwise = literal(rest) if rest is not None else column
    cases = " ".join(f"WHEN {literal(k)} THEN {literal(v)}" for k, v in codes.items()) or "WHEN NULL THEN NULL"
    return f"CASE WHEN {column} IS NULL THEN NULL ELSE CASE {column} {cases} ELSE {otherwise} END END"


def rounded(column: str, digits: int) -> str:
    """Return SQL for a double's decimal of at most `digits` significant digits; other text stays as it is."""
    short = f"CAST(printf('%.{digits}g', TRY_CAST({column} AS DOUBLE)) AS DECIMAL(38, 18))"
    plain = f"regexp_replace(regexp_replace(CAST({short} AS VARCHAR), '0+$', ''), '[.]$', '')"
    return f"CASE WHEN TRY_CAST({column} AS DOUBLE) IS NULL OR abs(TRY_CAST({column} AS DOUBLE)) >= 1e19 THEN {column} ELSE {plain} END"  # noqa: E501


def is_result(text: str) -> bool:
    """Return whether `part` takes a text for a number, with or without its comparator."""
    return re.search(RESULT, text) is not None


def _fits(pattern: str, column: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), column) is not None


def _list(values: Iterable[str]) -> str:
    return ", ".join(literal(v) for v in values)


def _condition(spec: dict[str, Any], before: tuple[Condition, ...] = ()) -> Condition:
    return Condition(
        tuple(spec.get("present", ())), before, spec.get("equals", {}), spec.get("differs", {}),
        tuple(spec.get("absent", ())), tuple(spec.get("each", {})),
    )  # fmt: skip


def _columns(rules: list[Rule], ignore: tuple[tuple[str, Condition], ...]) -> tuple[str, ...]:
    return tuple(sorted(set().union(*(r.columns for r in rules), *(c.columns for _, c in ignore))))
