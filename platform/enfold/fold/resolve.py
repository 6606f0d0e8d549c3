"""Resolve: the facts that a cut sees, and the doubts about their versions.

Which version stands is decided by the versions that the cut sees by position and recorded time
(ledger/versions.py); the bound in clinical time applies after that, to what stands, so that nothing
corrected past it comes back.
"""

from collections.abc import Iterator

import duckdb

from enfold import schema
from enfold.ledger import engine
from enfold.ledger.versions import ENVELOPE, standing_facts, types


def resolve(con: duckdb.DuckDBPyConnection) -> set[str]:
    """Turn the tables `ev_<type>` into `e_<type>`, one row per standing fact within the cut.

    Adds `fact_id` (id of the first version), `event_ids` (the standing versions), `contested`
    and the time columns; writes `version_doubts`, `effective_ids` and `all_subjects`.
    Returns the types of which some event may not be effective.
    """
    versioned = standing_facts(con)
    engine.execute(con, _MOMENTS.format(texts=" UNION ALL ".join(_texts())))
    (bounded,) = engine.one_row(con, "SELECT occurred_until IS NOT NULL FROM study")
    if bounded:
        engine.execute(con, _WITHIN)
    for event_type in types():
        # most events are assessments: what is read as it is needs no copy
        kind = "VIEW" if event_type == "assessment" and event_type not in versioned else "TABLE"
        facts = _within_cut(event_type) if bounded else _dated(event_type)
        engine.execute(con, f"CREATE {kind} e_{event_type} AS {facts}")
    every = " UNION ALL ".join(f"SELECT subject_id, fact_id, event_ids, contested FROM e_{t}" for t in types())
    engine.execute(con, _DOUBTS.format(facts=every))
    left = {t for t in types() if bounded and engine.one_row(con, _LEFT_OUT.format(t))[0]}
    return versioned | left | {"retraction"}


def _texts() -> Iterator[str]:
    """Yield a query for each column of facts that holds clinical times."""
    for event_type in types():
        for name in ("occurred", *(f.name for f in schema.events()[event_type].fields if f.kind == "when")):
            yield f'SELECT "{name}" AS text FROM facts_{event_type}'


# Many facts share their clinical times: each text is read once.
_MOMENTS = """
    CREATE TABLE moments AS
    SELECT text, precision, local_from, local_until,
           at_utc(text, local_from) AS from_at, at_utc(text, local_until) AS until_at, when_date(text) AS date
    FROM (SELECT text, when_precision(text) AS precision,
                 when_local(text) AS local_from, when_local_end(text) AS local_until
          FROM (SELECT DISTINCT text FROM ({texts}) WHERE text IS NOT NULL))
"""

# What the bound in clinical time leaves of a fact depends on the study file's rule for its type: by date
# (a partial date is an interval, and stays if it may lie within), by subject (all of those enrolled within),
# or none. A death after the bound is not known at it, so it goes, and an outcome that tells of it is blank.
_WITHIN = """
    CREATE TABLE later AS SELECT text FROM moments WHERE from_at > (SELECT occurred_until FROM study);
    CREATE MACRO beyond(t) AS coalesce(t IN (FROM later), false);
    CREATE TABLE cut_subjects AS
    SELECT DISTINCT subject_id FROM facts_enrolment
    WHERE occurred IS NOT NULL AND NOT beyond(occurred);
    CREATE TABLE died_later AS
    SELECT DISTINCT subject_id FROM facts_disposition
    WHERE milestone = 'death' AND beyond(occurred) AND (SELECT blank_death FROM study);
"""
_LATER_DEATH = """outcome = 'fatal' AND (SELECT blank_death FROM study)
    AND (beyond(ended) OR (ended IS NULL AND subject_id IN (FROM died_later)))"""
_BLANKED = {
    "adverse_event": {
        "outcome": f"CASE WHEN {_LATER_DEATH} THEN NULL ELSE outcome END",
        "ended": f"CASE WHEN {_LATER_DEATH} THEN NULL ELSE ended END",
    }
}


def _dated(event_type: str, **instead: str) -> str:
    """Return the query of a type's facts with their times; `instead` says what some columns become."""
    names = (*ENVELOPE[1:], *schema.events()[event_type].names)
    columns = ", ".join(f'{instead[c]} AS "{c}"' if c in instead else f'"{c}"' for c in names)
    return f"""
        SELECT subject_id, {columns}, fact_id, event_ids, contested,
               m.from_at, m.until_at AS from_latest, m.date AS from_date
        FROM facts_{event_type} LEFT JOIN moments m ON m.text = occurred
    """


def _within_cut(event_type: str) -> str:
    """Return the query of the facts that the bound in clinical time leaves."""
    death = "AND NOT (milestone = 'death' AND beyond(occurred) AND (SELECT blank_death FROM study))"
    return f"""
        {_dated(event_type, **_BLANKED.get(event_type, {}))}
        WHERE CASE (SELECT rule FROM cut_rules WHERE event_type = '{event_type}')
              WHEN 'none' THEN true
              WHEN 'subject' THEN subject_id IN (FROM cut_subjects)
              ELSE NOT beyond(occurred) END
        {death if event_type == "disposition" else ""}
    """


_LEFT_OUT = "SELECT (SELECT count(*) FROM ev_{0}) > (SELECT count(*) FROM e_{0})"
_DOUBTS = """
    CREATE VIEW effective_ids AS
    SELECT subject_id, unnest(event_ids) AS event_id FROM ({facts});

    CREATE TABLE suite_queries AS
    SELECT DISTINCT e.subject_id, q.code, q.reason, q.event_id
    FROM queries q JOIN effective_ids e USING (event_id);

    CREATE TABLE version_doubts AS
    SELECT subject_id, 'contested' AS code, 'error' AS severity, fact_id AS subject_ref,
           len(event_ids) || ' versions of one fact stand; supersede them all with one correction' AS rule,
           event_ids
    FROM ({facts}) WHERE contested
    UNION ALL
    SELECT subject_id, 'pending_change', 'query', event_id,
           'the event that this change names has not arrived, or is another subject''s or type''s',
           [event_id]
    FROM edges WHERE NOT found
    UNION ALL
    SELECT subject_id, 'version_cycle', 'error', event_id, 'retractions name one another in a circle',
           [event_id]
    FROM retraction WHERE stands IS NULL
    UNION ALL
    SELECT subject_id, 'change_of_withdrawn', 'query', event_id,
           'this correction names only versions that were withdrawn', [event_id]
    FROM (SELECT DISTINCT subject_id, event_id FROM corrections WHERE found)
    ANTI JOIN live USING (subject_id, event_id)
    ANTI JOIN withdrawn USING (subject_id, event_id);
"""
