"""Versions: which version of each fact stands, from the supersedes and retracts graph.

- A correction replaces what it supersedes; a retraction withdraws its target and with it the
  corrections of that target. Retracting a correction lets what it replaced stand again;
  retracting a retraction reinstates its target.
- One standing version: it is the fact. Several that say the same: they agree. Several that do not,
  or one id with different content: the fact is contested; it keeps what its versions agree on, and
  everything else is unknown.
- A change whose target is not visible is pending: it counts for nothing and is a data finding.

Landing order plays no part: only which events are there.
"""

import duckdb

from enfold import schema
from enfold.ledger import engine
from enfold.ledger.canonical import content_fields, form

ENVELOPE = ("study_id", "occasion_id", "visit_id", "occurred")


def types() -> list[str]:
    """Return the event types that state facts: all but the retraction."""
    return [t for t in schema.events() if t != "retraction"]


def standing_facts(con: duckdb.DuckDBPyConnection) -> set[str]:
    """Define over the tables `ev_<type>` the relations `facts_<type>`, one row per fact that stands.

    Adds `fact_id` (id of the first version), `event_ids` (the standing versions) and `contested`;
    leaves the tables `statements`, `edges`, `retraction`, `corrections`, `live` and `withdrawn`.
    Returns the types that hold events with more than one version: of the others every event is a fact.
    """
    _statements(con)
    _standing_retractions(con)
    engine.execute(con, _GRAPH)
    versioned = {t for (t,) in engine.execute(con, _VERSIONED).fetchall()}
    for event_type in types():
        if event_type in versioned:
            _standing_versions(con, event_type)
        engine.execute(con, f"CREATE VIEW facts_{event_type} AS {_facts(event_type, versions=event_type in versioned)}")
    return versioned


def _statements(con: duckdb.DuckDBPyConnection) -> None:
    parts = [
        f"SELECT subject_id, event_id, '{t}' AS event_type, supersedes, retracts FROM ev_{t}" for t in schema.events()
    ]
    engine.execute(con, f"CREATE TABLE statements AS {' UNION ALL '.join(parts)};{_EDGES}")


_EDGES = """
    CREATE TABLE all_subjects AS SELECT DISTINCT subject_id FROM statements;

    CREATE TABLE named AS
    SELECT DISTINCT subject_id, event_id, event_type, unnest(supersedes) AS target, false AS withdraws
    FROM statements WHERE supersedes IS NOT NULL
    UNION ALL
    SELECT DISTINCT subject_id, event_id, event_type, retracts, true
    FROM statements WHERE retracts IS NOT NULL;

    -- a correction keeps the type of what it corrects; a retraction may withdraw any type
    CREATE TABLE edges AS
    SELECT n.*, EXISTS (
        FROM statements s WHERE s.subject_id = n.subject_id AND s.event_id = n.target
        AND (n.withdraws OR s.event_type = n.event_type)) AS found
    FROM named n;

    CREATE TABLE retraction AS
    SELECT DISTINCT subject_id, event_id, target, CAST(NULL AS BOOLEAN) AS stands
    FROM edges WHERE withdraws AND found;
"""


def _standing_retractions(con: duckdb.DuckDBPyConnection) -> None:
    """Decide retractions from the newest end of each chain: one stands if none that stands names it."""
    while engine.one_row(con, "SELECT count(*) FROM retraction")[0]:
        # RETURNING drains into fetchall; an empty answer means that the rest is a cycle or decided
        if not engine.execute(con, _DECIDE).fetchall():
            return


_DECIDE = """
    UPDATE retraction AS r SET stands = NOT EXISTS (
        FROM retraction n WHERE n.subject_id = r.subject_id AND n.target = r.event_id AND n.stands)
    WHERE r.stands IS NULL AND NOT EXISTS (
        FROM retraction n
        WHERE n.subject_id = r.subject_id AND n.target = r.event_id AND n.stands IS NULL)
    RETURNING 1
"""


