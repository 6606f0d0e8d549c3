"""What a landing would do, in a table: each rule and column, what it gives and how much of it."""

from typing import Any

from enfold.land.landing import Report
from enfold.land.mapping import Mapping
from enfold.land.mapping_check import columns_of
from enfold.land.stage import Staged
from enfold.land.told import TOLD


def preview(staged: Staged, report: Report) -> list[dict[str, Any]]:
    """Return the lines of the table: what becomes of rows, then of columns. Counts only, no value of a patient."""
    mapping = staged.mapping
    lines = [_line(f"rule {r.name}", f"{r.emits} events", staged.by_rule.get(r.name, 0)) for r in mapping.rules]
    lines += [_line(f"ignore {name}", "left out", count) for name, count in report.ignored.items()]
    reasons: dict[tuple[str, str], set[int]] = {}
    for r in report.refusals:
        reasons.setdefault((r["code"], r["column_name"] or ""), set()).add(r["source_row"])
    lines += [
        _line(f"refused {code}" + (f", {column}" if column else ""), "kept apart, with its reason", len(rows))
        for (code, column), rows in sorted(reasons.items())
    ]
    named = {c for columns in report.ignored_columns.values() for c in columns}
    for column in staged.source.rows.column_names[:-1]:
        if column not in named:
            uses = _uses(mapping, column) or ["who, when, why" if column in TOLD else "decides which rule"]
            lines.append(_line(f"column {column}", ", ".join(uses), None))
    lines += [_line(f"left out {rule}", ", ".join(columns), None) for rule, columns in report.ignored_columns.items()]
    return lines


def table(lines: list[dict[str, Any]]) -> str:
    """Return the lines as aligned text."""
    wide = max((len(line["source"]) for line in lines if len(line["source"]) <= 40), default=0)
    return "\n".join(
        f"  {line['source']:<{wide}}  {'' if line['rows'] is None else line['rows']:>9}  {line['becomes']}"
        for line in lines
    )


def _line(source: str, becomes: str, rows: int | None) -> dict[str, Any]:
    return {"source": source, "becomes": becomes, "rows": rows}


def _uses(mapping: Mapping, column: str) -> list[str]:
    """Return the targets that a column fills, each once, and whether it is part of a key."""
    found: dict[str, None] = {}
    for rule in mapping.rules:
        for target, spec in rule.fields.items():
            if column in columns_of(spec):
                found[f"{rule.emits}.{target}"] = None
        if column in rule.each:
            found[f"{rule.emits} {rule.each[column]}"] = None
        if column in (*rule.key, *rule.occasion_key):
            found[f"key of {rule.name}"] = None
    return list(found)
