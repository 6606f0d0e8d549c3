-- New A and new B grades against the efficacy baseline. A new A comes from B to E, a new B from C to
-- E; A to B is improvement. A domain unknown on either side widens the upper bound; so does E after
-- a baseline of A to D, which cannot be.
WITH grades AS (
    SELECT o.subject_id, o.occasion_id, o.visit_id, o.chosen, o.baseline_for, o.until_at, i.item AS domain,
           f.value_code AS grade, coalesce(f.event_ids, []) AS event_ids
    FROM (FROM occasions WHERE instrument = 'BILAG2004') o
    CROSS JOIN (FROM instrument_items WHERE instrument = 'BILAG2004') i
    LEFT JOIN findings f ON f.subject_id = o.subject_id AND f.occasion_id = o.occasion_id
        AND f.instrument = 'BILAG2004' AND f.item = i.item AND f.known
),
paired AS (
    SELECT v.*, b.grade AS reference, coalesce(b.event_ids, []) AS reference_ids,
           (v.grade = 'E' AND b.grade <> 'E') AS impossible
    FROM grades v
    LEFT JOIN (FROM grades WHERE baseline_for IN ('efficacy', 'both')) b USING (subject_id, domain)
),
judged AS (
    SELECT *,
           CASE WHEN grade IS NULL OR coalesce(impossible, false) THEN NULL
                WHEN grade <> 'A' THEN false
                WHEN reference IS NULL THEN NULL ELSE reference <> 'A' END AS new_a,
           CASE WHEN grade IS NULL OR coalesce(impossible, false) THEN NULL
                WHEN grade <> 'B' THEN false
                WHEN reference IS NULL THEN NULL ELSE reference IN ('C', 'D', 'E') END AS new_b
    FROM paired
),
long AS (
    SELECT *, 'new_a' AS measure, new_a AS hit FROM judged
    UNION ALL SELECT *, 'new_b', new_b FROM judged
)
SELECT subject_id, 1 AS period, CASE WHEN chosen THEN visit_id END AS visit_id, occasion_id, measure,
       CASE WHEN bool_and(hit IS NOT NULL) THEN count(*) FILTER (hit) END AS value_number,
       count(*) FILTER (hit) AS lower,
       count(*) FILTER (coalesce(hit, true)) AS upper,
       CASE WHEN NOT bool_and(hit IS NOT NULL)
            THEN string_agg(CASE WHEN hit IS NULL THEN domain END, ', ' ORDER BY domain) || ': grade unknown here or at baseline'
            END AS reason,
       max(until_at) AS known_from,
       flatten(list(event_ids)) || flatten(list(reference_ids)) AS event_ids
FROM long
GROUP BY subject_id, chosen, visit_id, occasion_id, measure
