-- LLDAS and its childhood form at each planned visit after infusion, all five items:
--   low_activity     SLEDAI-2K at most $sledai_max, no major organ active, no haemolysis, no gastrointestinal activity
--   no_new_activity  nothing new against the previous assessment, in the reading $new_activity
--   pga              PGA (0 to 3) at most $pga_max
--   prednisone       at most $prednisone_mg_max mg a day, in the childhood form also at most $prednisone_mg_per_kg_max mg/kg
--   maintenance      tolerated standard doses, nothing investigational but the study's own cells; in the
--                    childhood form nothing started or raised within the stability window
WITH planned AS (SELECT *, status AS held FROM visits WHERE scheduled AND target_day > 0),
items AS (
    SELECT s.subject_id, s.visit_id, s.occasion_id, s.measure AS item, s.value_flag AS counts, s.event_ids, i.system
    FROM sledai_items s JOIN instrument_items i ON i.instrument = 'SLEDAI2K' AND i.item = s.measure
),
major AS (
    SELECT subject_id, visit_id,
           CASE WHEN bool_or(counts) THEN true WHEN bool_and(counts IS NOT NULL) THEN false END AS active,
           string_agg(CASE WHEN counts THEN item END, ', ' ORDER BY item) AS organs,
           flatten(list(event_ids)) AS event_ids
    FROM items
    WHERE system IN ('renal', 'cns', 'serosal', 'vascular', 'constitutional')
    GROUP BY subject_id, visit_id
),
boxes AS (
    SELECT subject_id, visit_id, item, known, event_ids,
           -- activity stated as not due to SLE is not lupus activity
           known AND value_code = 'present' AND attribution IS DISTINCT FROM 'not_disease' AS active
    FROM findings WHERE instrument = 'ORGAN_ACTIVITY' AND item <> 'TOLERANCE' AND chosen
    UNION ALL
    -- where the study allows it, BILAG stands in for boxes not ticked: a haematological grade cannot tell haemolysis
    SELECT f.subject_id, f.visit_id, CASE f.item WHEN 'GI' THEN 'GI' WHEN 'CARDIO' THEN 'CARDIOPULMONARY' ELSE 'HAEMOLYSIS' END,
           CASE WHEN f.item = 'HAEM' THEN f.value_code NOT IN ('A', 'B') ELSE true END, f.event_ids,
           f.item <> 'HAEM' AND (f.value_code IN ('A', 'B') OR ($bilag_fallback_counts_c AND f.value_code = 'C'))
    FROM findings f
    WHERE $bilag_fallback AND f.instrument = 'BILAG2004' AND f.item IN ('GI', 'CARDIO', 'HAEM') AND f.chosen AND f.known
      AND NOT EXISTS (FROM findings o WHERE o.subject_id = f.subject_id AND o.visit_id = f.visit_id AND o.chosen AND o.known
          AND o.instrument = 'ORGAN_ACTIVITY'
          AND o.item = CASE f.item WHEN 'GI' THEN 'GI' WHEN 'CARDIO' THEN 'CARDIOPULMONARY' ELSE 'HAEMOLYSIS' END)
),
organs AS (
    -- haemolysis and gastrointestinal activity are required, heart and lung count if collected
    SELECT subject_id, visit_id,
           CASE WHEN bool_or(active) THEN true
                WHEN bool_and(known) AND count(DISTINCT item) FILTER (item IN ('HAEMOLYSIS', 'GI')) = 2 THEN false
                END AS active,
           string_agg(CASE WHEN active THEN item END, ', ' ORDER BY item) AS organs,
           flatten(list(event_ids)) AS event_ids
    FROM boxes GROUP BY subject_id, visit_id
),
tolerance AS (
    SELECT subject_id, visit_id, value_code, event_ids FROM findings
    WHERE instrument = 'ORGAN_ACTIVITY' AND item = 'TOLERANCE' AND chosen AND known
),
compared_items AS (
    SELECT * FROM items WHERE $new_activity_includes_serology OR system <> 'immunological'
),
complete_forms AS (
    -- DC-01: planned visits whose compared items are all known, and the baseline form
    SELECT c.subject_id, c.occasion_id, v.ordinal
    FROM compared_items c JOIN (FROM visits WHERE scheduled) v USING (subject_id, visit_id)
    GROUP BY c.subject_id, c.occasion_id, c.visit_id, v.ordinal
    HAVING bool_and(c.counts IS NOT NULL)
    UNION ALL
    SELECT c.subject_id, c.occasion_id, -1  -- before the first planned visit, which is 1
    FROM compared_items c
    JOIN (FROM occasions WHERE instrument = 'SLEDAI2K' AND baseline_for IN ('efficacy', 'both')) o
         USING (subject_id, occasion_id)
    GROUP BY c.subject_id, c.occasion_id
    HAVING bool_and(c.counts IS NOT NULL)
),
previous AS (
    SELECT v.subject_id, v.visit_id, v.ordinal, f.occasion_id, f.ordinal AS before
    FROM planned v JOIN complete_forms f ON f.subject_id = v.subject_id AND f.ordinal < v.ordinal
    QUALIFY row_number() OVER (PARTITION BY v.subject_id, v.visit_id ORDER BY f.ordinal DESC) = 1
),
skipped AS (
    SELECT p.subject_id, p.visit_id FROM previous p JOIN planned b ON b.subject_id = p.subject_id
        AND b.ordinal < p.ordinal AND b.ordinal > p.before GROUP BY p.subject_id, p.visit_id
),
fresh AS (
    SELECT p.subject_id, p.visit_id,
           CASE WHEN bool_or(n.counts AND NOT o.counts) THEN true
                WHEN bool_and(n.counts IS NOT NULL OR o.counts) THEN false END AS active,
           string_agg(CASE WHEN n.counts AND NOT o.counts THEN n.item END, ', ' ORDER BY n.item) AS what,
           list_concat(flatten(list(n.event_ids)), flatten(list(o.event_ids))) AS event_ids, NULL::TIMESTAMPTZ AS known_from
    FROM previous p
    JOIN compared_items n ON n.subject_id = p.subject_id AND n.visit_id = p.visit_id
    JOIN compared_items o ON o.subject_id = p.subject_id AND o.occasion_id = p.occasion_id AND o.item = n.item
    GROUP BY p.subject_id, p.visit_id
),
news AS (
    SELECT * FROM fresh WHERE $new_activity = 'oon'
    UNION ALL
    SELECT subject_id, visit_id, value_flag, value_code, event_ids, known_from FROM flare_index
    WHERE measure = CASE $new_activity WHEN 'golder' THEN 'any_previous' WHEN 'parodis' THEN 'severe_baseline' END
),
seen AS (
    SELECT p.*, t.value_number AS total, t.lower AS total_lower, t.upper AS total_upper, t.event_ids AS total_ids,
           m.active AS major_active, m.organs AS major_organs, o.active AS organ_active, o.organs, o.event_ids AS organ_ids,
           n.active AS new_active, n.what AS new_what, n.event_ids AS new_ids,
           g.value_number AS pga, g.event_ids AS pga_ids,
           u.value_number AS units, u.lower AS units_lower, u.reason AS units_reason, u.event_ids AS units_ids,
           d.value_number AS days,
           -- most in the window, in sixtieths of a microgram: nothing is divided; without a weight the cap in mg alone
           CAST(least($prednisone_mg_max, CASE WHEN $weight_based THEN $prednisone_mg_per_kg_max * w.value_number END)
                * 60000 AS DECIMAL(30, 9)) * d.value_number AS most,
           w.value_number AS kg, w.reason AS kg_reason, w.event_ids AS weight_ids,
           x.value_number AS investigational, x.lower AS investigational_lower,
           x.reason AS drug_reason, x.event_ids AS use_ids,
           y.value_number AS above, y.lower AS above_lower, y.reason AS above_reason,
           c.value_number AS changed, c.lower AS changed_lower, c.reason AS changed_reason, c.event_ids AS changed_ids,
           l.value_code AS tolerated, l.event_ids AS tolerance_ids, k.visit_id IS NOT NULL AS gap,
           k2.value_flag AS toxicity,
           greatest(CAST(p.window_until + 1 AS TIMESTAMPTZ), t.known_from, g.known_from, u.known_from, x.known_from,
                    n.known_from) AS known_from
    FROM planned p
    LEFT JOIN (FROM sledai_2k WHERE measure = 'total' AND visit_id IS NOT NULL) t USING (subject_id, visit_id)
    LEFT JOIN major m USING (subject_id, visit_id)
    LEFT JOIN organs o USING (subject_id, visit_id)
    LEFT JOIN news n USING (subject_id, visit_id)
    LEFT JOIN (FROM pga WHERE visit_id IS NOT NULL) g USING (subject_id, visit_id)
    LEFT JOIN (FROM prednisone WHERE measure = 'units') u USING (subject_id, visit_id)
    LEFT JOIN (FROM prednisone WHERE measure = 'days') d USING (subject_id, visit_id)
    LEFT JOIN (FROM prednisone WHERE measure = 'toxicity') k2 USING (subject_id, visit_id)
    LEFT JOIN weight w USING (subject_id, visit_id)
    LEFT JOIN (FROM background WHERE measure = 'investigational') x USING (subject_id, visit_id)
    LEFT JOIN (FROM background WHERE measure = 'above_maximum') y USING (subject_id, visit_id)
    LEFT JOIN (FROM background WHERE measure = CASE WHEN $excused_increases THEN 'changed_unexcused' ELSE 'changed' END) c
         USING (subject_id, visit_id)
    LEFT JOIN tolerance l USING (subject_id, visit_id)
    LEFT JOIN skipped k USING (subject_id, visit_id)
)
SELECT subject_id, visit_id, known_from, held, 'low_activity' AS criterion,
       CASE WHEN total_lower > $sledai_max THEN 'not_met'
            WHEN $use_bounds AND total_upper <= $sledai_max AND NOT major_active AND NOT organ_active THEN 'met'
            ELSE verdict(total <= $sledai_max AND NOT major_active AND NOT organ_active) END AS status,
       CASE WHEN total_lower > $sledai_max OR major_active OR organ_active THEN NULL
            WHEN total IS NULL THEN 'SLEDAI-2K at the visit is missing or incomplete'
            WHEN organ_active IS NULL THEN 'haemolysis or gastrointestinal activity was not recorded' END AS reason,
       'SLEDAI-2K ' || coalesce(CAST(CAST(total AS INTEGER) AS VARCHAR), 'unknown') || ', at most ' || $sledai_max
           || '; active major organs: ' || coalesce(major_organs, 'none') || '; beyond SLEDAI: ' || coalesce(organs, 'none') AS compared,
       [] AS flags,
       list_concat(coalesce(total_ids, []), coalesce(organ_ids, [])) AS event_ids
