"""Diff: what moved between two cuts, and through which events. The impact report before a lock.

Both cuts are run (or their finished runs taken), and their serving files compared: events, state
rows, verdicts, printed figures. The run in force stays what it was.
"""

import json
from pathlib import Path
from typing import Any

import duckdb

from enfold import schema
from enfold.errors import UsageError
from enfold.fold import cuts
from enfold.fold.cut import Cut
from enfold.ledger.ledger import Ledger
from enfold.quoting import literal
from enfold.report.abstract import figures_of
from enfold.run.digest import HOST_STAMPS
from enfold.run.run import run
from enfold.serve import layers
from enfold.serve.build import build
from enfold.serve.study import connect

NOT_SAID = {*HOST_STAMPS, "parameter_digest", "known_from"}  # bookkeeping; a change of these alone moves nothing


def diff(folder: Path, a: str, b: str) -> dict[str, Any]:
    """Return what moved from cut `a` to cut `b`; each a named cut, a ledger position or a run's digest.

    Keys: `a`, `b` (run digests), `events`, `state` (counts by table), `verdicts`, `figures`. Every moved
    verdict and figure names the events through which it moved: those that it cites, else all changed
    events of its subjects (`direct` false).
    """
    one, two = (served(folder, spec) for spec in (a, b))
    con = both(one, two)
    events = _rows(con, "FROM changed_events ORDER BY subject_id, position, event_id")
    state = {t: _counts(con, t) for t in schema.state() if t != "events"}
    verdicts = _verdicts(con)
    figures = _figures(con, one, two, verdicts)
    return {
        "a": one.stem, "b": two.stem, "events": events, "state": {t: c for t, c in state.items() if any(c.values())},
        "verdicts": verdicts, "figures": figures,
    }  # fmt: skip


def both(a: Path, b: Path) -> duckdb.DuckDBPyConnection:
    """Open two serving files as `a` and `b`, with the table `changed_events` between them."""
    con = duckdb.connect(":memory:")
    con.execute("SET TimeZone = 'UTC'")
    for name, file in (("a", a), ("b", b)):
        con.execute(f"ATTACH {literal(str(file))} AS {name} (READ_ONLY)")
        layers.attach(con, file, name)
    con.execute(_EVENTS)
    return con


def served(folder: Path, spec: str) -> Path:
    """Return the serving file of a named cut, a position, or a run by the beginning of its digest.

    Raises:
        UsageError: it is none of these.
    """
    ledger = Ledger(folder / "ledger")
    names = {c.name: c.cut for c in cuts.cuts(ledger)}
    if spec in names:
        cut = names[spec]
    elif spec.isdecimal() and int(spec) <= ledger.position:
        cut = Cut(int(spec))
    else:
        found = [p.parent.name for p in (folder / "runs").glob(f"{spec}*/manifest.json")] if spec.isalnum() else []
        if len(found) != 1:
            msg = f"`{spec}` is no cut, no position and no run of this study"
            raise UsageError(msg, remedy=f"enfold cut {folder} list shows the cuts.")
        return build(folder, found[0], publish=False)
    return build(folder, run(folder, cut, publish=False)["run"][:16], publish=False)


# an event version differs between the cuts if only one sees it, or if it stands in only one
_EVENTS = """
    CREATE TABLE changed_events AS
    WITH seen AS (
        SELECT coalesce(b.subject_id, a.subject_id) AS subject_id, coalesce(b.event_id, a.event_id) AS event_id,
               coalesce(b.event_type, a.event_type) AS event_type, coalesce(b.position, a.position) AS position,
               coalesce(b.author, a.author) AS author, coalesce(b.reason, a.reason) AS reason,
               coalesce(b.supersedes, a.supersedes) AS supersedes, coalesce(b.retracts, a.retracts) AS retracts,
               a.event_id IS NOT NULL AS in_a, b.event_id IS NOT NULL AS in_b,
               coalesce(a.effective, false) AS stood, coalesce(b.effective, false) AS stands
        FROM a.events a FULL JOIN b.events b USING (study_id, subject_id, event_id, content)
    )
    SELECT subject_id, event_id, event_type, position, author, reason,
           CASE WHEN in_a AND NOT in_b THEN 'no longer seen'
                WHEN in_b AND NOT in_a AND retracts IS NOT NULL THEN 'retracted'
                WHEN in_b AND NOT in_a AND supersedes IS NOT NULL THEN 'corrected'
                WHEN in_b AND NOT in_a THEN 'added'
                WHEN stood THEN 'no longer stands' ELSE 'stands now' END AS change,
           list_concat([event_id], coalesce(supersedes, []), CASE WHEN retracts IS NULL THEN [] ELSE [retracts] END)
               AS touches
    FROM seen WHERE in_a <> in_b OR stood <> stands
"""


