-- Remission at each planned visit after infusion: clinical SLEDAI-2K of 0, PGA below $pga_below, prednisone
-- equivalent within its cap, background treatment stable; off treatment and drug-free also no
-- immunosuppressant or biologic in use. Serology does not count; no minimum duration.
WITH planned AS (SELECT *, status AS held FROM visits WHERE scheduled AND target_day > 0),
beyond AS (
    -- activity that SLEDAI does not see: flagged, the literal result stands
    SELECT subject_id, visit_id FROM findings
    WHERE instrument = 'ORGAN_ACTIVITY' AND chosen AND known AND value_code = 'present'
      AND attribution IS DISTINCT FROM 'not_disease'
    GROUP BY subject_id, visit_id
),
seen AS (
    SELECT p.*, c.value_number AS clinical, c.lower AS clinical_lower, c.event_ids AS sledai_ids,
           g.value_number AS pga, g.event_ids AS pga_ids,
           u.value_number AS units, u.lower AS units_lower, u.reason AS units_reason, u.event_ids AS units_ids,
           d.value_number AS days,
           -- most in the window, in sixtieths of a microgram: nothing is divided; without a weight the cap in mg alone
           CAST(least($prednisone_mg_max, CASE WHEN $weight_based THEN $prednisone_mg_per_kg_max * w.value_number END)
                * 60000 AS DECIMAL(30, 9)) * d.value_number AS most,
           w.value_number AS kg, w.reason AS kg_reason, w.event_ids AS weight_ids,
           b.value_number AS changed, b.lower AS changed_lower, b.reason AS changed_reason, b.event_ids AS changed_ids,
           s.value_number AS suppressing, s.lower AS suppressing_lower, s.reason AS use_reason, s.event_ids AS use_ids,
           a.value_number AS antimalarial, a.lower AS antimalarial_lower,
           y.visit_id IS NOT NULL AS beyond, r.value_flag AS replacement, x.value_flag AS toxicity,
           greatest(CAST(p.window_until + 1 AS TIMESTAMPTZ), c.known_from, g.known_from, u.known_from, b.known_from)
               AS known_from
    FROM planned p
    LEFT JOIN (FROM sledai_2k WHERE measure = 'clinical' AND visit_id IS NOT NULL) c USING (subject_id, visit_id)
    LEFT JOIN (FROM pga WHERE visit_id IS NOT NULL) g USING (subject_id, visit_id)
    LEFT JOIN (FROM prednisone WHERE measure = 'units') u USING (subject_id, visit_id)
    LEFT JOIN (FROM prednisone WHERE measure = 'days') d USING (subject_id, visit_id)
    LEFT JOIN (FROM prednisone WHERE measure = 'replacement') r USING (subject_id, visit_id)
    LEFT JOIN (FROM prednisone WHERE measure = 'toxicity') x USING (subject_id, visit_id)
    LEFT JOIN weight w USING (subject_id, visit_id)
    LEFT JOIN (FROM background WHERE measure = CASE WHEN $excused_increases THEN 'changed_unexcused' ELSE 'changed' END) b
         USING (subject_id, visit_id)
    LEFT JOIN (FROM background WHERE measure = 'suppressing') s USING (subject_id, visit_id)
    LEFT JOIN (FROM background WHERE measure = 'antimalarial') a USING (subject_id, visit_id)
    LEFT JOIN beyond y USING (subject_id, visit_id)
)
SELECT subject_id, visit_id, known_from, held, 'clinical_sledai' AS criterion,
       -- one item known to count decides, whatever is missing beside it
       CASE WHEN clinical_lower > 0 THEN 'not_met' ELSE verdict(clinical = 0) END AS status,
       CASE WHEN clinical IS NULL AND coalesce(clinical_lower, 0) = 0
            THEN 'a clinical SLEDAI-2K item is unknown' END AS reason,
       'clinical SLEDAI-2K ' || coalesce(shown(clinical), 'at least ' || shown(clinical_lower), 'unknown') || ', 0 is needed' AS compared,
       CASE WHEN beyond THEN ['non_sledai_activity'] ELSE [] END AS flags,
       coalesce(sledai_ids, []) AS event_ids
FROM seen
UNION ALL
SELECT subject_id, visit_id, known_from, held, 'pga', verdict(pga < $pga_below),
       CASE WHEN pga IS NULL THEN 'PGA at the visit is missing' END,
       'PGA ' || coalesce(shown(pga), 'unknown') || ', below ' || shown($pga_below), [], coalesce(pga_ids, [])
FROM seen
UNION ALL
SELECT subject_id, visit_id, known_from, held, 'prednisone',
       -- zero passes any cap
       CASE WHEN units_lower > most THEN 'not_met'
            WHEN units = 0 THEN 'met'
            WHEN units = $prednisone_mg_max * 60000 * days AND NOT $prednisone_max_inclusive THEN 'not_met'
            WHEN units IS NULL OR ($weight_based AND kg IS NULL) THEN 'not_evaluable'
            ELSE 'met' END,
       CASE WHEN units IS NULL THEN coalesce(units_reason, 'no visit date')
            WHEN $weight_based AND units > 0 AND kg IS NULL THEN kg_reason END,
       'prednisone equivalent ' || coalesce(milligrams(units) || ' mg', 'unknown') || ' in '
           || coalesce(shown(days), 'unknown') || ' days, at most ' || shown($prednisone_mg_max) || ' mg a day'
           || CASE WHEN $weight_based THEN ' and ' || shown($prednisone_mg_per_kg_max) || ' mg/kg at '
                                           || coalesce(shown(kg) || ' kg', 'an unknown weight') ELSE '' END,
       list_concat(CASE WHEN toxicity THEN ['glucocorticoid_for_toxicity'] ELSE [] END,
                   CASE WHEN replacement THEN ['adrenal_replacement'] ELSE [] END),
       list_concat(coalesce(units_ids, []), CASE WHEN $weight_based AND units <> 0 THEN coalesce(weight_ids, []) ELSE [] END)
FROM seen
UNION ALL
SELECT subject_id, visit_id, known_from, held, 'stable_background',
       CASE WHEN changed_lower > 0 THEN 'not_met' ELSE verdict(changed = 0) END,
       CASE WHEN changed IS NULL THEN coalesce(changed_reason, 'no visit date') END,
       'drugs started or raised within the stability window: ' || coalesce(shown(changed_lower), 'unknown'), [],
       coalesce(changed_ids, [])
FROM seen
UNION ALL
SELECT subject_id, visit_id, known_from, held, 'no_suppressant',
       CASE WHEN suppressing_lower > 0 OR (NOT $antimalarial_allowed AND antimalarial_lower > 0) THEN 'not_met'
            ELSE verdict(suppressing = 0 AND ($antimalarial_allowed OR antimalarial = 0)) END,
       CASE WHEN suppressing IS NULL THEN coalesce(use_reason, 'no visit date') END,
       'immunosuppressants and biologics in use: ' || coalesce(shown(suppressing_lower), 'unknown')
           || '; antimalarials: ' || coalesce(shown(antimalarial_lower), 'unknown'), [],
       coalesce(use_ids, [])
FROM seen WHERE $off_treatment