FROM seen
UNION ALL
SELECT subject_id, visit_id, known_from, held, 'no_new_activity',
       CASE WHEN $new_activity = 'none' THEN 'not_applicable' ELSE verdict(NOT new_active) END,
       CASE WHEN $new_activity = 'none' THEN 'left out: the study asks for LLDAS without item 2'
            WHEN new_active IS NULL AND $new_activity = 'oon' THEN 'no earlier complete SLEDAI-2K to compare with, or an item is unknown'
            WHEN new_active IS NULL THEN 'no reference visit, or a trigger of the flare index is unknown' END,
       'new: ' || coalesce(new_what, CASE WHEN new_active IS NULL THEN 'unknown' ELSE 'nothing' END),
       CASE WHEN gap AND $new_activity = 'oon' THEN ['previous_assessment_skipped'] ELSE [] END, coalesce(new_ids, [])
FROM seen
UNION ALL
SELECT subject_id, visit_id, known_from, held, 'pga', verdict(pga <= $pga_max),
       CASE WHEN pga IS NULL THEN 'PGA at the visit is missing' END,
       'PGA ' || coalesce(shown(pga), 'unknown') || ', at most ' || shown($pga_max), [], coalesce(pga_ids, [])
FROM seen
UNION ALL
SELECT subject_id, visit_id, known_from, held, 'prednisone',
       -- zero passes any cap
       CASE WHEN units_lower > most THEN 'not_met'
            WHEN units = 0 THEN 'met'
            WHEN units IS NULL OR ($weight_based AND kg IS NULL) THEN 'not_evaluable'
            ELSE 'met' END,
       CASE WHEN units IS NULL THEN coalesce(units_reason, 'no visit date')
            WHEN $weight_based AND units > 0 AND kg IS NULL THEN kg_reason END,
       'prednisone equivalent ' || coalesce(milligrams(units) || ' mg', 'unknown') || ' in '
           || coalesce(shown(days), 'unknown') || ' days, at most ' || shown($prednisone_mg_max) || ' mg a day'
           || CASE WHEN $weight_based THEN ' and ' || shown($prednisone_mg_per_kg_max) || ' mg/kg at '
                                           || coalesce(shown(kg) || ' kg', 'an unknown weight') ELSE '' END,
       CASE WHEN toxicity THEN ['glucocorticoid_for_toxicity'] ELSE [] END,
       list_concat(coalesce(units_ids, []), CASE WHEN $weight_based AND units <> 0 THEN coalesce(weight_ids, []) ELSE [] END)
