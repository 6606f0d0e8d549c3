-- Complete renal response at each planned visit after infusion, in the definition $variant, for subjects whose kidneys
-- were affected at baseline: BILAG-2004 renal A or B, a renal SLEDAI-2K item that counts, or UPCR above $involvement_upcr mg/mg.
--   proteinuria      UPCR of the visit's laboratory form against the definition's limit
--   kidney_function  eGFR above the definition's floor, or within its percentage of the last value before treatment
--   no_rescue        where the definition asks (PERR): no rescue therapy from infusion to visit
-- EC-09: `50 mg/mmol` and `0.5 mg/mg` are different limits. Ratios are cross-multiplied: nothing is divided, nothing rounded.
WITH definitions(variant, upcr_per, upcr_limit, upcr_strict, egfr_floor, floor_strict, fall_percent, asks_rescue, confirmed) AS (
    -- UPCR x upcr_per against upcr_limit: SHARE prints mg/mmol (1 g/g = $mg_per_mmol mg/mmol), the others g/g
    VALUES ('SHARE', $mg_per_mmol, 50, true, 90, true, NULL, false, true),
           ('KDIGO_2024', 1, 0.5, true, NULL, NULL, $kdigo_percent, false, true),
           ('PERR', 1, 0.7, false, 60, false, 20, true, true),
           ('BLISS_LN_CRR', 1, 0.5, NOT $bliss_crr_inclusive, 90, false, 10, false, true),
           ('AURORA_CRR', NULL, NULL, NULL, NULL, NULL, NULL, true, false)
),
planned AS (
    SELECT v.subject_id, v.visit_id, v.status AS held, v.date, v.window_until, s.infusion_date, d.* EXCLUDE (variant)
    FROM visits v JOIN subjects s USING (subject_id) CROSS JOIN (FROM definitions WHERE variant = $variant) d
    WHERE v.scheduled AND v.target_day > 0
),
urine_and_blood AS (
    -- EC-78: a result below or above a limit of the assay bounds the value; `open` ends exclude the bound itself
    SELECT subject_id, visit_id, occasion_id, chosen, item, date, from_at, until_at, finding_id, known, event_ids,
           CASE WHEN comparator IS NULL AND known THEN value_number END AS value,
           CASE WHEN known AND coalesce(comparator, '>=') IN ('>', '>=') THEN value_number END AS low,
           CASE WHEN known AND coalesce(comparator, '<=') IN ('<', '<=') THEN value_number END AS high,
           coalesce(comparator = '>', false) AS low_open, coalesce(comparator = '<', false) AS high_open,
           coalesce(comparator, '') || shown(value_number) AS printed
    FROM findings WHERE instrument = 'LABORATORY' AND item IN ('UPCR', 'GFRE')
),
before AS (
    -- EC-31: the last known value strictly before treatment, lymphodepletion included
    SELECT f.* FROM urine_and_blood f
    JOIN (FROM periods WHERE period = 1) p USING (subject_id)
    LEFT JOIN (FROM occasions WHERE instrument = 'LABORATORY' AND baseline_for IN ('efficacy', 'both')) o
        USING (subject_id, occasion_id)
    WHERE f.until_at <= p.efficacy_anchor_at OR o.occasion_id IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY f.subject_id, f.item
                               ORDER BY f.known DESC, f.date DESC, f.from_at DESC, f.finding_id) = 1
),
signs AS (
    SELECT f.subject_id, 'bilag' AS sign, CASE WHEN f.known THEN f.value_code IN ('A', 'B') END AS affected, f.event_ids
    FROM findings f JOIN occasions o USING (subject_id, occasion_id)
    WHERE f.instrument = 'BILAG2004' AND f.item = 'RENAL' AND o.instrument = 'BILAG2004'
      AND o.baseline_for IN ('efficacy', 'both')
    UNION ALL
    SELECT i.subject_id, 'sledai', i.value_flag, i.event_ids
    FROM sledai_items i JOIN occasions o USING (subject_id, occasion_id)
    WHERE i.measure IN ('PROT', 'HEMAT', 'CASTS', 'PYUR') AND o.instrument = 'SLEDAI2K'
      AND o.baseline_for IN ('efficacy', 'both')
    UNION ALL
    SELECT subject_id, 'upcr', CASE WHEN low > $involvement_upcr OR (low = $involvement_upcr AND low_open) THEN true
                                    WHEN high <= $involvement_upcr THEN false END, event_ids
    FROM before WHERE item = 'UPCR'
),
involved AS (
    -- one sign decides; that there is none needs both indices. UPCR adds to them where it was measured
    SELECT subject_id,
           CASE WHEN bool_or(affected) THEN true
                WHEN bool_and(affected IS NOT NULL) AND count(DISTINCT sign) FILTER (sign <> 'upcr') = 2 THEN false END AS renal,
           CASE WHEN bool_or(affected) THEN flatten(list(event_ids) FILTER (affected))
                ELSE flatten(list(event_ids)) END AS event_ids
    FROM signs GROUP BY subject_id
),
rescued AS (
    -- a start known to the month or year may lie on either side of the visit
    SELECT p.subject_id, p.visit_id,
           bool_or(e.first_day_earliest > p.infusion_date AND e.first_day_latest <= p.date AND NOT e.contested) AS proven,
           min(e.from_date) AS date, flatten(list(e.event_ids)) AS event_ids
    FROM planned p JOIN exposures e ON e.subject_id = p.subject_id AND e.kind = 'medication' AND e.role = 'rescue'
        AND e.first_day_latest > p.infusion_date AND e.first_day_earliest <= p.date
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
    SELECT p.*, n.renal, coalesce(n.event_ids, []) AS renal_ids,
           u.low * p.upcr_per AS u_low, u.high * p.upcr_per AS u_high, u.low_open AS u_low_open, u.high_open AS u_high_open,
           u.printed AS upcr, u.event_ids AS upcr_ids,
           g.value AS egfr, g.low AS g_low, g.high AS g_high, g.low_open AS g_low_open, g.high_open AS g_high_open,
           g.printed AS egfr_printed, g.event_ids AS egfr_ids, b.value AS base, b.event_ids AS base_ids,
           r.proven AS rescued, r.date AS rescue_date, r.event_ids AS rescue_ids, c.event_ids AS review_ids,
           greatest(CAST(p.window_until + 1 AS TIMESTAMPTZ), u.until_at, g.until_at) AS known_from
    FROM planned p
    LEFT JOIN involved n USING (subject_id)
    LEFT JOIN (FROM urine_and_blood WHERE item = 'UPCR' AND chosen AND known) u USING (subject_id, visit_id)
    LEFT JOIN (FROM urine_and_blood WHERE item = 'GFRE' AND chosen AND known) g USING (subject_id, visit_id)
    LEFT JOIN (FROM before WHERE item = 'GFRE') b USING (subject_id)
    LEFT JOIN rescued r USING (subject_id, visit_id)
    LEFT JOIN reviewed c USING (subject_id, visit_id)
),
kidneys AS (
    -- above the floor; within the percentage below baseline; above it, where the definition is read as "within plus or minus"
    SELECT *,
           CASE WHEN g_low > egfr_floor OR (g_low = egfr_floor AND (g_low_open OR NOT floor_strict)) THEN true
                WHEN g_high < egfr_floor OR (g_high = egfr_floor AND (g_high_open OR floor_strict)) THEN false END AS above_floor,
           CASE WHEN egfr_floor IS NULL AND NOT $kdigo_rise_passes
                THEN egfr * 100 BETWEEN base * (100 - fall_percent) AND base * (100 + fall_percent)
                ELSE egfr * 100 >= base * (100 - fall_percent) END AS near_base
    FROM seen
),
clauses AS (
    SELECT *, 'proteinuria' AS criterion,
           CASE WHEN u_high < upcr_limit OR (u_high = upcr_limit AND (u_high_open OR NOT upcr_strict)) THEN 'met'
                WHEN u_low > upcr_limit OR (u_low = upcr_limit AND (u_low_open OR upcr_strict)) THEN 'not_met'
                ELSE 'not_evaluable' END AS status,
           CASE WHEN upcr IS NULL THEN 'no usable UPCR on the laboratory form of the visit'
                ELSE 'the UPCR is given as a bound that does not decide' END AS open_reason,
           'UPCR ' || coalesce(upcr, 'unknown') || ' mg/mg' || CASE WHEN upcr_per > 1 THEN ' x ' || shown(upcr_per) ELSE '' END
               || CASE WHEN upcr_strict THEN ', below ' ELSE ', at most ' END || shown(upcr_limit) AS compared,
           coalesce(upcr_ids, []) AS event_ids
    FROM kidneys
    UNION ALL
    SELECT *, 'kidney_function',
           verdict(CASE WHEN fall_percent IS NULL THEN above_floor WHEN egfr_floor IS NULL THEN near_base
                        ELSE above_floor OR near_base END),
           CASE WHEN egfr_printed IS NULL THEN 'no usable eGFR on the laboratory form of the visit'
                WHEN base IS NULL THEN 'no eGFR from before treatment to compare with'
                ELSE 'the eGFR is given as a bound that does not decide' END,
           'eGFR ' || coalesce(egfr_printed, 'unknown')
               || coalesce(CASE WHEN floor_strict THEN '; above ' ELSE '; at least ' END || shown(egfr_floor), '')
               || CASE WHEN fall_percent IS NULL THEN '' ELSE '; before treatment ' || coalesce(shown(base), 'unknown')
                       || ', at most ' || fall_percent || ' percent below it' END,
           list_concat(coalesce(egfr_ids, []),
                       CASE WHEN fall_percent IS NULL OR coalesce(above_floor, false) THEN [] ELSE coalesce(base_ids, []) END)
    FROM kidneys
    UNION ALL
    SELECT *, 'no_rescue',
           CASE WHEN rescued THEN 'not_met' WHEN rescued IS NULL AND review_ids IS NOT NULL THEN 'met' ELSE 'not_evaluable' END,
           CASE WHEN rescued IS NULL THEN 'no review of rescue medication covers infusion to visit'
                ELSE 'a rescue may have begun before the visit: its date is not certain' END,
           coalesce('first rescue on day ' || (rescue_date - infusion_date), 'no rescue recorded'),
           coalesce(rescue_ids, review_ids, [])
    FROM kidneys WHERE asks_rescue
)
SELECT subject_id, visit_id, known_from, held, criterion,
       CASE WHEN NOT renal THEN 'not_applicable' WHEN NOT confirmed THEN 'not_evaluable'
            WHEN renal IS NULL THEN 'not_evaluable' ELSE status END AS status,
       CASE WHEN NOT renal THEN 'no renal involvement at baseline' WHEN NOT confirmed THEN 'definition not confirmed'
            WHEN renal IS NULL THEN 'renal involvement at baseline is not known'
            WHEN status = 'not_evaluable' THEN open_reason
            WHEN status = 'not_met' AND criterion = 'no_rescue' THEN 'rescue therapy up to the visit' END AS reason,
       CASE WHEN renal AND confirmed THEN compared END AS compared, [] AS flags, list_concat(renal_ids, event_ids) AS event_ids
FROM clauses
