-- LLDAS, five items. 1: SLEDAI-2K at most $sledai_max, nothing in major organs (renal, CNS, heart and lung, vasculitis,
-- fever), no haemolytic anaemia, no gastrointestinal activity. 2: no item present now that was absent at
-- the previous planned visit with all items known (before the first: the baseline). 3: PGA at most
-- $pga_max. 4: prednisone at most $prednisone_mg_max mg a day. 5: standard treatment tolerated, no investigational drug but
-- the study's own cell product, and no drug above its published maximum.
WITH planned AS (FROM visits WHERE scheduled AND target_day > 0),
items AS (
    SELECT s.subject_id, s.visit_id, s.occasion_id, s.measure AS item, s.value_flag AS counts,
           s.event_ids, i.system
    FROM sledai_items s JOIN instrument_items i ON i.instrument = 'SLEDAI2K' AND i.item = s.measure
),
major AS (
    SELECT subject_id, visit_id,
           CASE WHEN bool_or(counts) THEN true WHEN bool_and(counts IS NOT NULL) THEN false END AS active,
           flatten(list(event_ids)) AS event_ids
    FROM items
    WHERE visit_id IS NOT NULL
      AND (system IN ('renal', 'cns', 'serosal', 'vascular', 'constitutional'))
    GROUP BY subject_id, visit_id
),
organs AS (
    -- tick boxes: haemolysis and gastrointestinal activity are required, heart and lung count if collected;
    -- activity stated as not due to SLE is not lupus activity
    SELECT subject_id, visit_id,
           CASE WHEN bool_or(known AND value_code = 'present' AND coalesce(attribution, 'disease') <> 'not_disease') THEN true
                WHEN bool_and(known) AND count(DISTINCT item) FILTER (item IN ('HAEMOLYSIS', 'GI')) = 2 THEN false
                END AS active,
           flatten(list(event_ids)) AS event_ids
    FROM findings
    WHERE instrument = 'ORGAN_ACTIVITY' AND item <> 'TOLERANCE' AND chosen AND visit_id IS NOT NULL
    GROUP BY subject_id, visit_id
),
tolerance AS (
    SELECT subject_id, visit_id, value_code, event_ids FROM findings
    WHERE instrument = 'ORGAN_ACTIVITY' AND item = 'TOLERANCE' AND chosen AND known AND visit_id IS NOT NULL
),
compared AS (
    SELECT * FROM items WHERE $new_activity_includes_serology OR system <> 'immunological'
),
complete_forms AS (
    SELECT c.subject_id, c.occasion_id, c.visit_id, v.ordinal, false AS baseline
    FROM compared c JOIN planned v USING (subject_id, visit_id)
    GROUP BY c.subject_id, c.occasion_id, c.visit_id, v.ordinal
    HAVING bool_and(c.counts IS NOT NULL)
    UNION ALL
    SELECT c.subject_id, c.occasion_id, NULL, 0, true
    FROM compared c
    JOIN (FROM occasions WHERE instrument = 'SLEDAI2K' AND baseline_for IN ('efficacy', 'both')) o
         USING (subject_id, occasion_id)
    GROUP BY c.subject_id, c.occasion_id
    HAVING bool_and(c.counts IS NOT NULL)
),
previous AS (
    SELECT v.subject_id, v.visit_id, f.occasion_id
    FROM planned v JOIN complete_forms f ON f.subject_id = v.subject_id AND f.ordinal < v.ordinal
    QUALIFY row_number() OVER (PARTITION BY v.subject_id, v.visit_id ORDER BY f.ordinal DESC) = 1
),
news AS (
    SELECT p.subject_id, p.visit_id,
           CASE WHEN bool_or(n.counts AND NOT o.counts) THEN true
                WHEN bool_and(n.counts IS NOT NULL OR o.counts) THEN false END AS active,
           list_concat(flatten(list(n.event_ids)), flatten(list(o.event_ids))) AS event_ids
    FROM previous p
    JOIN compared n ON n.subject_id = p.subject_id AND n.visit_id = p.visit_id
    JOIN compared o ON o.subject_id = p.subject_id AND o.occasion_id = p.occasion_id AND o.item = n.item
    GROUP BY p.subject_id, p.visit_id
),
seen AS (
    SELECT p.*, t.value_number AS total, t.lower AS total_lower, t.event_ids AS total_ids,
           m.active AS major_active, o.active AS organ_active, o.event_ids AS organ_ids,
           n.active AS new_active, n.event_ids AS new_ids,
           g.value_number AS pga, g.event_ids AS pga_ids,
           u.value_number AS units, u.lower AS units_lower, u.reason AS units_reason, u.event_ids AS units_ids,
           d.value_number AS days, x.value_number AS investigational, x.lower AS investigational_lower,
           x.reason AS investigational_reason, x.event_ids AS investigational_ids,
           y.value_number AS above, y.lower AS above_lower, y.reason AS above_reason,
           l.value_code AS tolerated, l.event_ids AS tolerance_ids,
           greatest(CAST(p.window_until + 1 AS TIMESTAMPTZ), t.known_from, g.known_from, u.known_from, x.known_from)
               AS known_from
    FROM planned p
    LEFT JOIN (FROM sledai_2k WHERE measure = 'total' AND visit_id IS NOT NULL) t USING (subject_id, visit_id)
    LEFT JOIN major m USING (subject_id, visit_id)
    LEFT JOIN organs o USING (subject_id, visit_id)
    LEFT JOIN news n USING (subject_id, visit_id)
    LEFT JOIN (FROM pga WHERE visit_id IS NOT NULL) g USING (subject_id, visit_id)
    LEFT JOIN (FROM prednisone WHERE measure = 'units') u USING (subject_id, visit_id)
    LEFT JOIN (FROM prednisone WHERE measure = 'days') d USING (subject_id, visit_id)
    LEFT JOIN (FROM background WHERE measure = 'investigational') x USING (subject_id, visit_id)
    LEFT JOIN (FROM background WHERE measure = 'above_maximum') y USING (subject_id, visit_id)
    LEFT JOIN tolerance l USING (subject_id, visit_id)
),
clauses AS (
    SELECT subject_id, visit_id, known_from, status AS held, 'low_activity' AS criterion,
           CASE WHEN total_lower > $sledai_max OR major_active OR organ_active THEN 'not_met'
                ELSE verdict(total <= $sledai_max AND NOT major_active AND NOT organ_active) END AS status,
           CASE WHEN total IS NULL THEN 'SLEDAI-2K at the visit is missing or incomplete'
                WHEN organ_active IS NULL THEN 'haemolysis or gastrointestinal activity was not recorded' END AS reason,
           list_concat(coalesce(total_ids, []), coalesce(organ_ids, [])) AS event_ids
    FROM seen
    UNION ALL
    SELECT subject_id, visit_id, known_from, status, 'no_new_activity', verdict(NOT new_active),
           CASE WHEN new_active IS NULL THEN 'no earlier complete SLEDAI-2K to compare with, or an item is unknown' END,
           coalesce(new_ids, [])
    FROM seen
    UNION ALL
    SELECT subject_id, visit_id, known_from, status, 'pga', verdict(pga <= $pga_max),
           CASE WHEN pga IS NULL THEN 'PGA at the visit is missing' END, coalesce(pga_ids, [])
    FROM seen
    UNION ALL
    SELECT subject_id, visit_id, known_from, status, 'prednisone',
           CASE WHEN units_lower > $prednisone_mg_max * 60000 * days THEN 'not_met'
                ELSE verdict(units <= $prednisone_mg_max * 60000 * days) END,
           CASE WHEN units IS NULL THEN coalesce(units_reason, 'no visit date') END, coalesce(units_ids, [])
    FROM seen
    UNION ALL
    SELECT subject_id, visit_id, known_from, status, 'maintenance',
           CASE WHEN investigational_lower > 0 OR above_lower > 0 OR tolerated = 'not_tolerated' THEN 'not_met'
                ELSE verdict(investigational = 0 AND above = 0) END,
           CASE WHEN investigational IS NULL OR above IS NULL
                THEN coalesce(investigational_reason, above_reason, 'no visit date') END,
           list_concat(coalesce(investigational_ids, []), coalesce(tolerance_ids, []))
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
