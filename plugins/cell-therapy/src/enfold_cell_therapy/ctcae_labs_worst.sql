-- The worst CTCAE v5.0 grade of each laboratory item from the infusion to day $until_day: the highest proven, with the
-- highest possible beside it. No grade is denied unless results lie at most $max_gap_days days apart through the window.
WITH
-- {followed}
items(item, top) AS (
    VALUES ('NEUT', 4), ('PLAT', 4), ('HGB', 3), ('WBC', 4), ('LYM', 4), ('ALT', 4), ('AST', 4), ('BILI', 4), ('CREAT', 4),
           ('FIBRINO', 4)
),
labelled AS (
    SELECT DISTINCT subject_id, occasion_id FROM occasions
    WHERE instrument = 'LABORATORY' AND baseline_for IN ('safety', 'both')
),
dated AS (
    SELECT f.subject_id, f.occasion_id, f.item, f.from_at, any_value(f.date) AS date, any_value(l.occasion_id IS NOT NULL) AS labelled,
           string_agg(DISTINCT coalesce(f.comparator, '') || shown(f.value_number), ' and ') AS printed
    FROM findings f LEFT JOIN labelled l USING (subject_id, occasion_id)
    WHERE f.instrument = 'LABORATORY' AND f.date IS NOT NULL
    GROUP BY f.subject_id, f.occasion_id, f.item, f.from_at
),
periods_of AS (
    -- the last day that counts: the window's, or that of death, or the day before the next infusion
    SELECT *, least(CAST($until_day AS INTEGER), last_day) AS end_day,
           seen_day >= least(CAST($until_day AS INTEGER), last_day) AS complete
    FROM followed
),
inside AS (
    -- a result of the infusion day without a time counts unless it was labelled baseline
    SELECT w.subject_id, w.period, g.measure AS item, d.date - w.starts_date AS day, g.lower, g.upper, g.reason, d.printed,
           g.event_ids
    FROM periods_of w
    JOIN ctcae_labs g ON g.subject_id = w.subject_id AND g.until_at > w.starts_at
        AND (w.ends_at IS NULL OR g.until_at <= w.ends_at)
    JOIN dated d ON d.subject_id = g.subject_id AND d.occasion_id = g.occasion_id AND d.item = g.measure AND d.from_at = g.from_at
    WHERE d.date - w.starts_date <= $until_day AND NOT (d.labelled AND d.date = w.starts_date)
),
gaps AS (
    SELECT subject_id, period, item, max(day - coalesce(before, 0)) AS widest, max(day) AS last_day
    FROM (SELECT *, lag(day) OVER (PARTITION BY subject_id, period, item ORDER BY day) AS before FROM inside)
    GROUP BY subject_id, period, item
),
peaks AS (
    SELECT subject_id, period, item, count(*) AS results, max(lower) AS grade, max(upper) AS upper,
           arg_max(reason, upper) FILTER (reason IS NOT NULL) AS reason,
           arg_min(day, (-lower, day)) AS day, arg_min(printed, (-lower, day)) AS printed, flatten(list(event_ids)) AS event_ids
    FROM inside GROUP BY subject_id, period, item
),
worst AS (
    SELECT i.subject_id, i.period, i.item, flatten(list(i.event_ids)) AS event_ids
    FROM inside i JOIN peaks k USING (subject_id, period, item) WHERE i.lower = k.grade GROUP BY i.subject_id, i.period, i.item
),
answers AS (
    SELECT w.subject_id, w.period, i.item, k.results, k.grade AS proven, k.day, k.printed,
           CASE WHEN w.complete AND greatest(g.widest, w.end_day - g.last_day) <= $max_gap_days THEN k.upper
                ELSE i.top END AS upper,
           CASE WHEN k.results IS NULL THEN 'no result in the window'
                WHEN k.upper > 0 THEN coalesce(k.reason, 'a higher grade is possible')
                ELSE 'results are too far apart to exclude a grade' END AS why,
           CASE WHEN w.complete OR w.cutoff IS NOT NULL
                THEN w.starts_at + to_days(CAST($until_day + 2 AS INTEGER)) END AS known_from,
           CASE WHEN k.grade > 0 THEN x.event_ids ELSE coalesce(k.event_ids, []) END AS event_ids
    FROM periods_of w CROSS JOIN items i
    LEFT JOIN peaks k USING (subject_id, period, item) LEFT JOIN gaps g USING (subject_id, period, item)
    LEFT JOIN worst x USING (subject_id, period, item)
),
rows AS (
    SELECT *, CASE WHEN proven > 0 THEN 'met' WHEN upper = 0 THEN 'not_met' ELSE 'not_evaluable' END AS status,
           CASE WHEN proven > 0 OR upper = 0 THEN CAST(proven AS BIGINT) END AS grade
    FROM answers
)
SELECT subject_id, period, item AS criterion, status, grade, CAST(upper AS BIGINT) AS grade_upper,
       CASE WHEN status = 'not_evaluable' THEN why END AS reason,
       CASE WHEN results IS NULL THEN 'no result'
            ELSE 'worst of ' || results || ' results: ' || coalesce(printed, 'unknown') || ' on day ' || day END AS compared,
       [] AS flags, known_from, event_ids
FROM rows
UNION ALL
SELECT subject_id, period, 'overall',
       CASE WHEN bool_or(status = 'met') THEN 'met' WHEN bool_or(status = 'not_evaluable') THEN 'not_evaluable'
            ELSE 'not_met' END,
       CASE WHEN bool_or(status = 'met') OR bool_and(status = 'not_met') THEN max(grade) END, CAST(max(upper) AS BIGINT),
       CASE WHEN NOT bool_or(status = 'met')
            THEN string_agg(item || ': ' || why, '; ' ORDER BY item) FILTER (status = 'not_evaluable') END,
       coalesce('grade ' || max(grade) FILTER (status = 'met') || ': '
                || string_agg(item, ', ' ORDER BY item) FILTER (grade > 0 AND place = 1), 'no grade proven'),
       [], max(known_from),
       CASE WHEN bool_or(status = 'met') THEN flatten(list(event_ids) FILTER (grade > 0 AND place = 1))
            ELSE flatten(list(event_ids)) END
FROM (SELECT *, dense_rank() OVER (PARTITION BY subject_id, period ORDER BY grade DESC NULLS LAST) AS place FROM rows)
GROUP BY subject_id, period
