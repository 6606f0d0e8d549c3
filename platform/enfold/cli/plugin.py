"""enfold plugin list|new|trust|graph|check."""

import argparse
import importlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from enfold.cli.output import author, show
from enfold.errors import UsageError

if TYPE_CHECKING:
    from enfold.evaluate.discover import Discovery
    from enfold.schema import Added

ACTIONS = ("list", "new", "trust", "graph", "check")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "action",
        choices=ACTIONS,
        help="list what is installed and offered; new: write a distribution to start from; trust: pin a plugin as it "
        "is now in the study file; graph: what reads what; check: put every law to a plugin",
    )
    parser.add_argument("target", nargs="?", help="study folder (list, trust, graph), else name of the plugin")
    parser.add_argument("name", nargs="?", help="trust: name of the plugin")
    parser.add_argument("--into", type=Path, default=Path(), help="new: folder to write the distribution in")
    parser.add_argument("--study", type=Path, help="check: study folder beside which endpoint folders lie")
    parser.add_argument("--dev", action="store_true", help="list, graph: load edited and unpinned plugins too")
    parser.add_argument("--author", default=author(), help="trust: who looked at it")
    parser.add_argument("--reason", default="plugin trusted", help="trust: why")


def execute(args: argparse.Namespace) -> int:
    """Do what is asked."""
    if args.target is None and args.action not in ("list", "graph"):
        msg = f"{args.action} needs {'a study folder' if args.action == 'trust' else 'the name of a plugin'}"
        raise UsageError(msg, remedy=f"enfold plugin {args.action} --help")
    return int({"list": _list, "new": _new, "trust": _trust, "graph": _graph, "check": _check}[args.action](args))


def _found(args: argparse.Namespace) -> "tuple[Discovery, set[str], Path | None, Added]":
    """Discover what a study allows, or without a study what is shipped; also the names, the folder, the definitions."""
    from enfold import schema, study
    from enfold.evaluate import discover, trust
    from enfold.ledger.ledger import Ledger

    if args.target is None:
        shipped = set(trust.installed()) & trust.FIRST_PARTY
        return discover.discover(shipped), shipped, None, schema.NOTHING
    folder = Path(args.target)
    ledger = Ledger(folder / "ledger")
    parsed = study.parse(ledger.study_text())
    with schema.using(ledger.added):
        found = discover.discover_for(parsed, folder, dev=args.dev)
    return found, {trust.normal(n) for n in parsed.plugins}, folder, ledger.added


def _list(args: argparse.Namespace) -> int:
    """List what the allowed plugins offer and define; others are named, never imported."""
    from enfold.evaluate import inventory

    found, allowed, folder, held = _found(args)
    answer = inventory.inventory(found, allowed, folder, held)
    show(args, answer, "\n".join(inventory.lines(answer)))
    return 6 if answer["failures"] else 0


def _new(args: argparse.Namespace) -> int:
    """Write a complete distribution to start from."""
    from enfold.cli.skeleton import write

    written = write(args.target, args.into)
    place = written[0].parts[0] if not args.into.is_absolute() else str(args.into / args.target)
    show(args, {"written": [str(p) for p in written]}, f"wrote {len(written)} files; python -m pytest {place}")
    return 0


def _trust(args: argparse.Namespace) -> int:
    """Pin a plugin as it is now: version and SHA-256 go into the study file, and that into the ledger."""
    from enfold import study
    from enfold.evaluate import definitions, discover, trust
    from enfold.land.definitions import merged
    from enfold.land.protocol import land_study
    from enfold.ledger import storage
    from enfold.ledger.ledger import Ledger

    if args.name is None:
        msg = "trust needs a study folder and the name of a plugin"
        raise UsageError(msg, remedy="enfold plugin trust STUDY NAME")
    folder, name = Path(args.target), trust.normal(args.name)
    pin = None if name in trust.FIRST_PARTY else discover.identity(name, folder)
    if pin is None and name not in trust.FIRST_PARTY:
        msg = f"{name}: neither installed, nor an endpoint folder beside the study file"
        raise UsageError(msg, remedy="enfold plugin list names what is there.")
    ledger = Ledger(folder / "ledger")
    text = study.with_trust(ledger.study_text(), name, pin)
    own = definitions.brought(study.parse(text), folder)
    merged(ledger.added, own)  # before anything is written
    path = folder / "study.toml"
    storage.replace(path, text.encode())
    land_study(folder, path, author=args.author, reason=f"{args.reason}: {name}", brought=own)
    answer = {"plugin": name, "version": pin and pin.version, "sha256": pin and pin.sha256}
    show(
        args, answer, f"trusted {name} {pin.version if pin else '(shipped)'} {pin.sha256[:16] if pin else ''}".rstrip()
    )
    return 0


def _graph(args: argparse.Namespace) -> int:
    """Print each derivation and endpoint with what it reads, in an order in which each comes after that.

    Raises:
        ConflictError: they need one another in a circle; names the path.
    """
    from enfold.evaluate.graph import ordered

    found, *_ = _found(args)
    needs = {i: sorted(o.declaration.needs) for i, o in found.offered.items()}
    order = ordered(needs)
    answer = [{"id": i, "plugin": found.offered[i].plugin, "needs": needs[i]} for i in order]
    lines = [f"{i} ({found.offered[i].plugin})" + "".join(f"\n  <- {n}" for n in needs[i]) for i in order]
    lines += [f"failed {f.plugin} ({f.stage}): {f.message}" for f in found.failures]
    show(args, {"graph": answer, "failures": [asdict(f) for f in found.failures]}, "\n".join(lines))
    return 6 if found.failures else 0


def _check(args: argparse.Namespace) -> int:
    """Put every law and worked example to one plugin, and print how it answered."""
    conformance = importlib.import_module("enfold.testing.conformance")  # the test kit lies above the command line
    findings = conformance.check(args.target, args.study)
    bad = [f for f in findings if f.wrong]
    lines = [f"{'FAIL' if f.wrong else 'ok':<5}{f.declaration:<24} {f.law}" + (f": {f.wrong}" if f.wrong else "")
             for f in findings]  # fmt: skip
    lines.append(f"{len(findings) - len(bad)} of {len(findings)} hold")
    show(args, {"findings": [asdict(f) for f in findings], "conforms": not bad}, "\n".join(lines))
    return 6 if bad else 0
