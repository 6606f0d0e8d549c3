-- Total of a form, 0 to 32. Missing answers count as the mean of those given, if there are enough of them; the total is then
-- rounded half up to tenths, in whole numbers. The bounds say what it could be, whatever the missing answers are.
WITH forms AS (
    SELECT subject_id, visit_id, occasion_id,
           CAST(count(*) FILTER (known) AS BIGINT) AS answered,
           CAST(coalesce(sum(value_number) FILTER (known), 0) AS BIGINT) AS points,
           max(until_at) AS until_at, flatten(list(event_ids)) AS event_ids
    FROM findings
    WHERE instrument = 'example_wellbeing__WELLBEING' AND chosen
    GROUP BY subject_id, visit_id, occasion_id
)
SELECT
    f.subject_id,
    1 AS period,
    f.visit_id,
    f.occasion_id,
    'total' AS measure,
    CASE WHEN f.answered >= $answered_from
         THEN CAST((160 * f.points + f.answered) // (2 * f.answered) AS DECIMAL(18, 1)) * 0.1 END AS value_number,
    f.points AS lower,
    f.points + 4 * (8 - f.answered) AS upper,
    CASE WHEN f.answered < $answered_from THEN 'too few questions were answered' END AS reason,
    greatest(f.until_at, CAST(v.window_until + 1 AS TIMESTAMPTZ)) AS known_from,
    f.event_ids
FROM forms AS f
LEFT JOIN visits AS v ON v.subject_id = f.subject_id AND v.visit_id = f.visit_id
