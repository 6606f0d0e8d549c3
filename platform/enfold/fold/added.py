"""Event types that plugins add: each becomes a state table of its own, one row for each fact that stands.

Period, study days and visit are told as for forms (`sql/30_visits.sql`, `sql/40_findings.sql`): the date decides the
window, and what was collected outside any visit speaks for none.
"""

from enfold.schema import Table


def facts_sql(event: Table) -> str:
    """Return the query of the state table of one added event type."""
    body = "".join(f'e."{name}", ' for name in event.names)
    return f"""
        SELECT e.subject_id, CASE WHEN s.infusion_at IS NOT NULL THEN coalesce(q.period, 1) END AS period,
               e.fact_id, e.occasion_id, e.visit_id AS collected_visit_id,
               CASE WHEN e.visit_id IS NULL OR e.from_date IS NULL THEN NULL
                    WHEN w.visit_id IS NOT NULL THEN w.visit_id
                    WHEN e.visit_id IN (SELECT visit_id FROM planned_visits) THEN 'unscheduled/' || e.from_date
                    ELSE e.visit_id END AS visit_id,
               e.from_at, e.from_latest AS until_at, e.from_date AS date,
               study_day(e.from_date, s.infusion_date) AS study_day,
               e.from_date - s.infusion_date AS infusion_day, e.contested, {body}e.event_ids
        FROM e_{event.name} e
        JOIN subjects s USING (subject_id)
        LEFT JOIN windows w ON w.subject_id = e.subject_id
            AND e.from_date >= w.window_from AND e.from_date < w.window_until
        ASOF LEFT JOIN periods q ON q.subject_id = e.subject_id AND e.from_at >= q.starts_at
    """
