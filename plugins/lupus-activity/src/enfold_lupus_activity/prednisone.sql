-- Prednisone equivalent over the window that ends on the visit date, as a sum of whole sixtieths of
-- a microgram, and the days it covers. The sum is known where a review covers every day of it and
-- every course in it has a known dose; else only its lower bound is. An unknown dose is carried from
-- the same drug, and a course without an end runs, for at most $carried_days days.
WITH systemic AS (
    SELECT *, coalesce(every_n_days, 1) AS every,
           -- a start known to the month or year: for daily doses any day of it gives the same sum later
           first_day_latest AS began, first_day_earliest < first_day_latest AS start_open,
           coalesce(last_day_earliest, CASE WHEN ongoing THEN DATE '9999-12-31' END,
                    first_day_latest + CAST($carried_days AS INTEGER)) AS last_date,
           coalesce(last_day_latest, DATE '9999-12-31') AS possibly_until,
           last_day_earliest IS DISTINCT FROM last_day_latest
               OR (last_day_latest IS NULL AND NOT coalesce(ongoing, false)) AS end_open
    FROM exposures
    WHERE drug_class = 'glucocorticoid'
      AND coalesce(route, '?') NOT IN ('topical', 'inhaled', 'intranasal', 'ophthalmic', 'intra_articular')
      AND ($include_replacement OR coalesce(indication, '?') <> 'adrenal_replacement')
      AND ($include_toxicity OR coalesce(role, '?') <> 'toxicity_treatment')
),
carried AS (
    -- from the last day on which the drug's dose was known
    SELECT c.subject_id, c.exposure_id, p.prednisone_units_per_dosing_day AS units, p.every AS every_before, p.event_ids,
           least(p.last_date, c.began - 1) + CAST($carried_days AS INTEGER) AS carried_until
    FROM systemic c JOIN systemic p ON p.subject_id = c.subject_id AND p.substance = c.substance
        AND p.exposure_id <> c.exposure_id AND p.prednisone_units_per_dosing_day IS NOT NULL
        AND coalesce(p.frequency, '?') <> 'once' AND p.began < c.began
        AND p.last_date + CAST($carried_days AS INTEGER) >= c.began
    WHERE c.prednisone_units_per_dosing_day IS NULL
    QUALIFY row_number() OVER (PARTITION BY c.subject_id, c.exposure_id ORDER BY p.began DESC, p.exposure_id) = 1
),
courses AS (
    SELECT s.* REPLACE (
               CASE WHEN k.units IS NOT NULL THEN least(s.last_date, k.carried_until) ELSE s.last_date END AS last_date,
               CASE WHEN s.every_n_days IS NULL THEN coalesce(k.every_before, s.every) ELSE s.every END AS every,
               list_concat(s.event_ids, coalesce(k.event_ids, [])) AS event_ids),
           coalesce(s.prednisone_units_per_dosing_day, k.units) AS units,
           k.units IS NOT NULL AS is_carried, s.last_date AS stated_last
    FROM systemic s LEFT JOIN carried k USING (subject_id, exposure_id)
),
dated AS (
    SELECT v.subject_id, v.visit_id, v.date,
           CASE WHEN EXISTS (
               FROM courses c WHERE c.subject_id = v.subject_id AND c.every_n_days > 1
               AND c.began <= v.date AND c.stated_last >= v.date - CAST($days AS INTEGER) + 1)
           THEN $days_if_not_daily ELSE $days END AS days
    FROM visits v WHERE v.date IS NOT NULL
),
windows AS (SELECT *, date - CAST(days AS INTEGER) + 1 AS first_day FROM dated),
parts AS (
    SELECT w.*, c.event_ids, c.from_latest, c.contested, c.units, c.is_carried, c.stated_last, c.role, c.indication,
           greatest(c.began, w.first_day) AS low, least(c.last_date, w.date) AS high,
           c.began, c.last_date, c.every,
           c.start_open AND (c.every > 1 OR c.began > w.first_day) AS undated,
           c.end_open AND c.last_date < w.date AND c.possibly_until >= w.first_day AS end_matters
    FROM windows w JOIN courses c ON c.subject_id = w.subject_id
        -- a stated dose of nothing adds nothing, whatever its end
        AND c.prednisone_units_per_dosing_day IS DISTINCT FROM 0
        AND c.first_day_earliest <= w.date AND (c.stated_last >= w.first_day OR (c.end_open AND c.possibly_until >= w.first_day))
),
summed AS (
    SELECT subject_id, visit_id,
           sum(CASE WHEN low > high OR undated THEN 0 ELSE
               units * ((high - began) // every - (low - began + every - 1) // every + 1) END) AS units,
           bool_or(undated OR contested OR units IS NULL OR end_matters
                   OR (is_carried AND least(stated_last, date) > last_date)) AS doubtful,
           bool_or(units >= $pulse_mg * 60000 AND low <= high) AS pulse,
           bool_or(indication = 'adrenal_replacement' AND low <= high) AS replacement,
           bool_or(role = 'toxicity_treatment' AND low <= high) AS toxicity,
           bool_or(is_carried AND low <= high) AS carried,
           max(from_latest) AS known_from, flatten(list(event_ids)) AS event_ids
    FROM parts GROUP BY subject_id, visit_id
),
covered AS (
    SELECT w.subject_id, w.visit_id,
           (SELECT flatten(list(r.event_ids)) FROM reviews r WHERE r.subject_id = w.subject_id
            AND r.data_kind = 'glucocorticoid' AND r.from_date <= w.date AND r.until_date >= w.first_day) AS event_ids
    FROM windows w JOIN coverage c ON c.subject_id = w.subject_id AND c.data_kind = 'glucocorticoid'
        AND c.from_date <= w.first_day AND c.until_date >= w.date
),
answers AS (
    SELECT w.subject_id, w.visit_id, w.date, w.days,
           coalesce(s.units, 0) AS lower,
           CASE WHEN r.visit_id IS NOT NULL AND NOT coalesce(s.doubtful, false)
                THEN coalesce(s.units, 0) END AS units,
           CASE WHEN r.visit_id IS NULL THEN 'no review of glucocorticoids covers the window'
                WHEN coalesce(s.doubtful, false) THEN 'a glucocorticoid course has no usable dose or end' END AS reason,
           coalesce(s.pulse, false) AS pulse, coalesce(s.replacement, false) AS replacement,
           coalesce(s.toxicity, false) AS toxicity, coalesce(s.carried, false) AS carried,
           greatest(CAST(w.date + 2 AS TIMESTAMPTZ), s.known_from) AS known_from,
           list_concat(coalesce(s.event_ids, []), coalesce(r.event_ids, [])) AS event_ids
    FROM windows w
    LEFT JOIN summed s USING (subject_id, visit_id)
    LEFT JOIN covered r USING (subject_id, visit_id)
)
SELECT subject_id, 1 AS period, visit_id, 'units' AS measure, units AS value_number, lower, units AS upper,
       NULL::BOOLEAN AS value_flag, reason, known_from, event_ids
FROM answers
UNION ALL
SELECT subject_id, 1, visit_id, 'days', days, days, days, NULL, NULL, known_from, [] FROM answers
UNION ALL
SELECT subject_id, 1, visit_id, mark.name, NULL, NULL, NULL, mark.value, NULL, known_from, event_ids
FROM (SELECT *, unnest([{'name': 'pulse', 'value': pulse}, {'name': 'replacement', 'value': replacement},
                        {'name': 'toxicity', 'value': toxicity}, {'name': 'carried', 'value': carried}]) AS mark
      FROM answers)
