-- B-cell aplasia after each infusion: the first count below $threshold per microlitre, and recovery at the first of two
-- consecutive counts at or above it (a single one if it is the last). Of a day's counts the lowest stands. B cells that
-- were already low before treatment leave the onset open; recovery is still judged.
WITH
-- {infused}
judged AS (
    -- EC-78: a count below or above a limit of the assay decides only where its bound does; an unknown one decides nothing
    SELECT subject_id, occasion_id, date, from_at, until_at, value_number, known, event_ids,
           CASE WHEN known THEN coalesce(comparator, '') || shown(value_number) ELSE 'unknown' END AS printed,
           known AND CASE WHEN comparator = '<' THEN value_number <= $threshold
                          ELSE coalesce(comparator, '<=') = '<=' AND value_number < $threshold END AS below,
           known AND coalesce(comparator, '>=') IN ('>', '>=') AND value_number >= $threshold AS enough
    FROM findings WHERE instrument = 'CELL_KINETICS' AND item = 'BCELL' AND date IS NOT NULL
),
labelled AS (
    SELECT subject_id, occasion_id, baseline_for IN ('efficacy', 'both') AS efficacy
    FROM occasions WHERE instrument = 'CELL_KINETICS' AND baseline_for IS NOT NULL
),
before AS (
    -- lymphodepletion empties the B cells too, so the count before it tells
    SELECT w.subject_id, w.period, j.printed, j.event_ids,
           CASE WHEN j.below THEN true WHEN j.enough THEN false END AS depleted
    FROM followed w JOIN judged j USING (subject_id) LEFT JOIN labelled l USING (subject_id, occasion_id)
    WHERE j.known AND (j.until_at <= w.efficacy_anchor_at OR (l.efficacy AND w.period = 1))
    QUALIFY row_number() OVER (PARTITION BY w.subject_id, w.period ORDER BY j.date DESC, j.from_at DESC, j.value_number) = 1
),
counts AS (
    -- a count of the infusion day without a time counts as after the infusion unless it was labelled baseline
    SELECT w.subject_id, w.period, j.date - w.starts_date AS day, j.date,
           bool_or(j.below) AS below, bool_and(j.enough) AS enough,
           arg_min(j.printed, (j.value_number, j.printed)) AS printed, flatten(list(j.event_ids)) AS event_ids
    FROM followed w JOIN judged j ON j.subject_id = w.subject_id
        AND j.until_at > w.starts_at AND (w.ends_at IS NULL OR j.until_at <= w.ends_at)
    LEFT JOIN labelled l ON l.subject_id = j.subject_id AND l.occasion_id = j.occasion_id
    WHERE l.occasion_id IS NULL OR j.date > w.starts_date
    GROUP BY w.subject_id, w.period, w.starts_date, j.date
),
ordered AS (
    SELECT *, lead(day) OVER w AS next_day, lead(date) OVER w AS next_date, lead(enough) OVER w AS next_enough,
           lead(below) OVER w AS next_below,
           lead(event_ids) OVER w AS next_ids
    FROM counts WINDOW w AS (PARTITION BY subject_id, period ORDER BY day)
),
seen AS (
    SELECT subject_id, period, count(*) AS counted, min(day) AS first_day, max(day) AS last_day, min(day) FILTER (below) AS onset,
           bool_or(NOT below AND NOT enough) AS open, arg_max(printed, day) AS last_printed,
           arg_min(printed, day) FILTER (below) AS onset_printed, flatten(list(event_ids)) AS event_ids
    FROM ordered GROUP BY subject_id, period
),
onsets AS (SELECT o.* FROM ordered o JOIN seen s USING (subject_id, period) WHERE o.day = s.onset),
starts AS (
    -- where they were low before treatment, every count after it may show recovery
    SELECT s.subject_id, s.period, CASE WHEN b.depleted THEN -1 ELSE s.onset END AS start
    FROM seen s LEFT JOIN before b USING (subject_id, period)
),
recovered AS (
    SELECT o.* FROM ordered o JOIN starts s USING (subject_id, period)
    WHERE o.day > s.start AND o.enough AND coalesce(o.next_enough, true)
    QUALIFY row_number() OVER (PARTITION BY o.subject_id, o.period ORDER BY o.day) = 1
),
earliest AS (
    -- counts that decide nothing may hide an earlier recovery
    SELECT o.subject_id, o.period, min(o.day) AS day FROM ordered o JOIN starts s USING (subject_id, period)
    WHERE o.day > s.start AND NOT o.below AND NOT coalesce(o.next_below, false) GROUP BY o.subject_id, o.period
),
answers AS (
    SELECT w.*, s.* EXCLUDE (subject_id, period, event_ids, last_day), s.last_day AS last_count, t.start,
           coalesce(b.depleted, false) AS depleted, b.printed AS base_printed,
           e.day AS earliest, r.day AS recovery, r.printed AS recovery_printed, r.next_day, r.next_date AS confirmed_on,
           o.date AS onset_date, coalesce(b.event_ids, []) AS base_ids, coalesce(o.event_ids, []) AS onset_ids,
           coalesce(s.event_ids, []) AS all_ids, list_concat(coalesce(r.event_ids, []), coalesce(r.next_ids, [])) AS recovery_ids,
           CASE WHEN b.depleted THEN 'not_evaluable' WHEN s.onset IS NOT NULL THEN 'met'
                WHEN s.counted IS NULL OR s.open OR s.first_day > $expected_by_day THEN 'not_evaluable'
                ELSE 'not_met' END AS status
    FROM followed w LEFT JOIN seen s USING (subject_id, period) LEFT JOIN before b USING (subject_id, period)
    LEFT JOIN starts t USING (subject_id, period) LEFT JOIN onsets o USING (subject_id, period)
    LEFT JOIN recovered r USING (subject_id, period) LEFT JOIN earliest e USING (subject_id, period)
),
aplasia AS (
    SELECT subject_id, period, 'aplasia' AS criterion, status,
           CASE WHEN status = 'met' THEN onset END AS value_number,
           CASE WHEN depleted THEN 'B cells were below the threshold before treatment'
                WHEN status <> 'not_evaluable' THEN NULL
                WHEN counted IS NULL THEN 'no B-cell count after infusion'
                WHEN open THEN 'a B-cell count is unknown, or a bound that does not decide'
                ELSE 'no B-cell count in the first weeks' END AS reason,
           'before treatment ' || coalesce(base_printed, 'unknown') || ' per uL'
               || CASE WHEN status = 'met' THEN '; ' || onset_printed || ' on day ' || onset
                       WHEN status = 'not_met' THEN '; ' || last_printed || ' on day ' || last_count ELSE '' END
               || '; below ' || shown($threshold) || ' is aplasia' AS compared,
           CASE WHEN depleted THEN ['b_depleted_at_baseline'] WHEN base_printed IS NULL THEN ['no_baseline_count']
                ELSE [] END AS flags,
           CASE WHEN depleted THEN starts_at + INTERVAL 2 DAY WHEN status = 'met' THEN CAST(onset_date + 2 AS TIMESTAMPTZ)
                ELSE open_until END AS known_from,
           list_concat(base_ids, CASE WHEN depleted THEN [] WHEN status = 'met' THEN onset_ids ELSE all_ids END) AS event_ids
    FROM answers
),
after AS (
    SELECT *, CASE WHEN recovery IS NOT NULL THEN 'met' WHEN earliest IS NOT NULL THEN 'not_evaluable'
                   WHEN start IS NOT NULL THEN 'not_met' WHEN status = 'not_met' THEN 'not_applicable'
                   ELSE 'not_evaluable' END AS returned,
           CASE WHEN confirmed_on IS NOT NULL THEN CAST(confirmed_on + 2 AS TIMESTAMPTZ) ELSE open_until END AS known_from,
           coalesce(recovery_printed || ' on day ' || recovery
                        || CASE WHEN next_day IS NOT NULL THEN ', confirmed on day ' || next_day ELSE ', the last count' END,
                    last_printed || ' on day ' || last_count, 'no count')
               || '; ' || shown($threshold) || ' per uL is recovery' AS shown_counts,
           list_concat(CASE WHEN depleted THEN ['b_depleted_at_baseline'] ELSE [] END,
                       CASE WHEN recovery IS NOT NULL AND next_day IS NULL THEN ['single_count'] ELSE [] END,
                       CASE WHEN earliest < recovery THEN ['earlier_recovery_possible'] ELSE [] END) AS marks,
           CASE WHEN earliest IS NOT NULL THEN 'a B-cell count is unknown, or a bound that does not decide'
                ELSE 'whether there was aplasia is not known' END AS open_reason,
           CASE WHEN recovery IS NULL THEN all_ids
                ELSE list_concat(CASE WHEN onset < recovery THEN onset_ids ELSE [] END, recovery_ids) END AS cited
    FROM answers
)
FROM aplasia
UNION ALL
SELECT * REPLACE ('overall' AS criterion) FROM aplasia
UNION ALL
SELECT subject_id, period, 'recovery', returned, recovery,
       CASE returned WHEN 'not_met' THEN 'not recovered at the last count' WHEN 'not_applicable' THEN 'no aplasia'
                     WHEN 'not_evaluable' THEN open_reason END,
       shown_counts, marks, known_from, cited
FROM after
UNION ALL
SELECT subject_id, period, 'duration_days', CASE WHEN returned = 'not_met' THEN 'not_evaluable' ELSE returned END, recovery,
       CASE returned WHEN 'not_met' THEN 'censored: not recovered at the last count' WHEN 'not_applicable' THEN 'no aplasia'
                     WHEN 'not_evaluable' THEN open_reason END,
       shown_counts, CASE WHEN returned = 'not_met' THEN list_append(marks, 'censored') ELSE marks END,
       known_from, cited
FROM after
