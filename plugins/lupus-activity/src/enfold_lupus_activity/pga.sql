-- PGA on 0 to 3. Conversion from 0 to 10 (x 0.3) and 0 to 100 mm (x 0.03) is exact in decimals.
WITH standing AS (
    -- of several records of a scale on one form the last with a value stands
    SELECT * FROM findings WHERE instrument = 'PGA' AND known
    QUALIFY row_number() OVER (PARTITION BY subject_id, occasion_id, item ORDER BY from_at DESC, finding_id) = 1
)
SELECT o.subject_id, 1 AS period, CASE WHEN o.chosen THEN o.visit_id END AS visit_id, o.occasion_id,
       'pga' AS measure,
       CASE WHEN count(DISTINCT f.item) = 1 THEN
           any_value(CASE f.item WHEN 'PGA_0_3' THEN CAST(f.value_number AS DECIMAL(18, 9))
                          WHEN 'PGA_0_10' THEN CAST(CAST(f.value_number AS DECIMAL(18, 8)) * 3 AS DECIMAL(28, 8)) * 0.1
                          ELSE CAST(CAST(f.value_number AS DECIMAL(18, 7)) * 3 AS DECIMAL(28, 7)) * 0.01 END)
           END AS value_number,
       CASE WHEN count(DISTINCT f.item) = 0 THEN 'PGA is unknown'
            WHEN count(DISTINCT f.item) > 1 THEN 'PGA was recorded on two scales' END AS reason,
       coalesce(max(f.until_at), o.until_at) AS known_from,
       coalesce(flatten(list(f.event_ids) FILTER (f.item IS NOT NULL)), []) AS event_ids
FROM (FROM occasions WHERE instrument = 'PGA') o
LEFT JOIN standing f ON f.subject_id = o.subject_id AND f.occasion_id = o.occasion_id
GROUP BY o.subject_id, o.chosen, o.visit_id, o.occasion_id, o.until_at
