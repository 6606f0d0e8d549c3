-- Total (24 items) and clinical SLEDAI (without low complement and anti-dsDNA). An unknown item
-- leaves the sum unknown and widens its bounds; nothing is assumed absent.
WITH weighed AS (
    SELECT s.*, i.weight, i.clinical
    FROM sledai_items s
    JOIN instrument_items i ON i.instrument = 'SLEDAI2K' AND i.item = s.measure
),
scored AS (
    SELECT subject_id, period, visit_id, occasion_id, 'total' AS measure, weight, value_flag,
           known_from, event_ids, reason, clinical
    FROM weighed
    UNION ALL
    SELECT subject_id, period, visit_id, occasion_id, 'clinical', weight, value_flag,
           known_from, event_ids, reason, clinical
    FROM weighed WHERE clinical
)
SELECT subject_id, period, visit_id, occasion_id, measure,
       CASE WHEN bool_and(value_flag IS NOT NULL)
            THEN sum(CASE WHEN value_flag THEN weight ELSE 0 END) END AS value_number,
       sum(CASE WHEN value_flag THEN weight ELSE 0 END) AS lower,
       sum(CASE WHEN coalesce(value_flag, true) THEN weight ELSE 0 END) AS upper,
       string_agg(reason, '; ' ORDER BY reason) AS reason,
       max(known_from) AS known_from,
       flatten(list(event_ids)) AS event_ids
FROM scored
GROUP BY subject_id, period, visit_id, occasion_id, measure
