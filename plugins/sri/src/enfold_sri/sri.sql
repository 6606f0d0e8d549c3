-- SRI at each planned visit after infusion, every part against the one baseline before treatment:
-- SLEDAI-2K falls by $sledai_drop or more; no new BILAG A and at most $new_b_allowed new B; PGA rises by less
-- than $pga_worsening (0 to 3); no treatment failure up to the visit.
WITH planned AS (
    -- a visit without a date is judged on the last day of its window
    SELECT v.*, s.infusion_date, coalesce(v.date, v.window_until - 1) AS judged_on
    FROM visits v JOIN subjects s USING (subject_id)
    WHERE v.scheduled AND v.target_day > 0
),
base AS (
    SELECT o.subject_id, o.date, t.value_number AS sledai, t.upper, t.event_ids
    FROM occasions o JOIN (FROM sledai_2k WHERE measure = 'total') t USING (subject_id, occasion_id)
    WHERE o.baseline_for IN ('efficacy', 'both')
),
base_pga AS (
    SELECT o.subject_id, g.value_number AS pga, g.event_ids
    FROM occasions o JOIN pga g USING (subject_id, occasion_id)
    WHERE o.baseline_for IN ('efficacy', 'both')
),
given AS (
    -- partial starts and ends lie in intervals: `after` says that all of the start is after infusion, `used` whether
    -- the substance was in use on the baseline date (yes, no, or unknown)
    SELECT e.*, s.infusion_date, e.first_day_earliest > s.infusion_date AND NOT e.contested AS after,
           e.first_day_earliest - s.infusion_date AS from_day,
           (SELECT CASE WHEN bool_or(p.first_day_latest <= d.day AND d.day <= coalesce(p.last_day_earliest,
                                     CASE WHEN p.ongoing THEN d.day ELSE p.first_day_latest END)) THEN true
                        WHEN count(*) = 0 THEN false END
            FROM exposures p WHERE p.subject_id = e.subject_id AND p.substance = e.substance AND p.kind = 'medication'
            AND p.exposure_id <> e.exposure_id AND p.first_day_earliest <= d.day
            AND coalesce(p.last_day_latest, DATE '9999-12-31') >= d.day) AS used
    FROM exposures e JOIN subjects s USING (subject_id)
    JOIN (SELECT u.subject_id, coalesce(b.date, u.infusion_date) AS day FROM subjects u LEFT JOIN base b USING (subject_id)) d
        USING (subject_id)
    WHERE e.kind = 'medication' AND e.first_day_latest > s.infusion_date
),
-- rescue for the disease: given as such, or an immunosuppressant, biologic or (after the declared day)
-- antimalarial for SLE that was not in use on the baseline date. Therapy of the cell product's toxicity,
-- replacement and prophylaxis are exempt
failures AS (
    SELECT g.subject_id, g.first_day_earliest AS earliest, g.first_day_latest AS latest,
           g.after AND (g.role IS NOT DISTINCT FROM 'rescue' OR NOT coalesce(g.used, true)) AS sure, g.event_ids
    FROM given g
    WHERE g.role = 'rescue'
       OR ((g.drug_class IN ('immunosuppressant', 'biologic')
            OR (g.drug_class = 'antimalarial' AND $antimalarial_until_day >= 0 AND g.from_day > $antimalarial_until_day))
           AND coalesce(g.indication, 'sle') = 'sle' AND coalesce(g.role, 'background') = 'background'
           AND NOT coalesce(g.used, false))
    UNION ALL
    SELECT subject_id, coalesce(from_date, CAST(from_at AS DATE)), coalesce(from_date, CAST(from_latest AS DATE)), true, event_ids
    FROM occurrences WHERE kind IN ('death', 'discontinuation') AND from_at IS NOT NULL
    UNION ALL
    -- glucocorticoid above the protocol's cap, where the study declares one, at any planned visit
    SELECT v.subject_id, v.date, v.date, true, u.event_ids
    FROM planned v
    JOIN (FROM prednisone WHERE measure = 'units') u USING (subject_id, visit_id)
    JOIN (FROM prednisone WHERE measure = 'days') d USING (subject_id, visit_id)
    WHERE $prednisone_mg_cap >= 0 AND u.lower > $prednisone_mg_cap * 60000 * d.value_number
),
failed AS (
    SELECT p.subject_id, p.visit_id, bool_or(f.sure AND f.latest <= p.judged_on) AS proven,
           min(f.latest) AS date, flatten(list(f.event_ids)) AS event_ids
    FROM planned p JOIN failures f ON f.subject_id = p.subject_id
        AND f.earliest <= p.judged_on
    GROUP BY p.subject_id, p.visit_id
),
mandated AS (
    -- exempt, but an intercurrent event that readers must see
    SELECT DISTINCT p.subject_id, p.visit_id FROM planned p JOIN given g ON g.subject_id = p.subject_id
        AND g.role = 'toxicity_treatment' AND g.first_day_earliest <= p.date
),
reviewed AS (
    SELECT p.subject_id, p.visit_id,
           (SELECT flatten(list(r.event_ids)) FROM reviews r WHERE r.subject_id = p.subject_id
            AND r.data_kind = 'rescue_medication' AND r.from_date <= p.judged_on AND r.until_date >= p.infusion_date + 1) AS event_ids
    FROM planned p JOIN coverage c ON c.subject_id = p.subject_id AND c.data_kind = 'rescue_medication'
        AND c.from_date <= p.infusion_date + 1 AND c.until_date >= p.judged_on
),
seen AS (
    SELECT p.*, p.status AS held, b.sledai AS base_sledai, b.upper AS base_upper, b.event_ids AS base_ids,
           t.value_number AS sledai, t.lower AS sledai_lower, t.upper AS sledai_upper, t.event_ids AS sledai_ids,
           a.value_number AS new_a, a.lower AS new_a_lower, a.upper AS new_a_upper, a.event_ids AS bilag_ids,
           a.reason AS bilag_reason, a.value_code AS a_domains, n.value_code AS b_domains,
           n.value_number AS new_b, n.lower AS new_b_lower, n.upper AS new_b_upper,
           g.value_number AS pga, g.event_ids AS pga_ids, h.pga AS base_pga, h.event_ids AS base_pga_ids,
           f.proven AS failed, f.date AS failure_date, f.event_ids AS failure_ids, r.event_ids AS review_ids,
           m.visit_id IS NOT NULL AS mandated,
           greatest(CAST(p.window_until + 1 AS TIMESTAMPTZ), t.known_from, a.known_from, g.known_from) AS known_from
    FROM planned p
    LEFT JOIN base b USING (subject_id)
    LEFT JOIN base_pga h USING (subject_id)
    LEFT JOIN (FROM sledai_2k WHERE measure = 'total' AND visit_id IS NOT NULL) t USING (subject_id, visit_id)
    LEFT JOIN (FROM bilag_change WHERE measure = 'new_a' AND visit_id IS NOT NULL) a USING (subject_id, visit_id)
    LEFT JOIN (FROM bilag_change WHERE measure = 'new_b' AND visit_id IS NOT NULL) n USING (subject_id, visit_id)
    LEFT JOIN (FROM pga WHERE visit_id IS NOT NULL) g USING (subject_id, visit_id)
    LEFT JOIN failed f USING (subject_id, visit_id)
    LEFT JOIN mandated m USING (subject_id, visit_id)
    LEFT JOIN reviewed r USING (subject_id, visit_id)
)
SELECT subject_id, visit_id, known_from, held, 'sledai' AS criterion,
       -- a baseline that cannot fall so far decides, even if the visit is unknown
       CASE WHEN base_upper < $sledai_drop OR base_sledai - sledai_lower < $sledai_drop THEN 'not_met'
            WHEN base_sledai - sledai_upper >= $sledai_drop AND ($use_bounds OR sledai IS NOT NULL) THEN 'met'
            ELSE 'not_evaluable' END AS status,
       CASE WHEN base_upper < $sledai_drop THEN 'the baseline total is below the required fall'
            WHEN base_sledai IS NULL THEN 'SLEDAI-2K at baseline is missing or incomplete'
            WHEN sledai IS NULL THEN 'SLEDAI-2K at the visit is missing or incomplete' END AS reason,
       'SLEDAI-2K ' || coalesce(CAST(CAST(base_sledai AS INTEGER) AS VARCHAR), 'unknown') || ' at baseline, '
           || coalesce(CAST(CAST(sledai AS INTEGER) AS VARCHAR), 'unknown') || ' at the visit; a fall of '
           || $sledai_drop || ' is needed' AS compared,
       CASE WHEN base_upper < $sledai_drop THEN ['baseline_below_threshold'] ELSE [] END AS flags,
       list_concat(coalesce(base_ids, []), coalesce(sledai_ids, [])) AS event_ids
