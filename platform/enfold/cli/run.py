"""enfold run STUDY."""

import argparse
import sys
from pathlib import Path

from enfold.cli.output import instant, say, show
from enfold.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("study", type=Path, help="study folder")
    parser.add_argument("--cut", metavar="NAME", help="a named cut; if it is locked, the results must be those locked")
    parser.add_argument("--position", type=int, help="see the ledger up to this position (default: all)")
    parser.add_argument("--recorded-until", help="see what was recorded up to this instant, with offset")
    parser.add_argument("--occurred-until", help="see what occurred up to this instant, with offset")
    parser.add_argument("--runner", default="FnApiRunner", help="Beam runner (default FnApiRunner)")
    parser.add_argument(
        "--dev", action="store_true", help="load plugins that were edited since they were trusted; results are unlocked"
    )
    parser.add_argument(
        "--again", action="store_true", help="work every shard, also those that are there or in which nothing changed"
    )
    parser.add_argument(
        "--beam", action="append", default=[], metavar="OPTION", help="option for Beam, may be repeated"
    )


def execute(args: argparse.Namespace) -> int:
    """Run the pipeline at the cut and build the serving file."""
    from enfold.fold import cuts
    from enfold.fold.cut import Cut
    from enfold.ledger.ledger import Ledger
    from enfold.run.run import run
    from enfold.serve.build import build

    if args.runner == "DirectRunner":
        print("enfold: DirectRunner resolves to FnApiRunner, which needs no download", file=sys.stderr)
    bounds = instant(args.recorded_until), instant(args.occurred_until)
    ledger = Ledger(args.study / "ledger")
    if args.cut and (args.position is not None or any(bounds)):
        msg = "--cut names all bounds; leave the others out"
        raise UsageError(msg)
    one = cuts.named(ledger, args.cut) if args.cut else None
    if args.dev and one and one.lock:
        msg = f"cut {one.name} is locked; --dev makes results that are not"
        raise UsageError(msg, remedy="Leave --dev out, or name the bounds instead of the cut.")
    cut = one.cut if one else Cut(ledger.position if args.position is None else args.position, *bounds)
    manifest = run(args.study, cut, runner=args.runner, options=args.beam, dev=args.dev, again=args.again, say=say)
    pins = cuts.check(one, manifest) if one else []
    build(args.study, manifest["run"][:16], anew=args.again)
    lines = [
        f"run {manifest['run'][:16]}: {manifest['events']} events of {manifest['subjects']} subjects, "
        f"{manifest['rows']['verdicts']} verdicts, {manifest['rows']['data_findings']} data findings",
        f"cut {manifest['cut_digest'][:16]}  state {manifest['state_digest'][:16]}  "
        f"verdicts {manifest['verdicts_digest'][:16]}",
    ]
    if len(manifest["worked"]) < len(manifest["shards"]):
        lines.append(
            f"{len(manifest['worked'])} of {len(manifest['shards'])} shards worked; the others had not changed"
        )
    lines += [
        f"failed: {f['plugin']} {f['declaration'] or ''} ({f['stage']}): {f['message']}" for f in manifest["failures"]
    ]
    lines += [
        f"withdrawn: {alias}, which failed in {n['failed']} of {n['of']} shards; its rows of the others are not served"
        for alias, n in manifest["withdrawn"].items() if n["failed"] < n["of"]
    ]  # fmt: skip
    if args.dev:
        names = ", ".join(manifest["unlocked"]) or "none"
        lines.append(f"UNLOCKED, for development only; plugins edited or unpinned: {names}")
    if one and one.lock:
        lines.append(f"as locked in cut {one.name}" + (f", though with other {', '.join(pins)}" if pins else ""))
    show(args, manifest, "\n".join(lines))
    return 6 if manifest["failures"] else 0
