"""enfold plugin list STUDY."""

import argparse
from dataclasses import asdict
from pathlib import Path

from enfold.cli.output import show


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("action", choices=["list"])
    parser.add_argument("study", type=Path, help="study folder")


def execute(args: argparse.Namespace) -> int:
    """List what the plugins that the study allows offer; others are named, never imported."""
    from enfold import study
    from enfold.evaluate.discover import discover
    from enfold.ledger.ledger import Ledger

    ledger = Ledger(args.study / "ledger")
    parsed = study.parse(ledger.study_text())
    found = discover(parsed.plugins)
    offers = [
        {
            "id": o.declaration.id,
            "kind": type(o.declaration).__name__.lower(),
            "version": o.declaration.version,
            "grain": o.declaration.grain,
            "plugin": f"{o.plugin} {o.plugin_version}",
            "reads": sorted(o.declaration.reads),
            "needs": list(o.declaration.needs),
            "parameters": {k: str(v) for k, v in vars(o.declaration.parameters).items()},
        }
        for o in found.offered.values()
    ]
    answer = {
        "offered": offers,
        "not_allowed": sorted(set(found.installed) - {o.plugin for o in found.offered.values()}),
        "failures": [asdict(f) for f in found.failures],
    }
    lines = [f"{o['kind']:<11} {o['id']:<16} {o['version']:<14} {o['grain']:<8} {o['plugin']}" for o in offers]
    lines += [f"failed      {f.plugin} ({f.stage}): {f.message}" for f in found.failures]
    show(args, answer, "\n".join(lines))
    return 6 if found.failures else 0
