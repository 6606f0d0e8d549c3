"""A table as text for a terminal, as Markdown, as CSV."""

import csv
import io
import re

from enfold.report.model import Table
from enfold.report.sheet import SYNTHETIC

NUMBER = re.compile(r"-|<?-?[\d/., ]+( \([\d.]+ %\))?|(-?[\d.]+|NE)( to (-?[\d.]+|NE))?")


def as_text(table: Table) -> str:
    """Return a table with aligned columns, numbers to the right, then its footnotes and how to get it again."""
    rows = [table.header, *table.rows]
    widths = [max(len(r[c]) for r in rows) for c in range(len(table.header))]
    words = [c == 0 or not all(NUMBER.fullmatch(r[c]) for r in table.rows) for c in range(len(widths))]
    lines = [_titled(table), ""]
    for place, row in enumerate(rows):
        cells = [cell.ljust(w) if left else cell.rjust(w) for cell, w, left in zip(row, widths, words, strict=True)]
        lines.append("  ".join(cells).rstrip())
        if place == 0:
            lines.append("-" * len("  ".join("x" * w for w in widths)))
    return "\n".join([*lines, *(f"  {note}" for note in table.footnotes), f"  $ {table.command}"])


def as_markdown(table: Table) -> str:
    """Return a table as GitHub-flavoured Markdown, with the statement that gives its numbers."""
    head = [_row(table.header), "|" + "---|" + "---:|" * (len(table.header) - 1)]
    body = [_row(r) for r in table.rows]
    notes = [f"- {_escaped(note)}" for note in table.footnotes]
    shown = ["", "```sh", table.command, "```", "", "```sql", table.sql, "```"]
    return "\n".join([f"## {_escaped(_titled(table))}", "", *head, *body, "", *notes, *shown])


def as_csv(table: Table) -> str:
    """Return header and rows as CSV, as printed; of made-up data the first heading says so."""
    first = table.header[0]
    if any(note.startswith(SYNTHETIC) for note in table.footnotes):
        first = f"{first} ({SYNTHETIC})" if first else SYNTHETIC
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([(first, *table.header[1:]), *table.rows])
    return out.getvalue()


def _titled(table: Table) -> str:
    return f"{table.title} [estimand {table.estimand}]" if table.estimand else table.title


def _row(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(_escaped(c) for c in cells) + " |"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*").replace("_", "\\_").replace("\n", " ")
