"""Explain: from a verdict to its clauses, the values compared, the rule and its source, and the source rows."""

import json
from pathlib import Path
from typing import Any

from enfold.report.flip import smallest_change
from enfold.serve.build import current
from enfold.serve.study import connect

UNIT = ("period", "visit_id", "occasion_id", "from_at")


def explain(
    folder: Path, alias: str, subject: str, visit: str | None = None, *, flips: bool = True
) -> list[dict[str, Any]]:
    """Return one answer for each visit, period, episode or subject that the verdicts of `alias` speak of.

    Each holds the rule (definition, version, citation, parameters in force), the overall verdict, its
    clauses with values compared and events, and, if `flips`, the smallest change that would flip it.
    """
    con = connect(current(folder))
    verdicts = _rows(
        con.execute(
            "SELECT * FROM verdicts WHERE alias = ? AND subject_id = ? AND (? IS NULL OR visit_id = ?)"
            " ORDER BY period, visit_id, from_at, criterion",
            [alias, subject, visit, visit],
        )
    )
    rules = {r["criterion"]: r for r in _rows(con.execute("SELECT * FROM rules WHERE alias = ?", [alias]))}
    events = {
        e["event_id"]: e
        for e in _rows(
            con.execute(
                "SELECT event_id, event_type, occurred, source_file, source_row, author, reason, position"
                " FROM events WHERE subject_id = ? AND effective",
                [subject],
            )
        )
    }
    units: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for verdict in verdicts:
        units.setdefault(tuple(verdict[k] for k in UNIT), []).append(verdict)
    return [_answer(folder, alias, subject, rows, rules, events, flips=flips) for rows in units.values()]


def _answer(
    folder: Path,
    alias: str,
    subject: str,
    rows: list[dict[str, Any]],
    rules: dict[str, dict[str, Any]],
    events: dict[str, dict[str, Any]],
    *,
    flips: bool,
) -> dict[str, Any]:
    overall = next(r for r in rows if r["criterion"] == "overall")
    rule = rules.get("overall", {})
    answer = {
        "endpoint": alias,
        "definition": overall["id"],
        "version": overall["definition_version"],
        "citation": rule.get("citation"),
        "parameters": json.loads(rule.get("parameters") or "{}"),
        "subject": subject,
        **{k: overall[k] for k in UNIT},
        "overall": _clause(overall, rules, events),
        "clauses": [_clause(r, rules, events) for r in rows if r["criterion"] != "overall"],
    }
    if flips:
        answer["flip"] = smallest_change(folder, alias, overall)
    return answer


def _clause(row: dict[str, Any], rules: dict[str, dict[str, Any]], events: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "criterion": row["criterion"],
        "rule": rules.get(row["criterion"], {}).get("rule"),
        **{k: row[k] for k in ("status", "grade", "grade_upper", "value_number", "value_code", "compared", "reason")},
        "flags": row["flags"] or [],
        "known_from": row["known_from"],
        "events": [events[i] for i in row["event_ids"] if i in events],
    }


def _rows(cursor: Any) -> list[dict[str, Any]]:
    names = [d[0] for d in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
