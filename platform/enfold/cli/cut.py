"""enfold cut STUDY create|list|show|lock [NAME]."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enfold.cli.output import author, instant, say, show
from enfold.errors import UsageError

if TYPE_CHECKING:
    from enfold.fold.cuts import NamedCut


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("study", type=Path, help="study folder")
    parser.add_argument("action", choices=["create", "list", "show", "lock"], help="lock runs the cut and pins the run")
    parser.add_argument("name", nargs="?", help="name of the cut")
    parser.add_argument("--position", type=int, help="see the ledger up to this position (default: all)")
    parser.add_argument("--recorded-until", help="see what was recorded up to this instant, with offset")
    parser.add_argument("--occurred-until", help="see what occurred up to this instant, with offset")
    parser.add_argument("--author", default=author(), help="who creates or locks it")
    parser.add_argument("--reason", default="analysis", help="why")


def execute(args: argparse.Namespace) -> int:
    """Create, list, show or lock named cuts."""
    from enfold.fold import cuts
    from enfold.fold.cut import Cut
    from enfold.ledger.ledger import Ledger

    ledger = Ledger(args.study / "ledger")
    if args.action == "list":
        found = cuts.cuts(ledger)
        show(args, [_plain(c) for c in found], "\n".join(map(_line, found)) or "no cuts")
        return 0
    if not args.name:
        msg = f"{args.action} needs the name of a cut"
        raise UsageError(msg, remedy=f"enfold cut {args.study} {args.action} NAME")
    if args.action == "create":
        bounds = instant(args.recorded_until), instant(args.occurred_until)
        position = ledger.position if args.position is None else args.position
        one = cuts.create(args.study, args.name, Cut(position, *bounds), author=args.author, reason=args.reason)
    elif args.action == "lock":
        from enfold.run.run import run
        from enfold.serve.build import build

        cuts.named(ledger, args.name)
        manifest = run(args.study, cuts.named(ledger, args.name).cut, say=say)
        build(args.study, manifest["run"][:16])
        if manifest["failures"]:
            msg = f"{len(manifest['failures'])} plugins failed; a cut is locked to a whole run only"
            raise UsageError(msg, remedy="enfold plugin list shows what failed.")
        one = cuts.lock(args.study, args.name, manifest, author=args.author, reason=args.reason)
    else:
        one = cuts.named(ledger, args.name)
    show(args, _plain(one), _line(one))
    return 0


def _line(c: "NamedCut") -> str:
    bounds = [f"position {c.cut.position}"]
    bounds += [f"recorded until {c.cut.recorded_until.isoformat()}"] if c.cut.recorded_until else []
    bounds += [f"occurred until {c.cut.occurred_until.isoformat()}"] if c.cut.occurred_until else []
    text = f"{c.name}: {', '.join(bounds)}; {c.created_at[:19]}Z by {c.author}: {c.reason}"
    if c.lock:
        text += f"\n    locked to run {c.lock['run'][:16]}: cut {c.lock['cut_digest'][:16]}"
        text += f"  state {c.lock['state_digest'][:16]}  verdicts {c.lock['verdicts_digest'][:16]}"
    if c.redacted:
        text += f"\n    cannot be recomputed: {c.redacted} events that it saw were redacted since"
    return text


def _plain(c: "NamedCut") -> dict[str, Any]:
    return {
        "name": c.name, "position": c.cut.position, "author": c.author, "created_at": c.created_at, "reason": c.reason,
        "recorded_until": c.cut.recorded_until.isoformat() if c.cut.recorded_until else None,
        "occurred_until": c.cut.occurred_until.isoformat() if c.cut.occurred_until else None,
        "lock": c.lock, "redacted": c.redacted,
    }  # fmt: skip
