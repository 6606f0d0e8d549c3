"""Is a mapping file what it should be? Every fault is said with the rule and the key, and how to mend it."""

import re
from collections.abc import Sequence
from typing import Any

from enfold import schema
from enfold.errors import UsageError

TOP = {"version", "about", "rules", "ignore", "ignore_columns", "optional", "source", "digits"}
CONDITION = {"present", "absent", "equals", "differs"}
RULE = CONDITION | {"name", "emits", "key", "occasion_key", "fields", "otherwise", "each"}
FORMS = ({"constant"}, {"column"}, {"column", "codes"}, {"column", "part"}, {"column", "part", "codes"},
         {"column", "digits"}, {"column", "lower"}, {"column", "codes", "lower"}, {"first"},
         {"first", "lower"})  # fmt: skip
PART = ("number", "comparator", "text", "missing")
ITEM, VALUE = "*item", "*value"  # what a rule with `each` reads
SOURCES: dict[str, dict[str, type]] = {  # what `[source]` may say, by format
    "redcap": {"missing": list, "choices": dict, "id": str},
    "odm": {"missing": list, "records": list, "carry": dict, "offset": str, "leave_out": list},
    "fhir-r4": {"subject_system": str},
    "fhir-r5": {"subject_system": str},
    "meds": {"missing": list},
}
HOW = "See docs/how-to/land-data.md for the format."


def columns_of(spec: Any) -> tuple[str, ...]:
    """Return the columns that fill a field."""
    if isinstance(spec, str):
        return (spec,)
    return (*spec.get("first", ()), *([spec["column"]] if "column" in spec else ()))


