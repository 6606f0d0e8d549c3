"""Changes that a source tells itself: the versions of a record become an event, its corrections and retractions.

A source that `tells_changes` has a row for each version of a record, numbered in `Version`; `Removed` marks one that
takes the record away. The first version gives the event, another content a correction of the one before, a version
that gives no event any more a retraction, and one that gives it again takes that retraction back: each with the
author, time and reason of its version. Ids follow from content, so that a longer history adds only what is new to it.
"""

import datetime as dt
import uuid
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from enfold.land import changes, check
from enfold.land.mapping import Mapping
from enfold.land.readers import ROW
from enfold.ledger.canonical import content_digest
from enfold.quoting import quote

if TYPE_CHECKING:
    from enfold.land.stage import Staged

TOLD = ("Version", "Removed", "AuditUser", "AuditTime", "AuditReason")  # columns of every such source, always read
FILLS = {"author": "AuditUser", "recorded_at": "AuditTime", "reason": "AuditReason"}  # unless the mapping fills them
RECORD = ("StudyOID", "SubjectKey", "StudyEventOID", "StudyEventRepeatKey", "FormOID", "FormRepeatKey", "ItemGroupOID",
          "ItemGroupRepeatKey", "ItemOID")  # fmt: skip
NEVER = "never_had_a_value"
NO_REASON = "no reason given by the source"


def tells(mapping: Mapping) -> bool:
    """Whether the rows that a mapping reads are versions."""
    return mapping.source.get("format") == "odm"


def fate_sql(mapped: str, ignored: str) -> str:
    """Return SQL for what becomes of each row, given what the mapping says of it.

    A row that takes its record away is mapped if a version before it was: it gives retractions.
    """
    return f"""
        SELECT {ROW}, absent,
               CASE WHEN absent THEN coalesce(bool_or(mapped) OVER before, false) ELSE mapped END AS mapped,
               CASE WHEN absent THEN coalesce(ignored, '{NEVER}') ELSE ignored END AS ignored
        FROM (SELECT *, Removed IS NOT NULL AS absent, Removed IS NULL AND ({mapped}) AS mapped, {ignored} AS ignored
              FROM source)
        WINDOW before AS (PARTITION BY {_record()} ORDER BY CAST(Version AS BIGINT)
                          ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
    """


def spread(con: duckdb.DuckDBPyConnection, staged: "Staged") -> None:
    """Check who, when and why of the rows that take a record away; refuse records whole, with all their versions."""
    if not tells(staged.mapping):
        return
    con.execute(f"""
        CREATE TEMP TABLE taken AS SELECT {ROW}, AuditUser AS author, AuditTime AS recorded_at, AuditReason AS reason,
               '-' AS study_id, '-' AS subject_id, '-' AS retracts, '1' AS schema_version,
               {", ".join(f"NULL::VARCHAR AS {c}" for c in ("event_id", "occasion_id", "visit_id", "occurred"))},
               NULL::VARCHAR AS source_system, NULL::VARCHAR AS supersedes
        FROM source SEMI JOIN (FROM fate WHERE absent AND mapped) USING ({ROW})
    """)
    failed = check.failures(con, "retraction", "taken", con.sql("FROM taken").to_arrow_table())
    failed = [c for c in failed if c.code != "no_reason"]
    if failed:
        staged.refused += con.sql(check.listing(failed, "taken")).to_arrow_table().to_pylist()
    lines = con.execute(f"""
        SELECT list({ROW} ORDER BY CAST(Version AS BIGINT)) FROM source SEMI JOIN (FROM fate WHERE mapped) USING ({ROW})
        GROUP BY {_record()} HAVING count(*) > 1
    """).fetchall()
    staged.versions = {row: tuple(rows) for (rows,) in lines for row in rows}
    staged.refused += siblings(staged, {r["source_row"] for r in staged.refused})


def siblings(staged: "Staged", bad: set[int]) -> list[dict[str, Any]]:
    """Return the refusals of the other versions of refused rows: what stands must not be what the source changed."""
    return [
        {"source_row": row, "column_name": None, "code": "other_version",
         "reason": "another version of this record is refused", "remedy": "Mend that one; all land together."}
        for row in sorted({s for b in bad for s in staged.versions.get(b, ())} - bad)
    ]  # fmt: skip


