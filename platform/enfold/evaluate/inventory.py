"""Inventory: what is installed, what of it a study trusts, and what it offers; nothing is imported for it."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from enfold import schema
from enfold.errors import EnfoldError
from enfold.evaluate import definitions, discover, trust
from enfold.evaluate.discover import Discovery, Failure


def inventory(found: Discovery, allowed: set[str], study_folder: Path | None, held: schema.Added) -> dict[str, Any]:
    """Return plugins with trust and definitions, what they offer, and what failed, as JSON can hold it.

    Args:
        found: what was discovered for the study, or for what is shipped.
        allowed: normal names of the plugins that it allows.
        study_folder: beside which endpoint folders may lie.
        held: the definitions that the study's ledger holds.
    """
    failures = list(found.failures)
    names = sorted({*found.installed, *held.owners})
    plugins = [_plugin(n, found, allowed, study_folder, held, failures) for n in names]
    return {
        "plugins": plugins,
        "offered": [_offer(o, found) for o in found.offered.values()],
        "not_allowed": [p["name"] for p in plugins if p["trust"] == "not allowed"],
        "failures": [asdict(f) for f in failures],
    }


def _plugin(
    name: str,
    found: Discovery,
    allowed: set[str],
    study_folder: Path | None,
    held: schema.Added,
    failures: list[Failure],
) -> dict[str, Any]:
    now = discover.contents_of(name, study_folder)
    try:
        brought = definitions.of(name, study_folder)
    except EnfoldError as error:
        failures.append(Failure(name, "declare", str(error)))
        brought = None
    files = brought.files if brought else {}
    holds = set(held.owners.get(name, {}).get("files", ()))
    return {
        "name": name,
        "version": now[0].version if now else None,
        "sha256": now[0].sha256 if now else None,
        "trust": _trust(name, found, allowed, installed=now is not None),
        "held_version": held.owners.get(name, {}).get("version"),
        **{kind: _definitions(folder, files, holds) for kind, folder in KINDS.items()},
    }


KINDS = {"event_types": "events", "instruments": "instruments", "suites": "expectations", "mappings": "mappings"}


def _definitions(folder: str, files: dict[str, str], held: set[str]) -> list[dict[str, Any]]:
    """Return what a plugin defines of one kind: installed, or held by the ledger, or both."""
    both = sorted(n for n in {*files, *held} if n.startswith(f"{folder}/"))
    return [
        {"name": n.removeprefix(f"{folder}/").rpartition(".")[0], "installed": n in files, "held": n in held}
        for n in both
    ]


def _trust(name: str, found: Discovery, allowed: set[str], *, installed: bool) -> str:
    if not installed:
        return "not installed"
    if name not in allowed:
        return "not allowed"
    if name in found.unlocked:
        return "unlocked"
    if any(f.plugin == name and f.stage == "trust" for f in found.failures):
        return "refused"
    return "shipped" if name in trust.FIRST_PARTY else "pinned"


def _offer(o: discover.Offered, found: Discovery) -> dict[str, Any]:
    d = o.declaration
    return {
        "id": d.id,
        "kind": type(d).__name__.lower(),
        "version": d.version,
        "citation": d.citation,
        "grain": d.grain,
        "plugin": f"{o.plugin} {o.plugin_version}",
        "trust": "unlocked" if o.plugin in found.unlocked else "pinned" if o.source else "shipped",
        "code_hash": o.code_hash,
        "reads": {t: list(c) for t, c in sorted(d.reads.items())},
        "needs": list(d.needs),
        "instruments": list(d.instruments),
        "parameters": {k: str(getattr(v, "value", v)) for k, v in vars(d.parameters).items()},
    }


def lines(answer: dict[str, Any]) -> list[str]:
    """Return the inventory as lines of text: what is offered, what plugins define, what failed."""
    out = [
        f"{o['kind']:<11} {o['id']:<26} {o['version']:<14} {o['grain']:<8} {o['trust']:<8} {o['plugin']}"
        for o in answer["offered"]
    ]
    for p in answer["plugins"]:
        for kind in KINDS:
            out += [
                f"{kind.replace('_', ' ').removesuffix('s'):<11} {d['name']:<26} "
                f"{'held by the ledger' if d['held'] else 'not held: trust the plugin, or land study.toml':<23} "
                f"{p['trust']:<8} {p['name']} {p['version'] or p['held_version']}"
                for d in p[kind]
            ]
    out += [f"not allowed {name}" for name in answer["not_allowed"]]
    return out + [f"failed      {f['plugin']} ({f['stage']}): {f['message']}" for f in answer["failures"]]
