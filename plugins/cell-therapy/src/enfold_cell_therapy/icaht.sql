-- ICAHT: neutropenia after each infusion. A day's count is the lowest of that day; between counts at most $max_gap_days days
-- apart it is interpolated linearly, and as far before the first and after the last it is carried. Fractions stay whole:
-- an interpolated count is kept as numerator over `span` days and compared with limit x span.
--   early  days 0 to $early_until_day: consecutive days at or below $severe and $profound; grade 4 where a count at or below
--          $severe by day $never_from_day is never followed by one above it
--   late   the lowest count after that, to day $late_until_day
-- Each is the highest grade proven; where days without a count remain, the upper bound is 4.
WITH
-- {followed}
phases AS (
    -- `end_day` is the last day that counts: of the window, of life, or before the next infusion
    SELECT w.*, h.phase, least(h.until_day, w.last_day) AS end_day, least(h.until_day, w.last_day, w.seen_day) AS shown_day,
           w.seen_day >= least(h.until_day, w.last_day) AS complete
    FROM followed w CROSS JOIN (VALUES ('early', CAST($early_until_day AS INTEGER)), ('whole', CAST($late_until_day AS INTEGER)))
        AS h(phase, until_day)
),
counts AS (
    -- EC-78: a count below a limit of the assay lies between 0 and the limit; above one, at or above it; an unknown one
    -- anywhere
    SELECT h.subject_id, h.period, h.phase, h.shown_day, f.date - h.starts_date AS day,
           min(CASE WHEN f.known AND coalesce(f.comparator, '>=') IN ('>', '>=') THEN f.value_number ELSE 0 END) AS low,
           min(CASE WHEN f.known AND coalesce(f.comparator, '<=') IN ('<', '<=') THEN f.value_number ELSE 1000000 END) AS high,
           flatten(list(f.event_ids)) AS event_ids
    FROM phases h JOIN findings f ON f.subject_id = h.subject_id AND f.date >= h.starts_date
        AND f.date - h.starts_date <= h.end_day
    WHERE f.instrument = 'LABORATORY' AND f.item = 'NEUT'
    GROUP BY h.subject_id, h.period, h.phase, h.shown_day, f.date - h.starts_date
),
pieces AS (
    SELECT *, coalesce(lead(day) OVER w, shown_day + 1) AS next_day, lead(day) OVER w IS NULL AS final,
           lag(day) OVER w IS NULL AS initial, lead(low) OVER w AS next_low, lead(high) OVER w AS next_high
    FROM counts WINDOW w AS (PARTITION BY subject_id, period, phase ORDER BY day)
),
spread AS (
    SELECT *, unnest(range(CASE WHEN initial AND day <= $max_gap_days THEN 0 ELSE day END,
                           CASE WHEN next_day - day - CASE WHEN final THEN 1 ELSE 0 END <= $max_gap_days
                                THEN next_day ELSE day + 1 END)) AS d
    FROM pieces
),
days AS (
    SELECT subject_id, period, phase, d AS day, CASE WHEN final OR d <= day THEN 1 ELSE next_day - day END AS span,
           CASE WHEN final OR d <= day THEN low ELSE low * (next_day - d) + next_low * (d - day) END AS low,
           CASE WHEN final OR d <= day THEN high ELSE high * (next_day - d) + next_high * (d - day) END AS high
    FROM spread
),
filled AS (
    SELECT h.*, coalesce(d.known_days, 0) AS known_days, coalesce(h.complete AND d.known_days = h.end_day + 1, false) AS covered
    FROM phases h
    LEFT JOIN (SELECT subject_id, period, phase, count(*) AS known_days FROM days GROUP BY subject_id, period, phase) d
        USING (subject_id, period, phase)
),
-- runs of consecutive days at or below a limit: proven by the high ends, possible by the low ends
marked AS (
    SELECT d.subject_id, d.period, d.phase, d.day, l.level, l.proven
    FROM days d CROSS JOIN (VALUES ('severe', $severe, true), ('severe', $severe, false), ('profound', $profound, true),
                                   ('profound', $profound, false)) AS l(level, threshold, proven)
    WHERE CASE WHEN l.proven THEN d.high ELSE d.low END <= l.threshold * d.span
    UNION ALL
    SELECT subject_id, period, phase, day, 'recovered', true FROM days WHERE low > $severe * span
),
runs AS (
    SELECT subject_id, period, phase, level, proven, min(day) AS first_day, max(day) AS last_day, count(*) AS length
    FROM (SELECT *, day - row_number() OVER (PARTITION BY subject_id, period, phase, level, proven ORDER BY day) AS island
          FROM marked)
    GROUP BY subject_id, period, phase, level, proven, island
),
durations AS (
    SELECT r.subject_id, r.period, r.proven,
           max(r.length) FILTER (r.level = 'severe') AS severe_days, max(r.length) FILTER (r.level = 'profound') AS profound_days,
           -- never above: to the end of the window, or of life
           bool_or(r.level = 'severe' AND r.first_day <= $never_from_day AND r.last_day = f.end_day
                   AND (f.end_day = $early_until_day OR f.end_day = f.death_day)) AND bool_or(f.complete) AS never
    FROM runs r JOIN filled f USING (subject_id, period, phase) WHERE r.phase = 'early' GROUP BY r.subject_id, r.period, r.proven
),
early_grades AS (
    SELECT *, CASE WHEN never OR profound_days >= 14 THEN 4 WHEN severe_days >= 14 OR profound_days >= 7 THEN 3
                   WHEN severe_days >= 7 THEN 2 WHEN severe_days >= 1 THEN 1 ELSE 0 END AS grade
    FROM durations
),
sampled AS (
    SELECT subject_id, period, phase, count(*) AS counted, max(day - before) FILTER (before IS NOT NULL) AS widest,
           flatten(list(event_ids)) AS event_ids
    FROM (SELECT *, lag(day) OVER (PARTITION BY subject_id, period, phase ORDER BY day) AS before FROM counts)
    GROUP BY subject_id, period, phase
),
early AS (
    SELECT f.subject_id, f.period, f.starts_at, f.cutoff, f.complete, f.covered, coalesce(g.grade, 0) AS proven,
           CASE WHEN f.covered THEN greatest(coalesce(u.grade, 0), coalesce(g.grade, 0)) ELSE 4 END AS upper,
           coalesce(g.severe_days, 0) AS severe_days, coalesce(g.profound_days, 0) AS profound_days,
           coalesce(g.never, false) AS never,
           coalesce(s.counted, 0) AS counted, s.widest, coalesce(s.event_ids, []) AS event_ids
    FROM (FROM filled WHERE phase = 'early') f
    LEFT JOIN (FROM early_grades WHERE proven) g USING (subject_id, period)
    LEFT JOIN (FROM early_grades WHERE NOT proven) u USING (subject_id, period)
    LEFT JOIN (FROM sampled WHERE phase = 'early') s USING (subject_id, period)
),
nadirs AS (
    -- the lowest count itself: interpolation never goes below its ends
    SELECT subject_id, period, min(high) AS high, min(low) AS low, arg_min(day, (high, day)) AS day, max(day) AS last_day,
           max(day - coalesce(before, CAST($early_until_day AS INTEGER))) AS widest, flatten(list(event_ids)) AS event_ids
    FROM (SELECT *, lag(day) OVER (PARTITION BY subject_id, period ORDER BY day) AS before
          FROM counts WHERE phase = 'whole' AND day > $early_until_day)
    GROUP BY subject_id, period
),
late AS (
    SELECT f.subject_id, f.period, f.starts_at, f.cutoff, f.complete, n.high, n.day,
           coalesce(n.event_ids, []) AS event_ids,
           CASE WHEN n.high <= $profound THEN 4 WHEN n.high <= $severe THEN 3 WHEN n.high <= $late_moderate THEN 2
                WHEN n.high <= $late_mild THEN 1 ELSE 0 END AS proven,
           CASE WHEN f.complete AND greatest(n.widest, f.end_day - n.last_day) <= $late_max_gap_days THEN
                CASE WHEN n.low <= $profound THEN 4 WHEN n.low <= $severe THEN 3 WHEN n.low <= $late_moderate THEN 2
                     WHEN n.low <= $late_mild THEN 1 ELSE 0 END ELSE 4 END AS upper,
           f.end_day <= $early_until_day AS ended
    FROM (FROM filled WHERE phase = 'whole') f LEFT JOIN nadirs n USING (subject_id, period)
),
recoveries AS (
    -- the first of $recovery_days consecutive days above $severe after the first day at or below it
    SELECT f.subject_id, f.period, f.starts_at, f.cutoff, f.complete, f.known_days, f.end_day, b.first_day,
           min(r.first_day) FILTER (r.length >= $recovery_days) AS day, p.subject_id IS NOT NULL AS maybe
    FROM (FROM filled WHERE phase = 'whole') f
    LEFT JOIN (SELECT subject_id, period, min(first_day) AS first_day FROM runs
               WHERE phase = 'whole' AND level = 'severe' AND proven GROUP BY subject_id, period) b USING (subject_id, period)
    LEFT JOIN (SELECT DISTINCT subject_id, period FROM runs WHERE phase = 'whole' AND level = 'severe' AND NOT proven) p
        USING (subject_id, period)
    LEFT JOIN (FROM runs WHERE phase = 'whole' AND level = 'recovered') r
        ON r.subject_id = f.subject_id AND r.period = f.period AND r.first_day > b.first_day
    GROUP BY ALL
),
recovery AS (
    SELECT r.*, CASE WHEN r.day IS NOT NULL THEN 'met'
                     WHEN r.first_day IS NULL AND NOT r.maybe AND e.covered THEN 'not_applicable'
                     WHEN r.first_day IS NOT NULL AND r.complete AND r.known_days = r.end_day + 1 THEN 'not_met'
                     ELSE 'not_evaluable' END AS status,
           coalesce((SELECT flatten(list(c.event_ids)) FROM counts c WHERE c.subject_id = r.subject_id AND c.period = r.period
                     AND c.phase = 'whole'
                     AND (r.day IS NULL OR c.day < r.day + $recovery_days + $max_gap_days)), []) AS event_ids
    FROM recoveries r JOIN early e USING (subject_id, period)
),
rows AS (
    SELECT subject_id, period, 'early' AS criterion,
           CASE WHEN proven > 0 THEN 'met' WHEN upper = 0 THEN 'not_met' ELSE 'not_evaluable' END AS status,
           CASE WHEN proven > 0 OR upper = 0 THEN proven END AS grade, upper AS grade_upper, NULL AS value_number,
           CASE WHEN proven > 0 OR upper = 0 THEN NULL WHEN counted = 0 THEN 'no neutrophil count in the first weeks'
                WHEN covered THEN 'a neutrophil count is unknown, or a bound that does not decide'
                ELSE 'neutrophil counts are too far apart, or end too early' END AS reason,
           'longest runs: ' || severe_days || ' days at or below ' || shown($severe) || ', '
               || profound_days || ' at or below ' || shown($profound)
               || CASE WHEN never THEN ', never above ' || shown($severe) ELSE '' END
               || '; ' || counted || ' days with a count' AS compared,
           CASE WHEN widest > 2 THEN ['sparse_counts'] ELSE [] END AS flags,
           CASE WHEN complete OR cutoff IS NOT NULL
                THEN starts_at + to_days(CAST($early_until_day + 2 AS INTEGER)) END AS known_from, event_ids
    FROM early
    UNION ALL
    SELECT subject_id, period, 'late',
           CASE WHEN ended THEN 'not_applicable' WHEN proven > 0 THEN 'met' WHEN upper = 0 THEN 'not_met'
                ELSE 'not_evaluable' END,
           CASE WHEN ended THEN NULL WHEN proven > 0 OR upper = 0 THEN proven END,
           CASE WHEN NOT ended THEN upper END, NULL,
           CASE WHEN ended THEN 'the period ended before the late window' WHEN proven > 0 OR upper = 0 THEN NULL
                WHEN high IS NULL THEN 'no neutrophil count after the first weeks'
                ELSE 'late neutrophil counts are too far apart, or end too early' END,
           'lowest late count '
               || coalesce(CASE WHEN high < 1000000 THEN shown(high) ELSE 'unknown' END || ' on day ' || day, 'unknown'),
           [], CASE WHEN complete OR cutoff IS NOT NULL THEN starts_at + to_days(CAST($late_until_day + 2 AS INTEGER)) END,
           event_ids
    FROM late
    UNION ALL
    SELECT subject_id, period, 'recovery_day', status, NULL, NULL, day,
           CASE status WHEN 'not_applicable' THEN 'never at or below the severe limit'
                       WHEN 'not_met' THEN 'not recovered by the end of the window'
                       WHEN 'not_evaluable' THEN
                           CASE WHEN first_day IS NULL THEN 'no count proves neutropenia, and counts are too far apart to deny it'
                                ELSE 'no run of days with counts shows recovery' END END,
           'first at or below ' || shown($severe) || coalesce(' on day ' || first_day, ': never seen')
               || coalesce('; recovered on day ' || day, ''), [],
           -- interpolated days rest on the next count
           CASE WHEN day IS NOT NULL THEN starts_at + to_days(CAST(day + $recovery_days + $max_gap_days + 2 AS INTEGER))
                WHEN complete OR cutoff IS NOT NULL THEN starts_at + to_days(CAST($late_until_day + 2 AS INTEGER)) END, event_ids
    FROM recovery
)
FROM rows
UNION ALL
SELECT subject_id, period, 'overall',
       CASE WHEN bool_or(status = 'met') THEN 'met' WHEN bool_or(status = 'not_evaluable') THEN 'not_evaluable'
            ELSE 'not_met' END,
       CASE WHEN bool_or(status = 'met') OR NOT bool_or(status = 'not_evaluable') THEN max(grade) END, max(grade_upper), NULL,
       CASE WHEN NOT bool_or(status = 'met')
            THEN string_agg(criterion || ': ' || reason, '; ' ORDER BY criterion) FILTER (status = 'not_evaluable') END,
       'early ' || coalesce(CAST(max(grade) FILTER (criterion = 'early') AS VARCHAR), 'unknown') || ', late '
           || coalesce(CAST(max(grade) FILTER (criterion = 'late') AS VARCHAR), 'unknown'),
       flatten(list(flags)), CASE WHEN count(known_from) = count(*) THEN max(known_from) END, flatten(list(event_ids))
FROM rows WHERE criterion IN ('early', 'late') GROUP BY subject_id, period
