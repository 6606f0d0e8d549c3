drawn AS (
    -- days count from the infusion date; of a day's samples the highest stands. EC-67: a sample belongs to the latest
    -- infusion, that of its day included. EC-78: below quantification, or 0, counts 0; above the assay's range is unknown
    SELECT p.subject_id, p.period, f.date - p.starts_date AS day,
           max(CASE WHEN f.comparator IN ('<', '<=') THEN 0 ELSE f.value_number END) FILTER (f.known) AS level,
           bool_and(f.value_number = 0 OR coalesce(f.comparator IN ('<', '<='), false)) FILTER (f.known) AS below,
           bool_or(coalesce(f.comparator IN ('>', '>='), false)) FILTER (f.known) AS above,
           flatten(list(f.event_ids)) AS event_ids
    FROM periods p
    LEFT JOIN periods n ON n.subject_id = p.subject_id AND n.period = p.period + 1
    JOIN findings f ON f.subject_id = p.subject_id AND f.date >= p.starts_date
        AND (n.period IS NULL OR f.date < coalesce(n.starts_date, CAST(n.starts_at AS DATE)))
    WHERE f.instrument = 'CELL_KINETICS' AND f.item = $item AND f.date - p.starts_date <= $until_day
    GROUP BY p.subject_id, p.period, f.date - p.starts_date
),
samples AS (FROM drawn WHERE level IS NOT NULL),
unknown AS (SELECT DISTINCT subject_id, period FROM drawn WHERE level IS NULL),
peaks AS (
    SELECT subject_id, period, max(level) AS cmax, arg_min(day, (-level, day)) AS tmax, bool_or(above) AS above,
           max(day) AS sampled, min(day) AS first_day, max(day) FILTER (NOT below) AS tlast,
           arg_max(level, day) FILTER (NOT below) AS clast, flatten(list(event_ids)) AS event_ids
    FROM samples GROUP BY subject_id, period
),
curve AS (
    -- below quantification is 0 before the last quantified sample and omitted after it
    SELECT s.subject_id, s.period, s.day, s.level,
           lead(s.day) OVER w AS next_day, lead(s.level) OVER w AS next_level
    FROM samples s JOIN peaks k USING (subject_id, period)
    WHERE NOT (s.below AND s.day > coalesce(k.tlast, 0))
    WINDOW w AS (PARTITION BY s.subject_id, s.period ORDER BY s.day)
),
