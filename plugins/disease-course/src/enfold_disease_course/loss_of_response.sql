-- Loss of the response $target: after the first planned visit that meets it, $consecutive or more planned visits in a row
-- that fail it, dated by the first of them. DC-26: a visit that cannot be judged breaks the row; where it could have completed
-- one, the answer stays open. The alternative, one failing unscheduled visit with a change of therapy, is not read: the targets
-- are judged at planned visits only.
WITH answered AS (
    SELECT subject_id, visit_id, status, known_from, event_ids FROM lldas
    WHERE $target = 'lldas' AND criterion = 'overall'
    UNION ALL SELECT subject_id, visit_id, status, known_from, event_ids FROM clldas
    WHERE $target = 'clldas' AND criterion = 'overall'
    UNION ALL SELECT subject_id, visit_id, status, known_from, event_ids FROM doris
    WHERE $target = 'doris' AND criterion = 'overall'
    UNION ALL SELECT subject_id, visit_id, status, known_from, event_ids FROM ccr
    WHERE $target = 'ccr' AND criterion = 'overall'
),
-- {course}
after AS (
    SELECT v.* FROM marked v JOIN first_met m ON m.subject_id = v.subject_id AND v.ordinal > m.ordinal
),
runs AS (
    SELECT b.subject_id, a.day AS from_day, b.day AS until_day, b.settled_at, list_concat(a.event_ids, b.event_ids) AS event_ids
    FROM after a JOIN after b ON b.subject_id = a.subject_id AND b.failures = a.failures + $consecutive - 1
        AND b.mets = a.mets AND b.gaps = a.gaps
    WHERE a.status = 'not_met' AND b.status = 'not_met'
    QUALIFY row_number() OVER (PARTITION BY b.subject_id ORDER BY a.ordinal) = 1
),
possible AS (
    SELECT DISTINCT subject_id FROM (
        SELECT subject_id FROM after WHERE status <> 'met' GROUP BY subject_id, mets HAVING count(*) >= $consecutive)
),
totals AS (
    SELECT subject_id, count(*) FILTER (status <> 'not_evaluable') AS judged, flatten(list(event_ids)) AS event_ids
    FROM after GROUP BY subject_id
),
seen AS (
    SELECT p.*, m.day AS met_day, m.event_ids AS met_ids, r.from_day, r.until_day, r.settled_at, r.event_ids AS run_ids,
           l.day AS last_day, l.status = 'not_met' AS failing, coalesce(t.judged, 0) AS judged, t.event_ids AS all_ids,
           q.subject_id IS NOT NULL AS possible
    FROM people p
    LEFT JOIN first_met m USING (subject_id)
    LEFT JOIN runs r USING (subject_id)
    LEFT JOIN last_seen l USING (subject_id)
    LEFT JOIN totals t USING (subject_id)
    LEFT JOIN possible q USING (subject_id)
),
answers AS (
    SELECT *, CASE WHEN met_day IS NULL THEN 'not_applicable' WHEN from_day IS NOT NULL THEN 'met'
                   WHEN possible OR judged < $consecutive THEN 'not_evaluable' ELSE 'not_met' END AS status
    FROM seen
)
SELECT subject_id, 'overall' AS criterion, status,
       CASE WHEN status = 'met' THEN from_day WHEN status <> 'not_applicable' THEN last_day END AS value_number,
       CASE WHEN infusion_date IS NULL THEN 'not infused'
            WHEN status = 'not_applicable' THEN 'the target was met at no planned visit: nothing to lose'
            WHEN status = 'met' THEN NULL
            WHEN judged < $consecutive THEN 'too few visits after the first response could be judged'
            WHEN possible THEN 'a visit that could not be judged may belong to a row of failing visits'
            ELSE 'no row of failing visits' END AS reason,
       'met on day ' || met_day || coalesce('; failing from day ' || from_day || ' to day ' || until_day,
                                            '; last judged on day ' || last_day) AS compared,
       CASE WHEN status IN ('met', 'not_applicable') THEN []
            ELSE list_concat(list_concat(['censored'], CASE WHEN failing THEN ['unconfirmed_failure'] ELSE [] END),
                             list_concat(CASE WHEN death_date IS NOT NULL THEN ['died'] ELSE [] END,
                                         CASE WHEN reinfusion_date IS NOT NULL THEN ['reinfused'] ELSE [] END)) END AS flags,
       CASE WHEN status = 'met' THEN settled_at ELSE (SELECT CAST(cutoff + 2 AS TIMESTAMPTZ) FROM cut) END AS known_from,
       list_concat(coalesce(met_ids, []), coalesce(run_ids, all_ids, [])) AS event_ids
FROM answers
