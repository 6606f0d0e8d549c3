"""Pins: all that decides a result, so that a digest over them names a run."""

import json
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from enfold import schema, study
from enfold.contract import parameter_values
from enfold.evaluate.graph import Task
from enfold.fold.cut import Cut
from enfold.ledger import storage
from enfold.ledger.bundles import schema_bundle
from enfold.ledger.ledger import Ledger
from enfold.shipped import lock_file

LIBRARIES = ("enfold", "duckdb", "pyarrow", "apache-beam", "pluggy")
LAYOUT = 3  # of a run's own files: what another one wrote is neither read nor taken over
OF_THE_LEDGER = ("head", "position")  # where the cut ends; the rest says what is made of it


def pins(ledger: Ledger, cut: Cut, text: str, tasks: list[Task], unlocked: list[str] | None) -> dict[str, Any]:
    """Return cut, study, schemas, plugins, parameters, libraries; with `--dev` also the unlocked plugins."""
    found = {
        "head": ledger.commits[cut.position - 1].hash,
        "position": cut.position,
        "recorded_until": cut.recorded_until.isoformat() if cut.recorded_until else None,
        "occurred_until": cut.occurred_until.isoformat() if cut.occurred_until else None,
        "study": storage.sha256(text.encode()),
        "schemas": storage.sha256(schema_bundle(schema.added())),
        "tasks": [
            [t.alias, t.declaration.id, t.declaration.version, t.digest, t.offered.plugin,
             t.offered.plugin_version, t.offered.code_hash]
            for t in tasks
        ],
        "lock": storage.sha256(lock_file()),
        "layout": LAYOUT,
        "libraries": {name: _version(name) for name in LIBRARIES},
    }  # fmt: skip
    return found if unlocked is None else {**found, "unlocked": unlocked}


def digest(pinned: dict[str, Any]) -> str:
    """Return the run digest."""
    return storage.sha256(json.dumps(pinned, sort_keys=True).encode())


def same_but_for_the_ledger(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two runs make the same of the same events."""
    return {k: v for k, v in one.items() if k not in OF_THE_LEDGER} == {
        k: v for k, v in other.items() if k not in OF_THE_LEDGER
    }


def asked(parsed: study.StudyFile, tasks: list[Task]) -> list[dict[str, Any]]:
    """Return what the study asks for: alias, endpoint, imputation, and what `met` means there."""
    means = {t.alias: t.declaration.met_means for t in tasks}
    return [
        {"alias": a.alias, "id": a.endpoint, "imputation": a.imputation, "met_means": means.get(a.alias)}
        for a in parsed.endpoints
    ]


def analysis_sets(parsed: study.StudyFile, tasks: list[Task]) -> list[dict[str, str]]:
    """Return the endpoints that decide each analysis set: those that the study names, else by what they are."""
    names = {a.alias for a in parsed.endpoints}
    found = [(t.alias, t.declaration) for t in tasks if t.alias in names]
    responses = [(a, d) for a, d in found if getattr(d, "met_means", None) == "response"]
    default = {
        "efficacy_evaluable": [a for a, d in responses if d.grain == "visit"],
        "dlt_evaluable": [a for a, d in found if d.id == "dlt"],
        "pk": [a for a, d in found if d.id == "expansion"],
    }
    return [{"set": s, "alias": a} for s in default for a in sorted(parsed.analysis_sets.get(s, default[s]))]


def rules(tasks: list[Task]) -> list[dict[str, Any]]:
    """Return each rule in force in words, with its source and parameters: what explanations and footnotes print."""
    out = []
    for task in tasks:
        d = task.declaration
        parameters = {k: str(v) for k, v in parameter_values(task.parameters).items()}
        for criterion, rule in {"overall": None, **d.criteria}.items():
            out.append(
                {
                    "alias": task.alias,
                    "id": d.id,
                    "definition_version": d.version,
                    "citation": d.citation,
                    "parameters": json.dumps(parameters, sort_keys=True),
                    "criterion": criterion,
                    "rule": rule,
                }
            )
    return out


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