def chain(con: duckdb.DuckDBPyConnection, staged: "Staged") -> None:
    """Turn the staged events of several versions into one history each."""
    if not tells(staged.mapping):
        return
    lines = con.execute(f"""
        SELECT list({ROW} ORDER BY CAST(Version AS BIGINT)) FROM source
        WHERE {ROW} NOT IN (SELECT {ROW} FROM bad) GROUP BY {_record()} HAVING count(*) > 1
    """).fetchall()
    versions = {row: tuple(rows) for (rows,) in lines for row in rows}
    told = con.execute(f"SELECT {ROW}, AuditUser, AuditTime, AuditReason FROM source").fetchall()
    audits = {row: (user, time, why) for row, user, time, why in told if row in versions}
    retractions: list[dict[str, Any]] = []
    for event_type, table in staged.events.items():
        several = [row in versions for row in table.column(ROW).to_pylist()]
        facts: dict[str, list[dict[str, Any]]] = {}
        for event in table.filter(pa.array(several, pa.bool_())).to_pylist():
            facts.setdefault(event["event_id"], []).append(event)
        made: list[dict[str, Any]] = []
        for events in facts.values():
            line = versions[events[0][ROW]]
            by_row = {e[ROW]: e for e in events}
            if len(by_row) < len(events) or not by_row.keys() <= set(line):
                made += events  # one id for two things: the check of keys will say so
                continue
            more = _history(event_type, [(row, by_row.get(row)) for row in line], audits)
            made += more[0]
            retractions += more[1]
        rest = table.filter(pa.array([not s for s in several], pa.bool_()))
        staged.events[event_type] = pa.concat_tables([rest, pa.Table.from_pylist(made, table.schema)])
    if retractions:
        new = pa.Table.from_pylist(retractions, changes.staged_schema("retraction"))
        before = staged.events.get("retraction", new.slice(0, 0))
        staged.events["retraction"] = pa.concat_tables([before, new])


def _history(
    event_type: str,
    line: list[tuple[int, dict[str, Any] | None]],
    audits: dict[int, tuple[str | None, str | None, str | None]],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the events and the retractions of one fact, given what each version says of it: an event or nothing."""
    made: list[dict[str, Any]] = []
    retractions: list[dict[str, Any]] = []
    said = last = end = None  # content, id of the version that stands, and the last of: the fact, its retractions
    stands = False
    for row, event in line:
        if made and stands is (event is None):
            retractions.append(_retraction(made[0], str(end), row, audits[row]))
            end, stands = retractions[-1]["event_id"], not stands
        if event is None:
            continue
        if not made:
            made.append(event)
            said, last, end, stands = event["content"], event["event_id"], event["event_id"], True
            continue
        event |= {"occasion_id": made[0]["occasion_id"]}
        content = content_digest(event_type, event)
        if content == said:
            continue
        said = content
        event |= {"supersedes": [last], "reason": event["reason"] or NO_REASON}
        event |= {"content": content_digest(event_type, event)}
        last = event["event_id"] = str(uuid.uuid5(changes.NAMESPACE, f"{last}|{event['content']}"))
        made.append(event)
    return made, retractions


def _retraction(
    fact: dict[str, Any], target: str, row: int, audit: tuple[str | None, str | None, str | None]
) -> dict[str, Any]:
    user, time, why = audit
    out = {name: fact[name] for name in ("study_id", "subject_id", "schema_version", "source_system", "source_file")}
    out |= {"retracts": target, "author": user, "reason": why or NO_REASON, "source_row": row}
    out["recorded_at"] = dt.datetime.fromisoformat(time) if time else None
    out["content"] = content_digest("retraction", out)
    out["event_id"] = str(uuid.uuid5(changes.NAMESPACE, f"{target}|{out['content']}"))
    return out


def _record() -> str:
    return ", ".join(map(quote, RECORD))
