-- Body weight in kg for dose caps at a visit: the last measured on or before the visit date, at most
-- $valid_days days old.
SELECT v.subject_id, 1 AS period, v.visit_id, 'kg' AS measure, f.value_number,
       CASE WHEN f.value_number IS NULL THEN 'no body weight in the ' || $valid_days || ' days up to the visit' END AS reason,
       CAST(v.date + 2 AS TIMESTAMPTZ) AS known_from, coalesce(f.event_ids, []) AS event_ids
FROM (FROM visits WHERE date IS NOT NULL) v
LEFT JOIN (FROM findings WHERE instrument = 'WEIGHT' AND item = 'WEIGHT' AND known AND value_number > 0
           AND comparator IS NULL) f
    ON f.subject_id = v.subject_id AND f.date BETWEEN v.date - CAST($valid_days AS INTEGER) AND v.date
QUALIFY row_number() OVER (PARTITION BY v.subject_id, v.visit_id
                           ORDER BY f.date DESC NULLS LAST, f.from_at DESC, f.finding_id) = 1
