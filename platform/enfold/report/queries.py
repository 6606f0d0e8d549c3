"""Data findings as a data manager's query list: what, about which events, from which source rows."""

from pathlib import Path
from typing import Any

from enfold.serve.build import current
from enfold.serve.study import connect

COLUMNS = ("subject_id", "code", "severity", "subject_ref", "rule", "event_id", "source_file", "source_row", "position")


def queries(folder: Path, code: str | None = None, severity: str | None = None) -> list[dict[str, Any]]:
    """Return one row per data finding and event: ids, rule in words, source file and row; never a value."""
    rows = connect(current(folder)).execute(
        "SELECT f.subject_id, f.code, f.severity, f.subject_ref, f.rule, f.event_id, e.source_file, e.source_row,"
        " e.position"
        " FROM (SELECT *, unnest(event_ids) AS event_id FROM data_findings) f"
        " LEFT JOIN events e USING (study_id, subject_id, event_id)"
        " WHERE (? IS NULL OR f.code = ?) AND (? IS NULL OR f.severity = ?)"
        " ORDER BY f.subject_id, f.code, f.subject_ref, f.event_id",
        [code, code, severity, severity],
    )
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows.fetchall()]
