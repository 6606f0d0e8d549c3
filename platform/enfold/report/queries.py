"""Data findings as a data manager's query list: what, about which events, from which source rows."""

from pathlib import Path
from typing import Any

from enfold.report.diff import Causes, both, served
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


CLOSED = ("subject_id", "code", "severity", "subject_ref", "rule", "event_ids", "closed_by")


def closed(folder: Path, since: str, code: str | None = None, severity: str | None = None) -> list[dict[str, Any]]:
    """Return the queries that were open at `since` (a cut, position or run) and no longer are in the run in force.

    `closed_by` holds the events that settled each: those that change what it is about, else, as for an
    answer that was missing, all that its subject gained since.
    """
    con = both(served(folder, since), current(folder))
    rows = (
        con.sql("""
        SELECT x.subject_id, x.code, x.severity, x.subject_ref, x.rule, x.event_ids FROM a.data_findings x
        ANTI JOIN b.data_findings y USING (study_id, subject_id, code, subject_ref)
        ORDER BY x.subject_id, x.code, x.subject_ref
    """)
        .to_arrow_table()
        .to_pylist()
    )
    why = Causes(con)
    found = [r for r in rows if code in (None, r["code"]) and severity in (None, r["severity"])]
    return [{**r, "closed_by": why.of(r["subject_id"], r["event_ids"])[0]} for r in found]