FROM seen
UNION ALL
SELECT subject_id, visit_id, known_from, held, 'maintenance',
       CASE WHEN investigational_lower > 0 OR above_lower > 0 OR tolerated = 'not_tolerated'
                 OR ($stable_background AND changed_lower > 0) THEN 'not_met'
            ELSE verdict(investigational = 0 AND above = 0 AND (NOT $stable_background OR changed = 0)) END,
       CASE WHEN investigational_lower > 0 THEN 'an investigational drug is in use' WHEN above_lower > 0 THEN 'a drug is above its maximum'
            WHEN tolerated = 'not_tolerated' THEN 'treatment is not tolerated'
            WHEN $stable_background AND changed_lower > 0 THEN 'a drug was started or raised within the stability window'
            WHEN investigational IS NULL OR above IS NULL OR ($stable_background AND changed IS NULL)
                THEN coalesce(drug_reason, above_reason, changed_reason, 'no visit date') END,
       'investigational drugs in use: ' || coalesce(shown(investigational_lower), 'unknown') || '; above maximum: '
           || coalesce(shown(above_lower), 'unknown')
           || CASE WHEN $stable_background THEN '; started or raised: ' || coalesce(shown(changed_lower), 'unknown') ELSE '' END,
       [],
       list_concat(list_concat(coalesce(use_ids, []), coalesce(tolerance_ids, [])),
                   CASE WHEN $stable_background THEN coalesce(changed_ids, []) ELSE [] END)
FROM seen
