-- Background treatment at a visit: courses started or increased within $days days (both ends
-- included), with and without the increases that childhood definitions excuse (side effect, weight,
-- adherence, building up), and which classes are in use on the visit date. Courses for toxicity of the cell
-- therapy are not background treatment of lupus.
WITH published(substance, unit, per_week) AS (
    -- standard maintenance doses (Golder 2016), as mg in seven days; other drugs have no published maximum
    VALUES ('hydroxychloroquine', 'mg', 2800), ('methotrexate', 'mg', 30), ('azathioprine', 'mg', 1400),
           ('mycophenolate_mofetil', 'mg', 21000), ('mycophenolic_acid', 'mg', 15120), ('leflunomide', 'mg', 140)
),
-- what the study file adds or overrules: `tacrolimus 42 mg; methotrexate 15 mg`, per week
declared AS (
    SELECT word[1] AS substance, word[3] AS unit, CAST(word[2] AS DECIMAL(18, 6)) AS per_week
    FROM (SELECT string_split(trim(unnest(string_split($maximum_per_week, ';'))), ' ') AS word) WHERE len(word) = 3
),
maxima AS (
    FROM declared
    UNION ALL
    SELECT substance, unit, CAST(per_week AS DECIMAL(18, 6)) FROM published ANTI JOIN declared USING (substance)
),
units(unit, micro, mass) AS (VALUES ('g', 1000000, true), ('mg', 1000, true), ('ug', 1, true)),
courses AS (
    -- an end not given is open unless stated as ongoing; partial starts and ends lie in intervals
    SELECT *, coalesce(last_day_latest, DATE '9999-12-31') AS last_date,
           coalesce(last_day_earliest, CASE WHEN ongoing THEN DATE '9999-12-31' ELSE first_day_latest END) AS surely_until,
           first_day_earliest < first_day_latest AS start_open,
           dose * doses_per_dosing_day AS per_dosing_day
    FROM exposures
    WHERE drug_class IN ('antimalarial', 'immunosuppressant', 'biologic', 'investigational')
      AND coalesce(role NOT IN ('toxicity_treatment', 'prior_therapy'), true)
),
before AS (
    -- against every course of the substance in force on the day before: above all of them is an increase
    -- (in force for sure, or possibly: an answer stands only if it holds either way)
    SELECT c.subject_id, c.exposure_id, count(p.exposure_id) AS earlier,
           count(p.exposure_id) FILTER (p.surely_until >= c.first_day_earliest - 1) AS earlier_sure,
           bool_or(p.surely_until >= c.first_day_earliest - 1 AND p.unit = c.unit
                   AND c.per_dosing_day * p.every_n_days <= p.per_dosing_day * c.every_n_days) AS not_above,
           bool_and(coalesce(p.unit = c.unit AND c.per_dosing_day * p.every_n_days > p.per_dosing_day * c.every_n_days,
                             false)) AS above_all,
           flatten(list(p.event_ids) FILTER (p.exposure_id IS NOT NULL)) AS event_ids
    FROM courses c LEFT JOIN courses p ON p.subject_id = c.subject_id AND p.substance = c.substance
        AND p.exposure_id <> c.exposure_id AND p.first_day_latest < c.first_day_earliest
        AND p.last_date >= c.first_day_earliest - 1
    GROUP BY c.subject_id, c.exposure_id
),
changes AS (
    SELECT c.*, list_concat(c.event_ids, coalesce(b.event_ids, [])) AS change_ids,
           CASE WHEN b.earlier = 0 THEN true WHEN b.not_above THEN false WHEN b.above_all THEN true END AS unstable,
           b.earlier_sure > 0 AND x.reason AS excused, b.earlier > 0 AND x.reason AS maybe_excused
    FROM courses c JOIN before b USING (subject_id, exposure_id)
    JOIN LATERAL (SELECT coalesce(c.change_reason IN ('side_effect', 'weight', 'adherence', 'build_up'), false) AS reason) x
        ON true
),
held AS (SELECT subject_id, visit_id, date FROM visits WHERE date IS NOT NULL),
covered AS (
    SELECT v.subject_id, v.visit_id,
           (SELECT flatten(list(r.event_ids)) FROM reviews r WHERE r.subject_id = v.subject_id
            AND r.data_kind = 'background_medication' AND r.from_date <= v.date AND r.until_date >= v.date - CAST($days AS INTEGER)) AS event_ids
    FROM held v JOIN coverage c ON c.subject_id = v.subject_id AND c.data_kind = 'background_medication'
        AND c.from_date <= v.date - CAST($days AS INTEGER) AND c.until_date >= v.date
),
near AS (
    SELECT v.subject_id, v.visit_id,
           count(*) FILTER (c.unstable AND NOT c.contested AND NOT c.start_open) AS changed,
           bool_or(c.unstable IS NULL OR c.contested OR c.start_open) AS doubtful,
           count(*) FILTER (c.unstable AND NOT c.maybe_excused AND NOT c.contested AND NOT c.start_open) AS changed_unexcused,
           bool_or((c.unstable IS DISTINCT FROM false AND c.maybe_excused AND NOT c.excused)
                   OR (c.unstable IS NULL AND NOT c.excused) OR c.contested OR c.start_open) AS doubtful_unexcused,
           flatten(list(c.change_ids)) AS event_ids
    FROM held v JOIN changes c ON c.subject_id = v.subject_id
        AND c.first_day_earliest <= v.date AND c.first_day_latest >= v.date - CAST($days AS INTEGER)
    GROUP BY v.subject_id, v.visit_id
),
in_use AS (
    SELECT v.subject_id, v.visit_id, c.*,
           c.first_day_latest <= v.date AND c.surely_until >= v.date AND NOT c.contested AS sure,
           -- what 84 days take: every interval divides them, so that nothing is rounded
           c.per_dosing_day * (84 // c.every_n_days) * coalesce(s.micro, 1) AS amount,
           m.per_week * 12 * coalesce(w.micro, 1) AS most,
           m.substance IS NOT NULL AS limited, coalesce(c.unit = m.unit OR (s.mass AND w.mass), false) AS same_unit
    FROM held v
    JOIN (SELECT * RENAME (subject_id AS owner) FROM courses) c
        ON c.owner = v.subject_id AND c.first_day_earliest <= v.date AND c.last_date >= v.date
    LEFT JOIN maxima m USING (substance)
    LEFT JOIN units s ON s.unit = c.unit
    LEFT JOIN units w ON w.unit = m.unit
),
doses AS (
    -- courses of one drug add up
    SELECT subject_id, visit_id, substance, sum(amount) FILTER (sure AND same_unit) > any_value(most) AS above,
           bool_or(NOT same_unit OR amount IS NULL) OR (sum(amount) FILTER (same_unit) > any_value(most)) IS DISTINCT FROM false AS maybe_above
    FROM in_use WHERE limited GROUP BY subject_id, visit_id, substance
),
limits AS (
    SELECT subject_id, visit_id, count(*) FILTER (above) AS above_maximum,
           bool_or(maybe_above AND above IS DISTINCT FROM true) AS dose_unknown
    FROM doses GROUP BY subject_id, visit_id
),
classes AS (
    SELECT subject_id, visit_id,
           count(*) FILTER (sure AND drug_class IN ('immunosuppressant', 'biologic')) AS suppressing,
           count(*) FILTER (sure AND drug_class = 'antimalarial') AS antimalarial,
           count(*) FILTER (sure AND drug_class = 'investigational') AS investigational,
           bool_or(NOT sure AND drug_class IN ('immunosuppressant', 'biologic')) AS suppressing_open,
           bool_or(NOT sure AND drug_class = 'antimalarial') AS antimalarial_open,
           bool_or(NOT sure AND drug_class = 'investigational') AS investigational_open,
           flatten(list(event_ids)) AS event_ids
    FROM in_use GROUP BY subject_id, visit_id
),
answers AS (
    SELECT v.*, r.visit_id IS NOT NULL AS reviewed, coalesce(r.event_ids, []) AS review_ids,
           coalesce(n.changed, 0) AS changed, coalesce(n.doubtful, false) AS doubtful,
           coalesce(n.changed_unexcused, 0) AS changed_unexcused,
           coalesce(n.doubtful_unexcused, false) AS doubtful_unexcused,
           coalesce(n.event_ids, []) AS change_ids,
           coalesce(u.suppressing, 0) AS suppressing, coalesce(u.antimalarial, 0) AS antimalarial,
           coalesce(u.investigational, 0) AS investigational, coalesce(l.above_maximum, 0) AS above_maximum,
           coalesce(l.dose_unknown, false) AS dose_unknown, coalesce(u.suppressing_open, false) AS suppressing_open,
           coalesce(u.antimalarial_open, false) AS antimalarial_open,
           coalesce(u.investigational_open, false) AS investigational_open, coalesce(u.event_ids, []) AS use_ids
    FROM held v
    LEFT JOIN covered r USING (subject_id, visit_id)
    LEFT JOIN near n USING (subject_id, visit_id)
    LEFT JOIN classes u USING (subject_id, visit_id)
    LEFT JOIN limits l USING (subject_id, visit_id)
),
long AS (
    SELECT *, 'changed' AS measure, changed AS seen, doubtful AS open, change_ids AS ids FROM answers
    UNION ALL SELECT *, 'changed_unexcused', changed_unexcused, doubtful_unexcused, change_ids FROM answers
    UNION ALL SELECT *, 'suppressing', suppressing, suppressing_open, use_ids FROM answers
    UNION ALL SELECT *, 'antimalarial', antimalarial, antimalarial_open, use_ids FROM answers
    UNION ALL SELECT *, 'investigational', investigational, investigational_open, use_ids FROM answers
    UNION ALL SELECT *, 'above_maximum', above_maximum, dose_unknown, use_ids FROM answers
)
SELECT subject_id, 1 AS period, visit_id, measure,
       CASE WHEN reviewed AND NOT open THEN seen END AS value_number,
       seen AS lower, CASE WHEN reviewed AND NOT open THEN seen END AS upper,
       CASE WHEN NOT reviewed THEN 'no review of background medication covers the window'
            WHEN open THEN 'a dose or date of background medication is unknown or cannot be compared' END AS reason,
       CAST(date + 2 AS TIMESTAMPTZ) AS known_from,
       list_concat(ids, review_ids) AS event_ids
FROM long
