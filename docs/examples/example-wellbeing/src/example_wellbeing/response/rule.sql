-- Change from baseline at each planned visit. A visit's window decides which form speaks for it; the baseline is the form that
-- the study's baseline rule chose. Filling in missing answers could turn an answer round, so it decides only if asked to.
WITH baseline AS (
    SELECT t.*
    FROM example_wellbeing_total AS t
    JOIN occasions AS o ON o.subject_id = t.subject_id AND o.occasion_id = t.occasion_id
    WHERE o.instrument = 'example_wellbeing__WELLBEING' AND o.baseline_for IN ('efficacy', 'both')
),
judged AS (
    SELECT
        v.subject_id, v.visit_id, v.status AS visit_status,
        b.value_number - t.value_number AS change,
        CASE WHEN $prorated THEN b.value_number - t.value_number >= $improvement
             WHEN b.lower - t.upper >= $improvement THEN true
             WHEN b.upper - t.lower < $improvement THEN false END AS improved,
        greatest(CAST(v.window_until + 1 AS TIMESTAMPTZ), t.known_from, b.known_from) AS known_from,
        list_concat(coalesce(t.event_ids, []), coalesce(b.event_ids, [])) AS event_ids
    FROM visits AS v
    LEFT JOIN example_wellbeing_total AS t ON t.subject_id = v.subject_id AND t.visit_id = v.visit_id
    LEFT JOIN baseline AS b ON b.subject_id = v.subject_id
    WHERE v.scheduled AND v.target_day > 0
)
SELECT subject_id, 1 AS period, visit_id, 'overall' AS criterion,
       CASE WHEN visit_status = 'not_due' THEN 'not_applicable' ELSE verdict(improved) END AS status,
       NULL::DECIMAL(38, 9) AS value_number,
       CASE WHEN visit_status = 'not_due' THEN 'the visit is not due at this cut'
            WHEN improved IS NULL THEN 'a total is missing here or at baseline, or missing answers could change the answer'
            END AS reason,
       known_from, event_ids
FROM judged
UNION ALL
SELECT subject_id, 1, visit_id, 'change',
       CASE WHEN visit_status = 'not_due' THEN 'not_applicable' ELSE verdict(CASE WHEN change IS NOT NULL THEN true END) END,
       change, CASE WHEN change IS NULL THEN 'a total is missing here or at baseline' END, known_from, event_ids
FROM judged