def _columns(table: str) -> tuple[list[str], list[str]]:
    found = schema.tables()[table]
    key = list(found.key)
    return key, [n for n in found.names if n not in key and n not in NOT_SAID]


def _joined(table: str) -> str:
    """Return a full join of both sides by key, null-safe."""
    key, _ = _columns(table)
    on = " AND ".join(f'x."{k}" IS NOT DISTINCT FROM y."{k}"' for k in key)
    return f'(SELECT *, true AS here FROM a."{table}") x FULL JOIN (SELECT *, true AS here FROM b."{table}") y ON {on}'


def _differs(table: str) -> str:
    _, values = _columns(table)
    return " OR ".join([f'x."{v}" IS DISTINCT FROM y."{v}"' for v in values] or ["false"])


def _counts(con: duckdb.DuckDBPyConnection, table: str) -> dict[str, int]:
    row = con.execute(f"""
        SELECT count(*) FILTER (x.here IS NULL), count(*) FILTER (y.here IS NULL),
               count(*) FILTER (x.here AND y.here AND ({_differs(table)}))
        FROM {_joined(table)}
    """).fetchall()[0]
    return dict(zip(("added", "removed", "changed"), map(int, row), strict=True))


def _verdicts(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Return every verdict that says something else, with what it said and the events through which it moved."""
    key, _ = _columns("verdicts")
    said = ("status", "grade", "grade_upper", "value_number", "value_code", "reason")
    differs = " OR ".join(f'x."{v}" IS DISTINCT FROM y."{v}"' for v in said)
    keys = ", ".join(f'coalesce(x."{k}", y."{k}") AS "{k}"' for k in key)
    values = ", ".join(f'x."{v}" AS old_{v}, y."{v}" AS new_{v}' for v in said)
    con.execute(f"""
        CREATE TABLE moved AS
        SELECT {keys}, {values}, list_concat(coalesce(x.event_ids, []), coalesce(y.event_ids, [])) AS cited
        FROM {_joined("verdicts")} WHERE x.here IS NULL OR y.here IS NULL OR {differs}
    """)
    rows = _rows(con, "FROM moved ORDER BY ALL")
    why = Causes(con)
    for row in rows:
        row["through"], row["direct"] = why.of(row["subject_id"], row.pop("cited"))
    return rows


class Causes:
    """Which changed events a moved row of a subject can be traced to."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        # an event that no longer stands because another one changes it is named by that other one
        rows = con.execute("""
            SELECT subject_id, event_id, touches FROM changed_events e
            WHERE change <> 'no longer stands' OR NOT EXISTS (
                FROM changed_events o WHERE o.subject_id = e.subject_id AND o.event_id <> e.event_id
                AND list_contains(o.touches, e.event_id))
        """).fetchall()
        self._changed: dict[str, list[tuple[str, set[str]]]] = {}
        for subject, event, touches in rows:
            self._changed.setdefault(subject, []).append((event, set(touches)))

    def of(self, subject: str, cited: list[str]) -> tuple[list[str], bool]:
        """Return the changed events that touch what the row cites, else all of the subject; and which it is."""
        mine = self._changed.get(subject, [])
        direct = sorted(event for event, touches in mine if touches & {*cited})
        return (direct, True) if direct else (sorted(event for event, _ in mine), False)


def _figures(
    con: duckdb.DuckDBPyConnection, one: Path, two: Path, verdicts: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return every printed figure that moved, with the events of the verdicts or subjects behind it."""
    was, now = (_flat(json.loads(json.dumps(figures_of(connect(f)), default=str))) for f in (one, two))
    every = {e for v in verdicts for e in v["through"]} or {
        e for (e,) in con.execute("SELECT event_id FROM changed_events").fetchall()
    }
    aliases = sorted({v["alias"] for v in verdicts}, key=len, reverse=True)
    out = []
    for name in dict.fromkeys([*was, *now]):
        if was.get(name) == now.get(name):
            continue
        alias = next((a for a in aliases if name.split(".")[0] in (a, f"{a}_months") or name.startswith(f"{a}_")), None)
        through = sorted({e for v in verdicts if v["alias"] == alias for e in v["through"]} if alias else every)
        out.append({"figure": name, "old": was.get(name), "new": now.get(name), "through": through})
    return out


def _flat(found: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(found, dict):
        out: dict[str, Any] = {}
        for name, value in found.items():
            out |= _flat(value, f"{prefix}.{name}" if prefix else str(name))
        return out
    if isinstance(found, list) and found and isinstance(found[0], dict):
        named = {f"{v.get('outcome')} by {v.get('factor')}": v for v in found}
        return _flat(named, prefix)
    return {prefix: found}


def _rows(con: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    return [dict(r) for r in con.sql(query).to_arrow_table().to_pylist()]
