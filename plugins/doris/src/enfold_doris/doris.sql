-- DORIS 2021 on treatment: clinical SLEDAI-2K of 0, PGA below $pga_below, prednisone equivalent of at most
-- $prednisone_mg_max mg a day, background treatment stable. Serology does not count; no minimum duration.
WITH planned AS (FROM visits WHERE scheduled AND target_day > 0),
seen AS (
    SELECT p.*, c.value_number AS clinical, c.lower AS clinical_lower, c.event_ids AS sledai_ids,
           g.value_number AS pga, g.event_ids AS pga_ids,
           u.value_number AS units, u.lower AS units_lower, u.reason AS units_reason, u.event_ids AS units_ids,
           d.value_number AS days,
           b.value_number AS changed, b.lower AS changed_lower, b.reason AS changed_reason, b.event_ids AS changed_ids,
           greatest(CAST(p.window_until + 1 AS TIMESTAMPTZ), c.known_from, g.known_from, u.known_from, b.known_from)
               AS known_from
    FROM planned p
    LEFT JOIN (FROM sledai_2k WHERE measure = 'clinical' AND visit_id IS NOT NULL) c USING (subject_id, visit_id)
    LEFT JOIN (FROM pga WHERE visit_id IS NOT NULL) g USING (subject_id, visit_id)
    LEFT JOIN (FROM prednisone WHERE measure = 'units') u USING (subject_id, visit_id)
    LEFT JOIN (FROM prednisone WHERE measure = 'days') d USING (subject_id, visit_id)
    LEFT JOIN (FROM background WHERE measure = 'changed') b USING (subject_id, visit_id)
),
clauses AS (
    SELECT subject_id, visit_id, known_from, status AS held, 'clinical_sledai' AS criterion,
           -- one item known to count decides, whatever is missing beside it
           CASE WHEN clinical_lower > 0 THEN 'not_met' ELSE verdict(clinical = 0) END AS status,
           CASE WHEN clinical IS NULL AND coalesce(clinical_lower, 0) = 0
                THEN 'a clinical SLEDAI-2K item is unknown' END AS reason,
           coalesce(sledai_ids, []) AS event_ids
    FROM seen
    UNION ALL
    SELECT subject_id, visit_id, known_from, status, 'pga', verdict(pga < $pga_below),
           CASE WHEN pga IS NULL THEN 'PGA at the visit is missing' END, coalesce(pga_ids, [])
    FROM seen
    UNION ALL
    SELECT subject_id, visit_id, known_from, status, 'prednisone',
           -- a window sum against days x cap, in sixtieths of a microgram: nothing is divided
           CASE WHEN units_lower > $prednisone_mg_max * 60000 * days THEN 'not_met'
                ELSE verdict(units < $prednisone_mg_max * 60000 * days
                             OR ($prednisone_max_inclusive AND units = $prednisone_mg_max * 60000 * days)) END,
           CASE WHEN units IS NULL THEN coalesce(units_reason, 'no visit date') END, coalesce(units_ids, [])
    FROM seen
    UNION ALL
    SELECT subject_id, visit_id, known_from, status, 'stable_background',
           CASE WHEN changed_lower > 0 THEN 'not_met' ELSE verdict(changed = 0) END,
           CASE WHEN changed IS NULL THEN coalesce(changed_reason, 'no visit date') END, coalesce(changed_ids, [])
    FROM seen
),
due AS (
    SELECT * REPLACE (
        CASE WHEN held = 'not_due' THEN 'not_applicable' ELSE status END AS status,
        CASE WHEN held = 'not_due' THEN 'the visit is not due at this cut' ELSE reason END AS reason)
    FROM clauses
)
SELECT subject_id, 1 AS period, visit_id, criterion, status, reason, known_from, event_ids FROM due
UNION ALL
SELECT subject_id, 1, visit_id, 'overall', all_met(list(status)),
       string_agg(DISTINCT CASE WHEN status <> 'met' THEN criterion || ': ' || coalesce(reason, status) END, '; '
                  ORDER BY CASE WHEN status <> 'met' THEN criterion || ': ' || coalesce(reason, status) END),
       max(known_from), flatten(list(event_ids))
FROM due GROUP BY subject_id, visit_id