FROM seen
UNION ALL
SELECT subject_id, visit_id, known_from, held, 'bilag',
       -- three-valued on whole domains: a proven new A or surplus new B decides, an unknown
       -- domain else leaves the clause open
       CASE WHEN new_a_lower > 0 OR new_b_lower > $new_b_allowed THEN 'not_met'
            WHEN $use_bounds AND new_a_upper = 0 AND new_b_upper <= $new_b_allowed THEN 'met'
            ELSE verdict(new_a = 0 AND new_b <= $new_b_allowed) END,
       CASE WHEN bilag_ids IS NULL THEN 'BILAG-2004 at the visit is missing' ELSE bilag_reason END,
       'new A: ' || coalesce(a_domains, 'none proven') || '; new B: ' || coalesce(b_domains, 'none proven')
           || '; no A and at most ' || $new_b_allowed || ' B may be new', [],
       coalesce(bilag_ids, [])
FROM seen
UNION ALL
SELECT subject_id, visit_id, known_from, held, 'pga',
       verdict(CASE WHEN $pga_worsening_inclusive THEN pga - base_pga < $pga_worsening
                    ELSE pga - base_pga <= $pga_worsening END),
       CASE WHEN base_pga IS NULL THEN 'PGA at baseline is missing'
            WHEN pga IS NULL THEN 'PGA at the visit is missing' END,
       'PGA ' || coalesce(shown(base_pga), 'unknown') || ' at baseline, ' || coalesce(shown(pga), 'unknown')
           || ' at the visit; a rise of ' || shown($pga_worsening)
           || CASE WHEN $pga_worsening_inclusive THEN ' or more' ELSE ' may be reached, more' END || ' fails', [],
       list_concat(coalesce(base_pga_ids, []), coalesce(pga_ids, []))
FROM seen
UNION ALL
SELECT subject_id, visit_id, known_from, held, 'no_treatment_failure',
       CASE WHEN failed THEN 'not_met' WHEN NOT failed THEN 'not_evaluable'
            WHEN review_ids IS NOT NULL THEN 'met' ELSE 'not_evaluable' END,
       CASE WHEN failed THEN 'rescue therapy, discontinuation or death up to the visit'
            WHEN NOT failed THEN 'rescue therapy may have begun before the visit: its dates, or earlier use, are not certain'
            WHEN review_ids IS NULL THEN 'no review of rescue medication covers infusion to visit' END,
       coalesce('first failure on day ' || (failure_date - infusion_date), 'no failure recorded'),
       CASE WHEN mandated THEN ['protocol_mandated_therapy'] ELSE [] END,
       coalesce(failure_ids, review_ids, [])
FROM seen
