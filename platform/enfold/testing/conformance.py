"""Conformance: what an installed plugin was asked, and how it answered. Used by `enfold plugin check`."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path, PurePath

import pyarrow as pa

from enfold import schema
from enfold.contract import Declaration
from enfold.errors import EnfoldError
from enfold.evaluate import definitions, discover, trust
from enfold.evaluate.discover import Discovery
from enfold.land import gate
from enfold.testing import histories
from enfold.testing.examples import examples, run
from enfold.testing.laws import LAWS, Trial


@dataclass(frozen=True)
class Finding:
    """One question to one declaration: `ok`, or what was wrong."""

    declaration: str
    law: str
    wrong: str | None


def check(name: str, study_folder: Path | None = None) -> list[Finding]:
    """Load one plugin, as it is now, in a guest unless it is ours, and put every law and worked example to it.

    What it needs of other plugins is taken from those shipped with enfold. Only generated patients are used, so the
    text of its errors is told.
    """
    added, wrong = definitions.in_force([name], study_folder)
    with schema.using(added):
        out = [Finding("definitions", f.stage, f.message) for f in wrong]
        out += [Finding(n.removesuffix(".toml"), "definition", None) for n, _ in added.files if n.endswith(".toml")]
        return [*out, *_suites(added), *_declarations(trust.normal(name), study_folder, added)]


def _suites(added: schema.Added) -> list[Finding]:
    """Run each suite on generated events: can its expectations be computed?"""
    out = []
    instruments = [PurePath(n).stem for n in added.within("instruments")]
    for name in added.within("expectations"):
        event_type = PurePath(name).stem
        rows = histories.of([event_type], instruments, range(20))[event_type]
        table = pa.Table.from_pylist(rows, schema=schema.event_arrow(event_type))
        if importlib.util.find_spec("great_expectations") is None:
            out.append(Finding(f"expectations/{name}", "not tried: needs enfold[run]", None))
            continue
        try:
            gate.validate(event_type, table)
        except EnfoldError as error:
            out.append(Finding(f"expectations/{name}", "can be computed", str(error)))
        else:
            out.append(Finding(f"expectations/{name}", "can be computed", None))
    return out


def _declarations(own: str, study_folder: Path | None, added: schema.Added) -> list[Finding]:
    """Put every question to what a plugin declares."""
    names = {own, *(trust.FIRST_PARTY & set(trust.installed()))}
    found = discover.discover(names, study_folder=study_folder, dev=True, verbose=True)
    own_failures = [f for f in found.failures if f.plugin == own]
    out = [Finding(f.declaration or "", f.stage, f.message) for f in own_failures]
    found.failures = []
    mine = [o.declaration for o in found.offered.values() if o.plugin == own]
    if not mine and not out and not added.files:
        out.append(Finding("", "declare", "it offers nothing"))
    for d in mine:
        out += [Finding(d.id, "documented", w) for w in undocumented(d)] or [Finding(d.id, "documented", None)]
        try:
            trial = Trial(found, d.id)
        except AssertionError as error:
            out.append(Finding(d.id, "declare", str(error)))
            continue
        for law, question in LAWS.items():
            try:
                question(trial)
            except AssertionError as error:
                out.append(Finding(d.id, law, str(error).split("\nassert", 1)[0]))
            else:
                out.append(Finding(d.id, law, None))
    return [*out, *_worked(found, own, [d.id for d in mine], study_folder)]


def undocumented(d: Declaration) -> list[str]:
    """Return what a reader of a declaration would miss."""
    out = [] if d.citation.strip() else ["no citation"]
    if vars(d.parameters) and not (type(d.parameters).__doc__ or "").strip():
        out.append("its parameters have no docstring")
    return out


def _worked(found: Discovery, own: str, ids: list[str], study_folder: Path | None) -> list[Finding]:
    """Run the pages that the plugin ships."""
    installed = discover.pages_of(own, study_folder)
    cases = [e for name, text in installed for e in examples(name, text) if e.endpoint in ids]
    out = [Finding(i, "worked examples", "none") for i in sorted(set(ids) - {c.endpoint for c in cases})]
    for endpoint in sorted({c.endpoint for c in cases}):
        mine = [c for c in cases if c.endpoint == endpoint]
        wrong = [f"{o.example.page}:{o.example.line}: {w}" for o in run(mine, found) for w in o.wrong]
        out.append(Finding(endpoint, f"worked examples ({len(mine)})", "; ".join(wrong) or None))
    return out
