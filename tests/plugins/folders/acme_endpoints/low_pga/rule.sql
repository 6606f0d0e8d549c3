SELECT v.subject_id, 1 AS period, v.visit_id, 'overall' AS criterion, verdict(f.value_number < $below) AS status,
       f.until_at AS known_from, coalesce(f.event_ids, []) AS event_ids
FROM visits AS v
LEFT JOIN findings AS f ON f.subject_id = v.subject_id AND f.visit_id = v.visit_id AND f.chosen AND f.known
    AND f.instrument = 'PGA' AND f.item = 'PGA_0_3'
WHERE v.scheduled AND v.target_day > 0
