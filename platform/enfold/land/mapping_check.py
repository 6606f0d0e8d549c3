"""Is a mapping file what it should be? Every fault is said with the rule and the key, and how to mend it."""

from collections.abc import Sequence
from typing import Any

from enfold import schema
from enfold.errors import UsageError

TOP = {"version", "about", "rules", "ignore", "ignore_columns", "optional"}
CONDITION = {"present", "equals", "differs"}
RULE = CONDITION | {"name", "emits", "key", "occasion_key", "fields", "otherwise"}
FORMS = ({"constant"}, {"column"}, {"column", "codes"}, {"column", "part"}, {"column", "digits"},
         {"column", "lower"}, {"column", "codes", "lower"}, {"first"})  # fmt: skip
HOW = "See docs/how-to/land-data.md for the format."


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
        """Check `present`, `equals` and `differs`."""
        if "present" in spec:
            self.texts(spec["present"], at, "`present`")
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
        self.need(spec.get("part", "text") in ("number", "comparator", "text"), at, "`part` is not known",
                  "Parts: number, comparator, text.")  # fmt: skip
        digits = spec.get("digits", 15)
        self.need(type(digits) is int and 1 <= digits <= 17, at, "`digits` is not a whole number from 1 to 17")
        self.need(isinstance(spec.get("lower", True), bool), at, "`lower` is neither true nor false")
        codes = spec.get("codes", {"": ""})
        self.need(isinstance(codes, dict) and codes and all(isinstance(v, str) for v in codes.values()), at,
                  "`codes` is not a table of texts")  # fmt: skip
        if "first" in spec:
            self.texts(spec["first"], at, "`first`")


def check(doc: dict[str, Any], name: str, envelope: Sequence[str]) -> None:
    """Check a parsed mapping file.

    Raises:
        UsageError: names the rule, the field and the key that is wrong, and what is allowed.
    """
    c = _Check(name)
    c.keys(doc, TOP, "the file")
    c.need(type(doc.get("version")) is int, "the file", "has no `version`, a whole number")
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
    for spec in c.tables(doc, "ignore"):
        c.keys(spec, CONDITION | {"name"}, f"[[ignore]] `{spec['name']}`")
        c.condition(spec, f"[[ignore]] `{spec['name']}`")
    for spec in c.tables(doc, "ignore_columns"):
        c.keys(spec, {"name", "columns"}, f"[[ignore_columns]] `{spec['name']}`")
        c.texts(spec.get("columns"), f"[[ignore_columns]] `{spec['name']}`", "`columns`")
    if "optional" in doc:
        c.texts(doc["optional"], "the file", "`optional`")
