"""Snapshots: a source that sends everything again, compared with what it last said.

A new key is an event, changed content a correction, a vanished key a retraction, a key that comes
back a retraction of that retraction, and the same content is nothing. What others changed since
is left to stand beside it: if the source changes a fact that somebody corrected here, both
corrections are live and the fact is contested until one settles it.
"""

from dataclasses import dataclass, field

import duckdb
import pyarrow as pa

from enfold import schema
from enfold.errors import FindingsError
from enfold.land import changes
from enfold.land.changes import Withdrawals
from enfold.land.stage import Staged
from enfold.ledger import engine
from enfold.ledger.canonical import content_fields, form
from enfold.ledger.ledger import Ledger
from enfold.ledger.versions import standing_facts

FEW = 5  # so many vanished keys never stop a snapshot, whatever their share


@dataclass
class Compared:
    """What a snapshot says that the ledger does not hold yet: events by type, and counts."""

    events: dict[str, pa.Table] = field(default_factory=dict)
    corrections: dict[str, pa.Table] = field(default_factory=dict)
    retractions: pa.Table = field(default_factory=lambda: changes.staged_schema("retraction").empty_table())
    unchanged: int = 0
    vanished: int = 0
    reinstated: int = 0
    held: int = 0  # keys of this source that stood before


def compare(ledger: Ledger, staged: Staged, system: str | None, author: str, reason: str) -> Compared:
    """Compare staged rows with what the same source (mapping and system) last said."""
    con = engine.connect(threads=engine.cores())
    for event_type in schema.events():
        con.register(f"ev_{event_type}", ledger.read(event_type))
    standing_facts(con)
    ours = _positions(ledger, staged, system)
    con.register("ours", pa.table({"position": pa.array(ours, pa.int64())}))
    made = con.execute("SELECT target, list_sort(list(DISTINCT event_id)) FROM retraction GROUP BY target").fetchall()
    stands = con.execute("SELECT DISTINCT event_id FROM retraction WHERE stands").fetchall()
    withdrawals = Withdrawals({t: tuple(r) for t, r in made}, frozenset(i for (i,) in stands))
    con.execute("""
        CREATE TABLE our_withdrawals AS
        SELECT DISTINCT r.subject_id, r.target AS event_id FROM retraction r
        JOIN ev_retraction e ON e.subject_id = r.subject_id AND e.event_id = r.event_id
        SEMI JOIN ours o ON o.position = e.position
        WHERE r.stands
    """)
    con.register("refused_ids", pa.table({"event_id": pa.array(sorted(staged.refused_ids), pa.string())}))
    out = Compared()
    named: list[tuple[str, str]] = []
    for event_type, rows in staged.events.items():
        _last_said(con, event_type)
        con.register("incoming", rows)
        new, changed = _changed(con, event_type)
        out.unchanged += rows.num_rows - new.num_rows - changed.num_rows
        out.events[event_type] = new
        out.corrections[event_type] = _corrections(changed, event_type, author, reason)
        vanished = con.execute("""
            SELECT l.subject_id, l.key FROM last_said l
            ANTI JOIN incoming i ON i.event_id = l.key
            ANTI JOIN refused_ids r ON r.event_id = l.key
            ANTI JOIN withdrawn w ON w.subject_id = l.subject_id AND w.event_id = l.key
        """).fetchall()
        back = con.execute("""
            SELECT DISTINCT i.subject_id, i.event_id FROM incoming i
            JOIN our_withdrawals w ON w.subject_id = i.subject_id AND w.event_id = i.event_id
        """).fetchall()
        named += [(s, name) for s, key in vanished for name in withdrawals.withdraw(key)]
        named += [(s, name) for s, key in back for name in withdrawals.reinstate(key)]
        out.vanished += len(vanished)
        out.reinstated += len(back)
        stood = "FROM last_said l ANTI JOIN withdrawn w ON w.subject_id = l.subject_id AND w.event_id = l.key"
        out.held += engine.one_row(con, f"SELECT count(*) {stood}")[0]
        con.unregister("incoming")
    out.retractions = changes.retractions(named, staged.study_id, author, reason, staged.source.name)
    return out


