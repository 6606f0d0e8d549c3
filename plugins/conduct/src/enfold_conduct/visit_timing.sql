-- Planned visits in their windows: held inside, missed, or collected under the visit's name on a date outside.
WITH strayed AS (
    -- a form whose date lies outside the window of the visit that it was collected for
    SELECT subject_id, collected_visit_id AS visit_id, count(*) AS forms, flatten(list(event_ids)) AS event_ids
    FROM occasions WHERE collected_visit_id IS NOT NULL AND visit_id IS DISTINCT FROM collected_visit_id
    GROUP BY subject_id, collected_visit_id
),
seen AS (
    SELECT v.*, coalesce(s.forms, 0) AS strayed, list_concat(v.event_ids, coalesce(s.event_ids, [])) AS cited
    FROM visits v LEFT JOIN strayed s USING (subject_id, visit_id) WHERE v.scheduled
),
judged AS (
    SELECT subject_id, period, visit_id,
           CASE WHEN strayed > 0 THEN 'not_met' WHEN status = 'held' THEN 'met' WHEN status = 'missed' THEN 'not_met'
                WHEN status = 'not_due' THEN 'not_applicable' ELSE 'not_evaluable' END AS status,
           CASE WHEN strayed > 0 THEN 'forms of the visit are dated outside its window' WHEN status = 'missed' THEN 'the visit was missed'
                WHEN status = 'not_due' THEN 'the visit is not due at this cut' WHEN status = 'unknown' THEN 'the cut does not tell whether it was held' END AS reason,
           'forms outside the window: ' || strayed AS compared,
           (SELECT CAST(cutoff + 2 AS TIMESTAMPTZ) FROM cut) AS known_from, cited AS event_ids
    FROM seen
)
SELECT subject_id, period, visit_id, 'in_window' AS criterion, status, reason, compared, known_from, event_ids FROM judged
UNION ALL
SELECT subject_id, period, visit_id, 'overall', status, reason, NULL, known_from, event_ids FROM judged