_GRAPH = """
    CREATE TABLE withdrawn AS
    SELECT DISTINCT subject_id, target AS event_id FROM retraction WHERE stands;

    -- live: reached from a first version over corrections, none withdrawn on the way
    CREATE TABLE corrections AS SELECT * FROM edges WHERE NOT withdraws;

    CREATE TABLE linked AS
    SELECT DISTINCT subject_id, event_id FROM corrections
    UNION SELECT subject_id, target FROM corrections WHERE found
    UNION SELECT subject_id, event_id FROM withdrawn;

    CREATE TABLE live AS
    WITH RECURSIVE reach(subject_id, event_id, fact_id) AS (
        SELECT l.subject_id, l.event_id, l.event_id FROM linked l
        ANTI JOIN corrections c ON c.subject_id = l.subject_id AND c.event_id = l.event_id
        ANTI JOIN withdrawn w ON w.subject_id = l.subject_id AND w.event_id = l.event_id
        UNION
        SELECT c.subject_id, c.event_id, r.fact_id
        FROM reach r
        JOIN corrections c ON c.subject_id = r.subject_id AND c.target = r.event_id AND c.found
        ANTI JOIN withdrawn w ON w.subject_id = c.subject_id AND w.event_id = c.event_id
    )
    SELECT subject_id, event_id, min(fact_id) AS fact_id FROM reach GROUP BY subject_id, event_id;

    CREATE TABLE tips AS
    SELECT l.subject_id, l.event_id, l.fact_id FROM live l
    WHERE NOT EXISTS (
        FROM corrections c JOIN live n ON n.subject_id = c.subject_id AND n.event_id = c.event_id
        WHERE c.subject_id = l.subject_id AND c.target = l.event_id);

    CREATE TABLE doubles AS
    SELECT subject_id, event_id FROM statements WHERE retracts IS NULL
    GROUP BY subject_id, event_id HAVING count(*) > 1;
"""


_VERSIONED = """
    SELECT DISTINCT event_type FROM statements s
    SEMI JOIN (SELECT subject_id, event_id FROM linked UNION ALL FROM doubles) v
      ON v.subject_id = s.subject_id AND v.event_id = s.event_id
"""


def _facts(event_type: str, *, versions: bool) -> str:
    """Return the query of a type's facts: events of one version as they are, and what standing versions agree on."""
    body = schema.events()[event_type].names
    plain = ", ".join(f'v."{c}"' for c in (*ENVELOPE, *body))
    single = f"""
        SELECT v.subject_id, {plain}, v.event_id AS fact_id, [v.event_id] AS event_ids, false AS contested
        FROM ev_{event_type} v"""
    if not versions:
        return single
    agreed = ", ".join(
        f'CASE WHEN count(DISTINCT v."{c}") <= 1 AND count(v."{c}") IN (0, count(*)) THEN min(v."{c}") END AS "{c}"'
        for c in (*ENVELOPE, *body)
        if c != "occasion_id"
    )
    return f"""{single}
        ANTI JOIN linked l ON l.subject_id = v.subject_id AND l.event_id = v.event_id
        ANTI JOIN doubles d ON d.subject_id = v.subject_id AND d.event_id = v.event_id
        UNION ALL BY NAME
        SELECT v.subject_id, {agreed}, coalesce(min(v.occasion_id), min(o.occasion_id)) AS occasion_id,
               v.fact AS fact_id, list_sort(list_distinct(list(v.event_id))) AS event_ids,
               count(DISTINCT v.said) > 1 AS contested
        FROM versions_{event_type} v
        LEFT JOIN ev_{event_type} o ON o.subject_id = v.subject_id AND o.event_id = v.fact
        GROUP BY v.subject_id, v.fact"""


def _standing_versions(con: duckdb.DuckDBPyConnection, event_type: str) -> None:
    """Keep the versions of one fact that stand; what they say decides whether they agree, not what they replace."""
    says = [f for f in content_fields(event_type) if f.name not in {"supersedes", "retracts"}]
    engine.execute(
        con,
        f"""
        CREATE TABLE versions_{event_type} AS
        SELECT DISTINCT ON (v.subject_id, fact, v.event_id, said) v.*, coalesce(t.fact_id, v.event_id) AS fact,
               {form(says, "v")} AS said
        FROM ev_{event_type} v
        LEFT JOIN tips t ON t.subject_id = v.subject_id AND t.event_id = v.event_id
        LEFT JOIN linked l ON l.subject_id = v.subject_id AND l.event_id = v.event_id
        LEFT JOIN doubles d ON d.subject_id = v.subject_id AND d.event_id = v.event_id
        WHERE t.event_id IS NOT NULL OR (l.event_id IS NULL AND d.event_id IS NOT NULL)
    """,
    )