def check_vanished(found: Compared, source: str, most_percent: int) -> None:
    """Stop a snapshot from which unexpectedly many keys are gone.

    Raises:
        FindingsError: more than `most_percent` of the keys that stood vanished.
    """
    if found.vanished > FEW and found.vanished * 100 > most_percent * found.held:
        msg = f"{source}: {found.vanished} of {found.held} keys of this source are gone, over {most_percent} percent"
        remedy = "Nothing was landed. If the file is whole, say so with --max-vanished; see the counts with --dry-run."
        raise FindingsError(msg, remedy=remedy)


def _positions(ledger: Ledger, staged: Staged, system: str | None) -> list[int]:
    """Return the positions of the commits that this source's files made."""
    return [
        c.position
        for c in ledger.commits.of_kind("landing")
        if any(s.get("mapping") == staged.mapping.name and s.get("system") == system for s in c.sources)
    ]


def _last_said(con: duckdb.DuckDBPyConnection, event_type: str) -> None:
    """Write `last_said`: for each key of this source the version that it sent last."""
    con.execute(f"""
        CREATE OR REPLACE TABLE last_said AS
        WITH RECURSIVE line(subject_id, key, event_id) AS (
            SELECT DISTINCT v.subject_id, v.event_id, v.event_id
            FROM ev_{event_type} v SEMI JOIN ours o ON o.position = v.position
            WHERE v.supersedes IS NULL
            UNION
            SELECT c.subject_id, l.key, c.event_id
            FROM line l JOIN corrections c ON c.subject_id = l.subject_id AND c.target = l.event_id
        )
        SELECT l.subject_id, l.key, arg_max(v.event_id, (v.position, v.source_row)) AS last_id,
               arg_max({_says("v", event_type)}, (v.position, v.source_row)) AS said,
               count(DISTINCT {_says("v", event_type)}) FILTER (v.event_id = l.key) > 1
                   AND max(v.event_id = l.key AND NOT EXISTS (
                       FROM corrections c WHERE c.subject_id = l.subject_id AND c.target = l.key)) AS doubled
        FROM line l
        JOIN ev_{event_type} v ON v.subject_id = l.subject_id AND v.event_id = l.event_id
        SEMI JOIN ours o ON o.position = v.position
        GROUP BY l.subject_id, l.key
    """)


def _changed(con: duckdb.DuckDBPyConnection, event_type: str) -> tuple[pa.Table, pa.Table]:
    """Return the rows whose key is new to this source, and those that say something else than before."""
    new = con.sql("SELECT i.* FROM incoming i ANTI JOIN last_said l ON l.key = i.event_id ORDER BY source_row")
    rows = new.to_arrow_table()
    changed = con.sql(f"""
        SELECT i.* REPLACE ([l.last_id] AS supersedes, NULL AS event_id)
        FROM incoming i JOIN last_said l ON l.key = i.event_id
        WHERE l.doubled OR l.said <> {_says("i", event_type)} ORDER BY source_row
    """).to_arrow_table()
    return rows.cast(changes.staged_schema(event_type)), changed


def _corrections(changed: pa.Table, event_type: str, author: str, reason: str) -> pa.Table:
    for name, value in (("author", author), ("reason", reason)):
        at = changed.schema.get_field_index(name)
        kept = pa.compute.fill_null(changed.column(name).cast(pa.string()), value)
        changed = changed.set_column(at, pa.field(name, pa.string()), kept)
    return changes.with_ids(changes.with_content(changed, event_type)).cast(changes.staged_schema(event_type))


def _says(alias: str, event_type: str) -> str:
    fields = [f for f in content_fields(event_type) if f.name not in {"supersedes", "retracts", "schema_version"}]
    return form(fields, alias)
