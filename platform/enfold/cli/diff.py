"""enfold diff STUDY A B."""

import argparse
from collections import Counter
from pathlib import Path

from enfold.cli.output import show


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("study", type=Path, help="study folder")
    parser.add_argument("a", help="a named cut, a ledger position, or the beginning of a run's digest")
    parser.add_argument("b", help="the same, to compare with")


def execute(args: argparse.Namespace) -> int:
    """Print events, state rows, verdicts and figures that moved from A to B, and through which events."""
    from enfold.report.diff import diff

    found = diff(args.study, args.a, args.b)
    events = Counter(e["change"] for e in found["events"])
    lines = [f"events: {', '.join(f'{n} {what}' for what, n in sorted(events.items())) or 'none moved'}"]
    lines += [
        f"  {e['subject_id']}  {e['change']} {e['event_type']} {e['event_id']}, position {e['position']},"
        f" {e['author'] or 'author in the commit'}: {e['reason'] or 'reason in the commit'}"
        for e in found["events"]
    ]
    lines += ["state rows:" if found["state"] else "state rows: none moved"]
    lines += [f"  {t}: " + ", ".join(f"{n} {k}" for k, n in c.items() if n) for t, c in found["state"].items()]
    lines += [f"verdicts: {len(found['verdicts']) or 'none'} moved"]
    for v in found["verdicts"]:
        place = " ".join(str(v[k]) for k in ("visit_id", "from_at") if v[k])
        moved = f"{v['alias']} {place} {v['criterion']}: {_said(v, 'old')} -> {_said(v, 'new')}"
        how = "" if v["direct"] else " (all changes of the subject)"
        lines.append(f"  {v['subject_id']}  {moved}  through {_through(v['through'])}{how}")
    lines += [f"figures: {len(found['figures']) or 'none'} moved"]
    lines += [f"  {f['figure']}: {f['old']} -> {f['new']}  through {_through(f['through'])}" for f in found["figures"]]
    show(args, found, "\n".join(lines))
    return 0


def _said(v: dict[str, object], side: str) -> str:
    if v[f"{side}_status"] is None:
        return "(no row)"
    more = [str(v[f"{side}_{k}"]) for k in ("grade", "value_number", "value_code") if v[f"{side}_{k}"] is not None]
    return " ".join([str(v[f"{side}_status"]), *more])


def _through(ids: list[str]) -> str:
    return (
        ", ".join(ids[:3]) + (f" and {len(ids) - 3} more" if len(ids) > 3 else "") if ids else "no event (rules moved)"
    )
