"""Resolve: the facts that a cut sees, and the doubts about their versions.

Which version stands is decided by the versions that the cut sees by position and recorded time
(ledger/versions.py); the bound in clinical time applies after that, to what stands, so that nothing
corrected past it comes back.
"""

import datetime as dt

import duckdb

from enfold import schema
from enfold.ledger import engine
from enfold.ledger.versions import ENVELOPE, standing_facts, types
from enfold.study import CutRules


def resolve(con: duckdb.DuckDBPyConnection, until: dt.datetime | None, rules: CutRules) -> set[str]:
    """Turn the tables `ev_<type>` into `e_<type>`, one row per standing fact within the cut.

    Args:
        con: holds the tables.
        until: the bound in clinical time, if there is one.
        rules: what it leaves of each type.

    Adds `fact_id` (id of the first version), `event_ids` (the standing versions), `contested`
    and the time columns; writes `version_doubts`, `effective_ids` and `all_subjects`.
    Returns the types of which some event may not be effective.
    """
    versioned = standing_facts(con)
    engine.execute(con, _MOMENTS.format(texts=" UNION ALL ".join(map(_texts, types()))))
    bound = _Bound(con, until, rules) if until else None
    bounded = []
    for event_type in types():
        facts = bound.within(event_type) if bound else None
        if facts:
            bounded.append(event_type)
        # most events are assessments: what is read as it is needs no copy
        kind = "VIEW" if event_type == "assessment" and event_type not in versioned else "TABLE"
        engine.execute(con, f"CREATE {kind} e_{event_type} AS {facts or _dated(event_type)}")
    every = " UNION ALL ".join(f"SELECT subject_id, fact_id, event_ids, contested FROM e_{t}" for t in types())
    engine.execute(con, _DOUBTS.format(facts=every))
    return versioned | _left_out(con, bounded) | {"retraction"}


def _texts(event_type: str) -> str:
    """Return the query of all clinical times that facts of a type hold, as text."""
    names = ["occurred", *(f.name for f in schema.events()[event_type].fields if f.kind == "when")]
    columns = ", ".join(f'"{name}"' for name in names)
    return f"SELECT {f'unnest([{columns}])' if len(names) > 1 else columns} AS text FROM facts_{event_type}"


# Many facts share their clinical times: each text is read once.
_MOMENTS = """
    CREATE TABLE moments AS
    SELECT text, precision, local_from, local_until,
           at_utc(text, local_from) AS from_at, at_utc(text, local_until) AS until_at, when_date(text) AS date
    FROM (SELECT text, when_precision(text) AS precision,
                 when_local(text) AS local_from, when_local_end(text) AS local_until
          FROM (SELECT DISTINCT text FROM ({texts}) WHERE text IS NOT NULL))
"""


class _Bound:
    """What a bound in clinical time leaves of the facts, by the study file's rule for their type.

    By date (a partial date is an interval, and stays if it may lie within), by subject (all of those enrolled within),
    or all. A death after the bound is not known at it, so it goes, and an outcome that tells of it is blank.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, until: dt.datetime, rules: CutRules) -> None:
        self._until = f"TIMESTAMPTZ '{until.astimezone(dt.UTC).isoformat(' ')}'"
        self._rules = rules
        engine.execute(con, f"CREATE TABLE later AS SELECT text FROM moments WHERE from_at > {self._until}")
        self._any_later = engine.one_row(con, "SELECT count(*) FROM later")[0] > 0
        if "subject" in {self._rule(t) for t in types()}:
            engine.execute(con, _ENROLLED_WITHIN)
        self._blank_death = self._any_later and rules.blank_death
        if self._blank_death:
            engine.execute(con, _DIED_LATER)

    def _rule(self, event_type: str) -> str:
        return self._rules.types.get(event_type, self._rules.default)

    def within(self, event_type: str) -> str | None:
        """Return the query of the facts that are left of a type; None if all are, as they are."""
        rule = self._rule(event_type)
        blanked = _BLANKED.get(event_type, {}) if self._blank_death else {}
        left = []
        if rule == "subject":
            left.append("subject_id IN (FROM cut_subjects)")
        elif rule == "date" and self._any_later:
            left.append(f"NOT {self._later()}")
        if event_type == "disposition" and self._blank_death:
            left.append(f"NOT (milestone = 'death' AND {self._later()})")
        if not left and not blanked:
            return None
        return _dated(event_type, **blanked) + (f"WHERE {' AND '.join(left)}" if left else "")

    def _later(self) -> str:
        return f"coalesce(m.from_at > {self._until}, false)"


_ENROLLED_WITHIN = """
    CREATE TABLE cut_subjects AS
    SELECT DISTINCT subject_id FROM facts_enrolment
    WHERE occurred IS NOT NULL AND occurred NOT IN (FROM later)
"""
_DIED_LATER = """
    CREATE TABLE died_later AS
    SELECT DISTINCT subject_id FROM facts_disposition WHERE milestone = 'death' AND occurred IN (FROM later)
"""
_LATER_DEATH = """outcome = 'fatal'
    AND (coalesce(ended IN (FROM later), false) OR (ended IS NULL AND subject_id IN (FROM died_later)))"""
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


def _left_out(con: duckdb.DuckDBPyConnection, bounded: list[str]) -> set[str]:
    """Return the types of which the bound leaves out some event."""
    counts = " UNION ALL ".join(
        f"SELECT '{t}' WHERE (SELECT count(*) FROM ev_{t}) > (SELECT count(*) FROM e_{t})" for t in bounded
    )
    return {t for (t,) in engine.execute(con, counts).fetchall()} if counts else set()


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
