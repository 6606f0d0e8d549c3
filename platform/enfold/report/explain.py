"""Explain: from a verdict to its criteria, their events and the source rows."""

from pathlib import Path
from typing import Any

from enfold.serve.build import current
from enfold.serve.study import connect


def explain(folder: Path, alias: str, subject: str, visit: str | None = None) -> list[dict[str, Any]]:
    """Return the criteria of one subject's verdicts, each with the events that it cites."""
    con = connect(current(folder))
    verdicts = con.execute(
        "SELECT alias, id, definition_version, parameter_digest, visit_id, period, criterion, status, grade,"
        " value_number, reason, known_from, event_ids FROM verdicts"
        " WHERE alias = ? AND subject_id = ? AND (? IS NULL OR visit_id = ?)"
        " ORDER BY visit_id, period, criterion = 'overall', criterion",
        [alias, subject, visit, visit],
    )
    names = [d[0] for d in verdicts.description]
    found = [dict(zip(names, row, strict=True)) for row in verdicts.fetchall()]
    rows = con.execute(
        "SELECT event_id, event_type, occurred, source_file, source_row, author, position"
        " FROM events WHERE subject_id = ? AND effective ORDER BY event_id",
        [subject],
    )
    names = [d[0] for d in rows.description]
    events = {row[0]: dict(zip(names, row, strict=True)) for row in rows.fetchall()}
    for verdict in found:
        verdict["events"] = [events[i] for i in verdict.pop("event_ids") if i in events]
    return found
