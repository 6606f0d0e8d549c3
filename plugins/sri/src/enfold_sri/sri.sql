-- SRI at each planned visit after infusion, every part against the one baseline before treatment:
-- SLEDAI-2K falls by $sledai_drop or more; no new BILAG A and at most $new_b_allowed new B; PGA rises by less
-- than $pga_worsening (0 to 3); no treatment failure up to the visit.
WITH planned AS (
    SELECT v.*, s.infusion_date, s.death_date, s.discontinued_date
    FROM visits v JOIN subjects s USING (subject_id)
    WHERE v.scheduled AND v.target_day > 0
),
base AS (
    SELECT o.subject_id,
           max(t.value_number) FILTER (t.measure = 'total') AS sledai,
           max(t.upper) FILTER (t.measure = 'total') AS sledai_upper,
           flatten(list(t.event_ids) FILTER (t.measure = 'total')) AS sledai_ids
    FROM occasions o JOIN sledai_2k t USING (subject_id, occasion_id)
    WHERE o.instrument = 'SLEDAI2K' AND o.baseline_for IN ('efficacy', 'both')
    GROUP BY o.subject_id
),
base_pga AS (
    SELECT o.subject_id, g.value_number AS pga, g.event_ids
    FROM occasions o JOIN pga g USING (subject_id, occasion_id)
    WHERE o.instrument = 'PGA' AND o.baseline_for IN ('efficacy', 'both')
),
-- rescue for the disease: given as such, or a new immunosuppressant or biologic for SLE after infusion;
-- therapy of the cell product's toxicity, replacement and prophylaxis are exempt
failures AS (
    SELECT e.subject_id, e.from_date, e.event_ids
    FROM exposures e JOIN subjects s USING (subject_id)
    WHERE e.kind = 'medication' AND e.from_date > s.infusion_date
      AND (e.role = 'rescue'
           OR (e.drug_class IN ('immunosuppressant', 'biologic') AND coalesce(e.indication, 'sle') = 'sle'
               AND coalesce(e.role, 'background') = 'background'
               -- new means not in use on the baseline side of the infusion
               AND NOT EXISTS (
                   FROM exposures p WHERE p.subject_id = e.subject_id AND p.substance = e.substance
                   AND p.exposure_id <> e.exposure_id AND p.from_date <= s.infusion_date
                   AND coalesce(p.until_date, DATE '9999-12-31') >= s.infusion_date)))
    UNION ALL
    SELECT subject_id, from_date, event_ids FROM occurrences
    WHERE kind IN ('death', 'discontinuation') AND from_date IS NOT NULL
),
failed AS (
    SELECT p.subject_id, p.visit_id, flatten(list(f.event_ids)) AS event_ids
    FROM planned p JOIN failures f ON f.subject_id = p.subject_id
        AND f.from_date <= coalesce(p.date, p.window_until)
    GROUP BY p.subject_id, p.visit_id
),
reviewed AS (
    SELECT p.subject_id, p.visit_id,
           (SELECT flatten(list(r.event_ids)) FROM reviews r WHERE r.subject_id = p.subject_id
            AND r.data_kind = 'rescue_medication' AND r.from_date <= p.date AND r.until_date >= p.infusion_date + 1) AS event_ids
    FROM planned p JOIN coverage c ON c.subject_id = p.subject_id AND c.data_kind = 'rescue_medication'
        AND c.from_date <= p.infusion_date + 1 AND c.until_date >= p.date
),
seen AS (
    SELECT p.*, b.sledai AS base_sledai, b.sledai_upper AS base_upper, b.sledai_ids AS base_ids,
           t.value_number AS sledai, t.event_ids AS sledai_ids,
           a.value_number AS new_a, a.lower AS new_a_lower, a.event_ids AS bilag_ids, a.reason AS bilag_reason,
           n.value_number AS new_b, n.lower AS new_b_lower,
           g.value_number AS pga, g.event_ids AS pga_ids, h.pga AS base_pga, h.event_ids AS base_pga_ids,
           f.event_ids AS failure_ids, r.event_ids AS review_ids,
           greatest(CAST(p.window_until + 1 AS TIMESTAMPTZ), t.known_from, a.known_from, g.known_from) AS known_from
    FROM planned p
    LEFT JOIN base b USING (subject_id)
    LEFT JOIN base_pga h USING (subject_id)
    LEFT JOIN (FROM sledai_2k WHERE measure = 'total' AND visit_id IS NOT NULL) t USING (subject_id, visit_id)
    LEFT JOIN (FROM bilag_change WHERE measure = 'new_a' AND visit_id IS NOT NULL) a USING (subject_id, visit_id)
    LEFT JOIN (FROM bilag_change WHERE measure = 'new_b' AND visit_id IS NOT NULL) n USING (subject_id, visit_id)
    LEFT JOIN (FROM pga WHERE visit_id IS NOT NULL) g USING (subject_id, visit_id)
    LEFT JOIN failed f USING (subject_id, visit_id)
    LEFT JOIN reviewed r USING (subject_id, visit_id)
),
clauses AS (
    SELECT subject_id, visit_id, known_from, status AS held, 'sledai' AS criterion,
           -- a baseline that cannot fall so far decides, even if the visit is unknown
           CASE WHEN base_upper < $sledai_drop THEN 'not_met' ELSE verdict(base_sledai - sledai >= $sledai_drop) END AS status,
           CASE WHEN base_upper < $sledai_drop THEN 'the baseline total is below the required fall'
                WHEN base_sledai IS NULL THEN 'SLEDAI-2K at baseline is missing or incomplete'
                WHEN sledai IS NULL THEN 'SLEDAI-2K at the visit is missing or incomplete' END AS reason,
           list_concat(coalesce(base_ids, []), coalesce(sledai_ids, [])) AS event_ids
    FROM seen
    UNION ALL
    SELECT subject_id, visit_id, known_from, status, 'bilag',
           -- three-valued on whole domains: a proven new A or surplus new B decides, an unknown
           -- domain else leaves the clause open
           CASE WHEN new_a_lower > 0 OR new_b_lower > $new_b_allowed THEN 'not_met'
                ELSE verdict(new_a = 0 AND new_b <= $new_b_allowed) END,
           CASE WHEN bilag_ids IS NULL THEN 'BILAG-2004 at the visit is missing' ELSE bilag_reason END,
           coalesce(bilag_ids, [])
    FROM seen
    UNION ALL
    SELECT subject_id, visit_id, known_from, status, 'pga',
           verdict(CASE WHEN $pga_worsening_inclusive THEN pga - base_pga < $pga_worsening
                        ELSE pga - base_pga <= $pga_worsening END),
           CASE WHEN base_pga IS NULL THEN 'PGA at baseline is missing'
                WHEN pga IS NULL THEN 'PGA at the visit is missing' END,
           list_concat(coalesce(base_pga_ids, []), coalesce(pga_ids, []))
    FROM seen
    UNION ALL
    SELECT subject_id, visit_id, known_from, status, 'no_treatment_failure',
           CASE WHEN failure_ids IS NOT NULL THEN 'not_met'
                WHEN review_ids IS NOT NULL THEN 'met' ELSE 'not_evaluable' END,
           CASE WHEN failure_ids IS NOT NULL THEN 'rescue therapy, discontinuation or death up to the visit'
                WHEN review_ids IS NULL THEN 'no review of rescue medication covers infusion to visit' END,
           coalesce(failure_ids, review_ids, [])
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
