"""enfold run STUDY."""

import argparse
import datetime as dt
import sys
from pathlib import Path

from enfold.cli.output import say, show
from enfold.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("study", type=Path, help="study folder")
    parser.add_argument("--position", type=int, help="see the ledger up to this position (default: all)")
    parser.add_argument("--recorded-until", help="see what was recorded up to this instant, with offset")
    parser.add_argument("--occurred-until", help="see what occurred up to this instant, with offset")
    parser.add_argument("--runner", default="FnApiRunner", help="Beam runner (default FnApiRunner)")
    parser.add_argument(
        "--beam", action="append", default=[], metavar="OPTION", help="option for Beam, may be repeated"
    )


def execute(args: argparse.Namespace) -> int:
    """Run the pipeline at the cut and build the serving file."""
    from enfold.fold.cut import Cut
    from enfold.ledger.ledger import Ledger
    from enfold.run.run import run
    from enfold.serve.build import build

    if args.runner == "DirectRunner":
        print("enfold: DirectRunner resolves to FnApiRunner, which needs no download", file=sys.stderr)
    position = args.position if args.position is not None else Ledger(args.study / "ledger").position
    cut = Cut(position, _instant(args.recorded_until), _instant(args.occurred_until))
    manifest = run(args.study, cut, runner=args.runner, options=args.beam, say=say)
    build(args.study, manifest["run"][:16])
    lines = [
        f"run {manifest['run'][:16]}: {manifest['events']} events of {manifest['subjects']} subjects, "
        f"{manifest['rows']['verdicts']} verdicts, {manifest['rows']['data_findings']} data findings",
        f"cut {manifest['cut_digest'][:16]}  state {manifest['state_digest'][:16]}  "
        f"verdicts {manifest['verdicts_digest'][:16]}",
    ]
    lines += [
        f"failed: {f['plugin']} {f['declaration'] or ''} ({f['stage']}): {f['message']}" for f in manifest["failures"]
    ]
    show(args, manifest, "\n".join(lines))
    return 6 if manifest["failures"] else 0


def _instant(text: str | None) -> dt.datetime | None:
    if text is None:
        return None
    try:
        value = dt.datetime.fromisoformat(text)
    except ValueError:
        value = dt.datetime.min  # noqa: DTZ901 - naive on purpose: refused below
    if value.tzinfo is None:
        msg = "a bound is not a date-time with offset"
        raise UsageError(msg, remedy="Write YYYY-MM-DDThh:mm:ss+00:00.")
    return value.astimezone(dt.UTC)
