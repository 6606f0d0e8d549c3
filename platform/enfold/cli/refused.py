"""enfold refused STUDY list|show|export|retry."""

import argparse
from dataclasses import asdict
from pathlib import Path

from enfold.cli.output import author, create_new, show
from enfold.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("study", type=Path, help="study folder")
    parser.add_argument("action", choices=["list", "show", "export", "retry"], help="list all; show the reasons of one;"
                        " export its open records as CSV; land the mended CSV")  # fmt: skip
    parser.add_argument("what", nargs="?", help="id of a refusal (show, export) or the mended file (retry)")
    parser.add_argument("--output", type=Path, help="file to write; it must not exist")
    parser.add_argument("--author", default=author(), help="who lands it")
    parser.add_argument("--reason", default="mended after refusal", help="why")


def execute(args: argparse.Namespace) -> int:
    """Show refused records without their values, export them, or land them again."""
    from enfold.land import refused

    if args.action == "list":
        found = refused.refusals(args.study)
        lines = [f"{r.id}  {r.source} ({r.mapping}): {len(r.records)} refused, {len(r.open)} open" for r in found]
        answer = [{"id": r.id, "source": r.source, "mapping": r.mapping, "refused": len(r.records),
                   "open": len(r.open)} for r in found]  # fmt: skip
        show(args, answer, "\n".join(lines) or "nothing was refused")
        return 0
    if not args.what:
        msg = f"{args.action} needs {'the mended file' if args.action == 'retry' else 'the id of a refusal'}"
        raise UsageError(msg, remedy=f"enfold refused {args.study} list shows the ids.")
    if args.action == "retry":
        return _retry(args)
    one = refused.refusal(args.study, args.what)
    if args.action == "export":
        if args.output is None:
            msg = "export needs --output FILE"
            raise UsageError(msg, remedy=f"enfold refused {args.study} export {one.id} --output mend.csv")
        create_new(args.output, refused.export(one))
        show(args, {"file": str(args.output), "rows": len(one.open)}, f"{len(one.open)} records in {args.output}: mend"
             f" them, then enfold refused {args.study} retry {args.output}")  # fmt: skip
        return 0
    lines = []
    for row, record in sorted(one.records.items()):
        done = f"mended at position {', '.join(map(str, one.mended[row]))}" if row in one.mended else "open"
        lines.append(f"row {row} ({done})")
        for r in record["reasons"]:
            column = f"column {r['column_name']}: " if r["column_name"] else ""
            lines.append(f"    {column}{r['reason']} [{r['code']}]. {r['remedy']}")
    reasons = [{"row": n, "mended": one.mended.get(n, []), "reasons": r["reasons"]} for n, r in one.records.items()]
    show(args, reasons, "\n".join(lines))
    return 0


def _retry(args: argparse.Namespace) -> int:
    from enfold.land.landing import first_refusal, summary
    from enfold.land.retry import retry

    report = retry(args.study, Path(args.what), author=args.author, reason=args.reason)
    text = summary(report)
    if report.refused:
        text += f"\n  {first_refusal(report)}\n  These stay open; mend them and try again."
    show(args, asdict(report), text)
    return 3 if report.refused else 0
