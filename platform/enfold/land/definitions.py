"""Definitions that a plugin brings as data: instruments, event types, expectations, mappings; nothing is imported.

They lie in its package in the folders and formats of enfold's own:

    schemas/events/*.toml   schemas/instruments/*.toml   schemas/mappings/*.toml   expectations/*.json

Every name begins with the plugin's, dashes as underscores, and two underscores: plugin `acme-recist` defines
`acme_recist__lesion`. So two plugins cannot mean two things by one name, and a name says who is to be asked.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from enfold import schema
from enfold.errors import ConflictError, UsageError
from enfold.land import mapping
from enfold.land.names import namespace
from enfold.ledger.commits import sorted_json
from enfold.schema import Added

PLACE = re.compile(r"(?:^|/)(schemas/(?:events|instruments|mappings)/[^/]+\.toml|expectations/[^/]+\.json)$")
CLASSES = ("intervention", "finding", "event", "special_purpose")
RESERVED = {
    "study_id", "event_ids", "from_latest", "from_date", "slot", "position", "salt", "content", "source_row",
    "natural_key", "occasion_natural", *schema.envelope().names, *(f.name for f in schema.FACT),
}  # fmt: skip
EVENT = {"name", "class", "version", "about", "fields"}
FIELD = {"kind", "about", "optional", "codes", "range"}
INSTRUMENT = {"name", "class", "version", "about", "source", "items", "window", "both_stand", "open", "complete"}
ITEM = {
    "about", "codes", "range", "integer", "unit", "units", "weight", "system", "clinical", "optional", "never_again",
    "needs_range",
}  # fmt: skip
META = {"code", "severity", "column", "reads", "reason", "remedy"}
HOW = "docs/how-to/write-a-plugin.md gives the formats."


@dataclass(frozen=True)
class Brought:
    """What one plugin brings, as it is installed; `files` are named as in `schema.Added`."""

    plugin: str
    version: str
    sha256: str
    files: dict[str, str] = field(default_factory=dict)


def read(plugin: str, version: str, sha256: str, contents: Iterable[tuple[str, bytes]]) -> Brought:
    """Return the definitions among the files of a plugin, checked.

    Raises:
        UsageError: one is not what it should be; names plugin, file, key and remedy.
        ConflictError: two files define one name, or a name belongs to somebody else; names both.
    """
    one = _Reader(plugin)
    found = {n: data for n, data in contents if ".dist-info/" not in n and PLACE.search(n)}
    for kind in ("events", "instruments", "mappings", "expectations"):
        for name, data in found.items():
            if PurePosixPath(name).parent.name == kind:
                one.add(kind, name, data)
    with schema.using(Added(tuple(sorted(one.files.items())))):
        one.check_references()
    return Brought(plugin, version, sha256, one.files)


def merged(before: Added, brought: Mapping[str, Brought]) -> Added:
    """Return what is in force when plugins bring definitions on top of those that a ledger holds.

    Instruments and event types stay, also those that a plugin no longer brings: something may have landed under them.

    Raises:
        ConflictError: an event type does not keep the fields that it had, or something changed under its old version.
    """
    files = {n: t for n, t in before.files if n != "plugins.json"}
    owners = before.owners
    for name, new in sorted(brought.items()):
        old = set(owners.get(name, {}).get("files", ()))
        for file in old:
            if file in new.files and file.startswith(("events/", "instruments/")):
                _check_successor(name, file, files[file], new.files[file])
            elif not file.startswith(("events/", "instruments/")):
                del files[file]
        files |= new.files
        kept = sorted({*(f for f in old if f in files), *new.files})
        if kept:
            owners[name] = {"version": new.version, "sha256": new.sha256, "files": kept}
    if not owners:
        return schema.NOTHING
    files["plugins.json"] = sorted_json(owners).decode()
    return Added(tuple(sorted(files.items())))


def _check_successor(plugin: str, file: str, before: str, after: str) -> None:
    """Raise unless what was landed under the definition before can be read under the one after."""
    was, now = tomllib.loads(before), tomllib.loads(after)
    if was == now:
        return
    if now["version"] <= was["version"]:
        msg = f"plugin {plugin}: {file} differs from the one of the same version {was['version']} in this ledger"
        raise ConflictError(msg, remedy="A definition that changes needs a higher version.")
    if not file.startswith("events/"):
        return
    old, new = schema.table_from(was, file), schema.table_from(now, file)
    kept = all(f.name in new.names and new[f.name].kind == f.kind for f in old.fields)
    needed = {f.name for f in old.fields if not f.optional}
    if not kept or any(not f.optional and f.name not in needed for f in new.fields):
        msg = f"plugin {plugin}: {file}: what landed under version {old.version} does not fit version {new.version}"
        raise ConflictError(msg, remedy="Only optional fields may be added; anything else is a type of another name.")


class _Reader:
    """Reads and checks the definitions of one plugin; `files` is what it brings, `origin` where from."""

    def __init__(self, plugin: str) -> None:
        self.plugin, self.space = plugin, namespace(plugin)
        self.files: dict[str, str] = {}
        self.origin: dict[str, str] = {}

    def need(self, fine: object, where: str, what: str, remedy: str = HOW) -> None:
        """Raise unless `fine`."""
        if not fine:
            msg = f"plugin {self.plugin}: {where}: {what}"
            raise UsageError(msg, remedy=remedy)

    def keys(self, found: Mapping[str, Any], allowed: set[str], needed: set[str], where: str) -> None:
        """Raise at a key that means nothing, or that lacks."""
        unknown, missing = sorted(set(found) - allowed), sorted(needed - set(found))
        self.need(not unknown, where, f"unknown key {', '.join(unknown)}", f"Keys: {', '.join(sorted(allowed))}.")
        self.need(not missing, where, f"no {', '.join(missing)}")

    def add(self, kind: str, where: str, data: bytes) -> None:
        """Read and check one file, and note it under the name that it has in a ledger."""
        stem = PurePosixPath(where).stem
        try:
            text = data.decode("utf-8")
            doc: dict[str, Any] = json.loads(text) if kind == "expectations" else tomllib.loads(text)
        except ValueError as error:
            msg = f"plugin {self.plugin}: {where}: cannot be read: {error}"
            raise UsageError(msg, remedy=HOW) from None
        self.need(isinstance(doc, dict), where, "is not a table")
        if kind == "events":
            name = self.event(doc, where)
        elif kind == "instruments":
            name = self.instrument(doc, where)
        else:
            name = f"{self.plugin}/{stem}"
        key = f"{kind}/{name}.{'json' if kind == 'expectations' else 'toml'}"
        if key in self.files:
            msg = f"plugin {self.plugin}: {self.origin[key]} and {where} both define `{name}`"
            raise ConflictError(msg, remedy="Give one of them another name.")
        self.files[key], self.origin[key] = text, where

    def own_name(self, name: object, pattern: str, known: Iterable[str], where: str) -> str:
        """Return a name, or raise unless it is the plugin's own."""
        self.need(isinstance(name, str) and name, where, "has no `name`")
        name = str(name)
        if name in known:
            msg = f"plugin {self.plugin}: {where}: `{name}` is defined by enfold and by {self.plugin}"
            raise ConflictError(msg, remedy=f"Call it `{self.space}{name.lower()}`.")
        fine = name.startswith(self.space) and re.fullmatch(pattern, name.removeprefix(self.space)) and len(name) <= 100
        self.need(fine, where, f"`{name}` is not a name of this plugin",
                  f"Write `{self.space}` and then letters, digits and underscores.")  # fmt: skip
        return name

    def top(self, doc: dict[str, Any], where: str) -> None:
        """Check what events and instruments share."""
        self.need(type(doc["version"]) is int and doc["version"] > 0, where, "`version` is not a whole number above 0")
        self.need(isinstance(doc["about"], str) and doc["about"].strip(), where, "`about` says nothing")

    def values(self, spec: dict[str, Any], where: str) -> None:
        """Check what fields and items share."""
        self.need(isinstance(spec.get("about"), str) and spec["about"].strip(), where, "has no `about`")
        codes, span = spec.get("codes", ["x"]), spec.get("range", [0, 1])
        fine = isinstance(codes, list) and codes and all(isinstance(c, str) and c.isprintable() and c for c in codes)
        self.need(fine, where, "`codes` is not a list of texts")
        numbers = isinstance(span, list) and len(span) == 2 and all(type(v) in (int, float) for v in span)
        self.need(numbers and span[0] <= span[1], where, "`range` is not [lowest, highest]")

    def event(self, doc: dict[str, Any], where: str) -> str:
        """Check an event type and return its name."""
        self.keys(doc, EVENT, EVENT - {"fields"}, where)
        name = self.own_name(doc["name"], "[a-z][a-z0-9_]*", schema.shipped_tables("events"), where)
        self.top(doc, where)
        self.need(doc["class"] in CLASSES, where, f"`class` is not one of {', '.join(CLASSES)}")
        fields = doc.get("fields", {})
        self.need(isinstance(fields, dict), where, "`fields` is not a table")
        for column, spec in fields.items():
            at = f"{where}: field `{column}`"
            self.need(
                re.fullmatch("[a-z][a-z0-9_]*", column), at, "holds other than small letters, digits, underscores"
            )
            self.need(column not in RESERVED, at, "is a name that every event, or its state table, has already")
            self.keys(spec, FIELD, {"kind", "about"}, at)
            self.need(spec["kind"] in schema.KINDS and spec["kind"] != "ids", at, f"has kind `{spec['kind']}`",
                      f"Use one of: {', '.join(k for k in schema.KINDS if k != 'ids')}.")  # fmt: skip
            self.need(isinstance(spec.get("optional", False), bool), at, "`optional` is neither true nor false")
            self.values(spec, at)
        return name

    def instrument(self, doc: dict[str, Any], where: str) -> str:
        """Check an instrument and return its name."""
        self.keys(doc, INSTRUMENT, {"name", "version", "about", "source"}, where)
        name = self.own_name(doc["name"], "[A-Za-z][A-Za-z0-9_]*", _shipped_instruments(), where)
        self.top(doc, where)
        self.need(doc.get("class", "instrument") == "instrument", where, "`class` is not `instrument`")
        self.need(isinstance(doc["source"], str) and doc["source"].strip(), where, "`source` names nothing")
        self.need(doc.get("complete", "all") in ("all", "any"), where, "`complete` is neither `all` nor `any`")
        items = doc.get("items", {})
        self.need(
            isinstance(items, dict) and (items or doc.get("open") is True), where, "has no items, and is not open"
        )
        for code, spec in items.items():
            at = f"{where}: item `{code}`"
            self.need(
                re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", code), at, "is not letters, digits, `_`, `.` and `-`"
            )
            self.keys(spec, ITEM, {"about"}, at)
            self.values(spec, at)
            never = set(spec.get("never_again", ()))
            self.need(never <= set(spec.get("codes", ())), at, "`never_again` is not among its codes")
        return name

    def check_references(self) -> None:
        """Check mappings and expectations against the event types that there are, those of the plugin included."""
        for key, text in self.files.items():
            kind, where = key.split("/")[0], self.origin[key]
            stem = PurePosixPath(key).stem
            if kind == "mappings":
                if mapping.is_shipped_set(self.plugin):
                    msg = f"plugin {self.plugin}: {where}: mappings called `{self.plugin}/…` are enfold's"
                    raise ConflictError(msg, remedy="Give the distribution another name.")
                mapping.parse(text, f"{self.plugin}/{stem}")
            if kind == "expectations":
                self.suite(stem, json.loads(text), where)

    def suite(self, event_type: str, doc: dict[str, Any], where: str) -> None:
        """Check a suite: about what is the plugin's own, and complete in what the gate needs."""
        mine = event_type == "assessment" or event_type in schema.added_events(schema.added())
        self.need(mine, where, f"speaks of `{event_type}`", "A plugin may expect something of its own event types, and"
                  " of items of its own instruments: expectations/assessment.json.")  # fmt: skip
        self.keys(doc, {"name", "expectations"}, {"expectations"}, where)
        columns = {*schema.event_arrow(event_type).names}
        seen = set[str]()
        for spec in doc["expectations"]:
            self.keys(spec, {"type", "kwargs", "meta"}, {"type", "kwargs", "meta"}, where)
            meta = spec["meta"]
            self.keys(meta, META, META, where)
            at = f"{where}: expectation `{meta['code']}`"
            code = str(meta["code"])
            self.need(
                code.startswith(self.space) and code.isidentifier(), at, f"`code` does not begin with `{self.space}`"
            )
            self.need(code not in seen, at, "stands twice", "Give each a code of its own.")
            seen.add(code)
            self.need(str(spec["type"]).startswith("expect_"), at, "`type` is not an expectation of Great Expectations")
            self.need(meta["severity"] in ("refuse", "query"), at, "`severity` is neither `refuse` nor `query`")
            unknown = sorted({meta["column"], *meta["reads"]} - columns)
            self.need(not unknown, at, f"`{event_type}` has no column {', '.join(map(str, unknown))}")


def _shipped_instruments() -> dict[str, schema.Instrument]:
    with schema.using(schema.NOTHING):
        return schema.instruments()