class _Check:
    """Checks one file; `at` says where in it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def need(self, fine: object, at: str, what: str, remedy: str = HOW) -> None:
        """Raise unless `fine`."""
        if not fine:
            msg = f"mapping {self.name}: {at}: {what}"
            raise UsageError(msg, remedy=remedy)

    def tables(self, doc: dict[str, Any], key: str) -> list[dict[str, Any]]:
        """Return the list of tables under `key`, each with a name of its own."""
        found = doc.get(key, [])
        self.need(isinstance(found, list) and all(isinstance(t, dict) for t in found), f"`{key}`",
                  f"is not written as [[{key}]]")  # fmt: skip
        names = [t.get("name") for t in found]
        for place, name in enumerate(names, 1):
            self.need(isinstance(name, str) and name, f"[[{key}]] {place}", "has no `name`")
            self.need(names.count(name) == 1, f"[[{key}]] `{name}`", "stands twice", "Give each a name of its own.")
        return list(found)

    def texts(self, value: object, at: str, what: str) -> None:
        """Raise unless `value` is a list of texts with at least one."""
        fine = isinstance(value, list) and value and all(isinstance(v, str) and v for v in value)
        self.need(fine, at, f"{what} is not a list of texts")

    def condition(self, spec: dict[str, Any], at: str) -> None:
        """Check `present`, `absent`, `equals` and `differs`."""
        for key in ("present", "absent"):
            if key in spec:
                self.texts(spec[key], at, f"`{key}`")
        for key in ("equals", "differs"):
            found = spec.get(key, {})
            self.need(isinstance(found, dict), at, f"`{key}` is not a table of columns")
            for column, values in found.items():
                self.texts(values, at, f"`{key}` of `{column}`")

    def keys(self, found: dict[str, Any], allowed: set[str], at: str) -> None:
        """Raise at a key that means nothing: it is likely misspelt."""
        unknown = sorted(set(found) - allowed)
        self.need(not unknown, at, f"unknown key {', '.join(unknown)}", f"Keys: {', '.join(sorted(allowed))}.")

    def field(self, spec: Any, at: str) -> None:
        """Check what fills one field."""
        if isinstance(spec, str):
            self.need(spec, at, "names no column")
            return
        self.need(isinstance(spec, dict) and set(spec) in FORMS, at, "is neither a column nor one of the tables",
                  "Tables: " + "; ".join(" + ".join(sorted(f)) for f in FORMS) + ".")  # fmt: skip
        self.need(isinstance(spec.get("column", ""), str), at, "`column` is not a text")
        self.need(isinstance(spec.get("constant", ""), str), at, "`constant` is not a text")
        part = spec.get("part", "text")
        self.need(part in PART, at, "`part` is not known", f"Parts: {', '.join(PART)}.")
        fits = "codes" not in spec or part == "missing" or "part" not in spec
        self.need(fits, at, "`codes` goes with no other `part` than missing")
        self.digits(spec.get("digits", 15), at)
        self.need(isinstance(spec.get("lower", True), bool), at, "`lower` is neither true nor false")
        codes = spec.get("codes", {"": ""})
        self.need(isinstance(codes, dict) and codes and all(isinstance(v, str) for v in codes.values()), at,
                  "`codes` is not a table of texts")  # fmt: skip
        if "first" in spec:
            self.texts(spec["first"], at, "`first`")

    def digits(self, value: object, at: str) -> None:
        """Raise unless `value` is a number of digits that a double may have."""
        fine = type(value) is int and 1 <= value <= 17
        self.need(fine, at, "`digits` is not a whole number from 1 to 17")

    def each(self, spec: dict[str, Any], at: str) -> None:
        """Check `each`, and that nothing else reads what it gives."""
        found = spec.get("each", {})
        self.need(isinstance(found, dict) and all(isinstance(v, str) and v for v in found.values()), at,
                  "`each` is not a table of items by column")  # fmt: skip
        self.need("each" not in spec or found, at, "`each` names no column")
        items = list(found.values())
        self.need(len(items) == len(set(items)), at, "`each` names an item twice")

    def source(self, doc: dict[str, Any]) -> None:
        """Check `[source]`."""
        found = doc.get("source", {"format": "redcap"})
        at = "[source]"
        self.need(isinstance(found, dict) and found.get("format") in SOURCES, at, "`format` is not known",
                  f"Formats: {', '.join(SOURCES)}.")  # fmt: skip
        allowed = SOURCES[found["format"]]
        self.keys(found, {"format", *allowed}, at)
        for key, value in found.items():
            self.need(isinstance(value, allowed.get(key, str)), at, f"`{key}` is not what it should be")
            texts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
            self.need(all(isinstance(v, str) and v for v in texts), at, f"`{key}` holds something else than texts")
        self.need(re.fullmatch(r"Z|[+-]\d\d:\d\d", found.get("offset", "Z")), at, "`offset` is not like +01:00")


def check(doc: dict[str, Any], name: str, envelope: Sequence[str]) -> None:
    """Check a parsed mapping file.

    Raises:
        UsageError: names the rule, the field and the key that is wrong, and what is allowed.
    """
    c = _Check(name)
    c.keys(doc, TOP, "the file")
    c.need(type(doc.get("version")) is int, "the file", "has no `version`, a whole number")
    c.source(doc)
    c.need(isinstance(doc.get("digits", {}), dict), "`digits`", "is not a table of columns")
    for column, value in doc.get("digits", {}).items():
        c.digits(value, f"`digits` of `{column}`")
    rules = c.tables(doc, "rules")
    c.need(rules or doc.get("ignore"), "the file", "has neither rules nor `ignore`")
    for place, spec in enumerate(rules):
        at = f"rule `{spec['name']}`"
        c.keys(spec, RULE, at)
        c.need(spec.get("emits") in schema.events(), at, f"emits `{spec.get('emits')}`",
               f"Event types: {', '.join(schema.events())}.")  # fmt: skip
        c.texts(spec.get("key"), at, "`key`, columns that tell one event from another,")
        if "occasion_key" in spec:
            c.texts(spec["occasion_key"], at, "`occasion_key`")
        c.condition(spec, at)
        c.each(spec, at)
        c.need(isinstance(spec.get("otherwise", True), bool), at, "`otherwise` is neither true nor false")
        c.need(place or not spec.get("otherwise"), at, "`otherwise` needs a rule before it")
        fields = spec.get("fields")
        c.need(isinstance(fields, dict) and fields, at, "has no `[rules.fields]`")
        c.keys(fields or {}, {*envelope, *schema.events()[spec["emits"]].names}, at + ", fields")
        needed = {"subject_id", *(f.name for f in schema.events()[spec["emits"]].fields if not f.optional)}
        absent = sorted(needed - set(fields or {}))
        c.need(not absent, at, f"nothing fills {', '.join(absent)}", "Each event of the type needs it.")
        for target, filled in (fields or {}).items():
            c.field(filled, f"{at}, field `{target}`")
        reads = {
            *spec["key"],
            *spec.get("occasion_key", ()),
            *(n for f in (fields or {}).values() for n in columns_of(f)),
        }
        c.need(spec.get("each") or not reads & {ITEM, VALUE}, at, f"reads `{ITEM}` or `{VALUE}` without `each`")
    for spec in c.tables(doc, "ignore"):
        c.keys(spec, CONDITION | {"name"}, f"[[ignore]] `{spec['name']}`")
        c.condition(spec, f"[[ignore]] `{spec['name']}`")
    for spec in c.tables(doc, "ignore_columns"):
        c.keys(spec, {"name", "columns"}, f"[[ignore_columns]] `{spec['name']}`")
        c.texts(spec.get("columns"), f"[[ignore_columns]] `{spec['name']}`", "`columns`")
    if "optional" in doc:
        c.texts(doc["optional"], "the file", "`optional`")
