-- Low immunoglobulin G after each infusion: below the laboratory's lower limit at that date, or below $severe_g_per_l g/L. A
-- dose of immunoglobulin in the $immunoglobulin_days days before a sample is flagged: it may hide a low level.
WITH
-- {infused}
labelled AS (
    SELECT DISTINCT subject_id, occasion_id FROM occasions
    WHERE instrument = 'LABORATORY' AND baseline_for IN ('safety', 'both')
),
measured AS (
    -- EC-78: what a result says of the value; one below a limit of the assay has no `low` end, an unknown one
    -- neither
    SELECT subject_id, occasion_id, from_at, until_at, date, value_number, range_low, event_ids,
           CASE WHEN known AND coalesce(comparator, '>=') IN ('>', '>=') THEN value_number END AS low_end,
           CASE WHEN known AND coalesce(comparator, '<=') IN ('<', '<=') THEN value_number END AS high_end,
           coalesce(comparator = '<', false) AS high_open,
           CASE WHEN known THEN coalesce(comparator, '') || shown(value_number) ELSE 'unknown' END || ' g/L, range from '
               || coalesce(shown(range_low), 'unknown') AS printed
    FROM findings WHERE instrument = 'LABORATORY' AND item = 'IGG' AND date IS NOT NULL
),
results AS (
    -- EC-13: without the laboratory's range only the fixed limit decides
    SELECT *, CASE WHEN severe OR high_end < range_low OR (high_end = range_low AND high_open) THEN true
                   WHEN low_end >= range_low AND NOT severe THEN false END AS low
    FROM (SELECT *, CASE WHEN high_end < $severe_g_per_l OR (high_end = $severe_g_per_l AND high_open) THEN true
                         WHEN low_end >= $severe_g_per_l THEN false END AS severe
          FROM measured)
),
replaced AS (
    SELECT r.subject_id, r.occasion_id, r.from_at, flatten(list(e.event_ids)) AS dose_ids
    FROM results r JOIN exposures e ON e.subject_id = r.subject_id AND e.kind = 'medication' AND e.drug_class = 'immunoglobulin'
        AND e.from_at < r.until_at AND e.first_day_earliest <= r.date
        AND coalesce(e.last_day_latest, CASE WHEN e.ongoing THEN r.date ELSE e.first_day_latest END)
            >= r.date - CAST($immunoglobulin_days AS INTEGER)
    GROUP BY r.subject_id, r.occasion_id, r.from_at
),
before AS (
    SELECT w.subject_id, w.period, r.low, r.event_ids
    FROM followed w JOIN results r USING (subject_id) LEFT JOIN labelled l USING (subject_id, occasion_id)
    WHERE r.until_at <= w.starts_at OR (l.occasion_id IS NOT NULL AND w.period = 1)
    QUALIFY row_number() OVER (PARTITION BY w.subject_id, w.period ORDER BY r.date DESC, r.from_at DESC, r.value_number) = 1
),
after AS (
    SELECT w.subject_id, w.period, r.date, r.date - w.starts_date AS day, r.printed, r.low, r.severe,
           p.dose_ids IS NOT NULL AS masked,
           list_concat(r.event_ids, coalesce(p.dose_ids, [])) AS event_ids
    FROM followed w
    JOIN results r ON r.subject_id = w.subject_id AND r.until_at > w.starts_at AND (w.ends_at IS NULL OR r.until_at <= w.ends_at)
    LEFT JOIN replaced p ON p.subject_id = r.subject_id AND p.occasion_id = r.occasion_id AND p.from_at = r.from_at
    LEFT JOIN labelled l ON l.subject_id = r.subject_id AND l.occasion_id = r.occasion_id
    WHERE l.occasion_id IS NULL OR r.date > w.starts_date
),
asked AS (
    SELECT subject_id, period, 'low_igg' AS criterion, date, day, printed, low AS answer, masked, event_ids FROM after
    UNION ALL SELECT subject_id, period, 'severe', date, day, printed, severe, masked, event_ids FROM after
),
proven AS (
    FROM asked WHERE answer
    QUALIFY row_number() OVER (PARTITION BY subject_id, period, criterion ORDER BY day, printed) = 1
),
gathered AS (
    SELECT subject_id, period, criterion, bool_or(answer IS NULL) AS open, bool_or(masked) AS masked,
           max(day) FILTER (NOT answer AND NOT (masked AND $censor_after_immunoglobulin)) AS normal_on,
           arg_max(printed, day) AS printed, max(day) AS last_day, flatten(list(event_ids)) AS event_ids
    FROM asked GROUP BY subject_id, period, criterion
),
answers AS (
    SELECT w.subject_id, w.period, c.criterion,
           CASE WHEN x.day IS NOT NULL THEN 'met'
                WHEN g.open OR g.normal_on IS NULL OR g.normal_on < $observed_from_day THEN 'not_evaluable'
                ELSE 'not_met' END AS status,
           x.day AS value_number,
           CASE WHEN x.day IS NOT NULL THEN NULL WHEN g.last_day IS NULL THEN 'no immunoglobulin G after infusion'
                WHEN g.open THEN 'a result cannot be judged: it is unknown or a bound, or its range is missing'
                WHEN g.normal_on IS NULL THEN 'every result follows a dose of immunoglobulin'
                WHEN g.normal_on < $observed_from_day THEN 'no later result denies it' END AS reason,
           coalesce(x.printed || ' on day ' || x.day, g.printed || ' on day ' || g.last_day, 'no result')
               || '; below ' || CASE WHEN c.criterion = 'low_igg' THEN 'the range or ' ELSE '' END || shown($severe_g_per_l)
                   || ' g/L' AS compared,
           list_concat(CASE WHEN coalesce(x.masked, g.masked, false) THEN ['after_immunoglobulin'] ELSE [] END,
                       CASE WHEN b.low THEN ['low_before_infusion'] ELSE [] END) AS flags,
           CASE WHEN x.day IS NOT NULL THEN CAST(x.date + 2 AS TIMESTAMPTZ) ELSE w.open_until END AS known_from,
           list_concat(coalesce(x.event_ids, g.event_ids, []), CASE WHEN b.low THEN b.event_ids ELSE [] END) AS event_ids
    FROM followed w CROSS JOIN (VALUES ('low_igg'), ('severe')) AS c(criterion)
    LEFT JOIN proven x USING (subject_id, period, criterion)
    LEFT JOIN gathered g USING (subject_id, period, criterion)
    LEFT JOIN before b USING (subject_id, period)
)
FROM answers
UNION ALL
SELECT * REPLACE ('overall' AS criterion) FROM answers WHERE criterion = 'low_igg'
