-- CAR transgene by qPCR after each infusion, days from the infusion date. Of a day's samples the highest
-- stands. The area is kept doubled until the end, so that it stays exact.
WITH samples AS (
    SELECT p.subject_id, p.period, f.date - p.starts_date AS day,
           max(CASE WHEN f.comparator IN ('<', '<=') THEN 0 ELSE f.value_number END) AS copies,
           bool_and(coalesce(f.comparator IN ('<', '<='), false)) AS below,
           max(f.until_at) AS known_from, flatten(list(f.event_ids)) AS event_ids
    FROM periods p JOIN findings f ON f.subject_id = p.subject_id
        AND f.from_at >= p.starts_at - INTERVAL 1 DAY AND (p.ends_at IS NULL OR f.from_at < p.ends_at)
    WHERE f.instrument = 'CELL_KINETICS' AND f.item = 'CAR_COPIES' AND f.known AND f.date >= p.starts_date
    GROUP BY p.subject_id, p.period, f.date - p.starts_date
),
peaks AS (
    SELECT subject_id, period, max(copies) AS cmax,
           max(day) FILTER (NOT below) AS tlast,
           max(known_from) AS known_from, flatten(list(event_ids)) AS event_ids
    FROM samples WHERE day <= $until_day GROUP BY subject_id, period
),
tops AS (
    SELECT s.subject_id, s.period, min(s.day) AS tmax
    FROM samples s JOIN peaks k USING (subject_id, period) WHERE s.copies = k.cmax AND s.day <= $until_day
    GROUP BY s.subject_id, s.period
),
curve AS (
    SELECT s.*, lead(day) OVER w AS next_day, lead(copies) OVER w AS next_copies
    FROM samples s JOIN peaks k USING (subject_id, period)
    WHERE s.day <= $until_day AND NOT (s.below AND s.day > k.tlast)
    WINDOW w AS (PARTITION BY s.subject_id, s.period ORDER BY s.day)
),
areas AS (
    SELECT subject_id, period, sum((next_day - day) * (copies + next_copies)) AS doubled, max(day) AS last_day
    FROM curve GROUP BY subject_id, period
),
answers AS (
    SELECT p.subject_id, p.period, k.cmax, t.tmax, k.tlast, a.doubled, a.last_day,
           p.starts_at + to_days(CAST($until_day + 2 AS INTEGER)) AS known_from,
           coalesce(k.event_ids, []) AS event_ids,
           (SELECT max(day) FROM samples s WHERE s.subject_id = p.subject_id AND s.period = p.period AND s.day <= $until_day) AS sampled
    FROM periods p
    LEFT JOIN peaks k USING (subject_id, period) LEFT JOIN tops t USING (subject_id, period)
    LEFT JOIN areas a USING (subject_id, period)
),
long AS (
    SELECT *, 'cmax' AS criterion, cmax AS answer, NULL AS why FROM answers
    UNION ALL SELECT *, 'tmax', CASE WHEN cmax > 0 THEN tmax END, CASE WHEN cmax = 0 THEN 'never above quantification' END FROM answers
    UNION ALL SELECT *, 'tlast', tlast, CASE WHEN cmax = 0 THEN 'never above quantification' END FROM answers
    UNION ALL SELECT *, 'auc', CASE WHEN sampled >= $last_sample_from_day THEN CAST(coalesce(doubled, 0) AS DECIMAL(30, 6)) * 0.5 END,
              CASE WHEN sampled < $last_sample_from_day THEN 'sampling ended too early for the area' END FROM answers
    UNION ALL SELECT *, 'overall', cmax, NULL FROM answers
)
SELECT subject_id, period, criterion, CASE WHEN answer IS NULL THEN 'not_evaluable' ELSE 'met' END AS status,
       answer AS value_number,
       CASE WHEN answer IS NULL THEN coalesce(why, 'no sample of the CAR transgene') END AS reason,
       known_from, event_ids
FROM long
