-- The course of the target $target over the planned visits:
--   first_response  the first visit that meets it: days from infusion; never: censored at the last assessment judged
--   duration        from there to the first visit that fails it: days; none: censored at the last visit that met it
--   sustained       $consecutive or more visits in a row meet it; EC-44: one that cannot be judged breaks the row, unless
--                   $allow_one_gap lets one such visit stand between
--   last_visit      its answer at the last planned visit attended (DC-28, DC-29)
-- Times follow the rule of censoring: what was not seen is censored. `overall` (ever met) and `sustained` are three-valued:
-- a visit that cannot be judged might have met the target.
WITH answered AS (
    SELECT subject_id, visit_id, status, known_from, event_ids FROM sri
    WHERE $target = 'sri' AND criterion = 'overall'
    UNION ALL SELECT subject_id, visit_id, status, known_from, event_ids FROM lldas
    WHERE $target = 'lldas' AND criterion = 'overall'
    UNION ALL SELECT subject_id, visit_id, status, known_from, event_ids FROM clldas
    WHERE $target = 'clldas' AND criterion = 'overall'
    UNION ALL SELECT subject_id, visit_id, status, known_from, event_ids FROM doris
    WHERE $target = 'doris' AND criterion = 'overall'
    UNION ALL SELECT subject_id, visit_id, status, known_from, event_ids FROM ccr
    WHERE $target = 'ccr' AND criterion = 'overall'
),
-- {course}
failed AS (
    SELECT f.* FROM marked f JOIN first_met m ON m.subject_id = f.subject_id AND f.ordinal > m.ordinal
    WHERE f.status = 'not_met' QUALIFY row_number() OVER (PARTITION BY f.subject_id ORDER BY f.ordinal) = 1
),
last_met AS (
    -- where no visit failed the target since the first that met it, time is censored here
    FROM marked WHERE status = 'met' QUALIFY row_number() OVER (PARTITION BY subject_id ORDER BY ordinal DESC) = 1
),
runs AS (
    -- from one visit that met it to the one $consecutive - 1 such visits later, nothing failing between
    SELECT b.subject_id, a.day AS from_day, b.day AS until_day, b.settled_at, list_concat(a.event_ids, b.event_ids) AS event_ids
    FROM marked a JOIN marked b ON b.subject_id = a.subject_id AND b.mets = a.mets + $consecutive - 1 AND b.failures = a.failures
        AND b.gaps - a.gaps <= CASE WHEN $allow_one_gap THEN 1 ELSE 0 END
    WHERE a.status = 'met' AND b.status = 'met'
    QUALIFY row_number() OVER (PARTITION BY b.subject_id ORDER BY a.ordinal) = 1
),
possible AS (
    -- visits in a row, each met or open: one of the open ones may complete the row
    SELECT DISTINCT subject_id FROM (
        SELECT subject_id FROM marked WHERE status <> 'not_met'
        GROUP BY subject_id, failures HAVING count(*) >= $consecutive)
),
totals AS (
    SELECT subject_id, bool_or(judged NOT IN ('met', 'not_met')) AS open, flatten(list(event_ids)) AS event_ids
    FROM planned GROUP BY subject_id
),
attended AS (
    FROM marked WHERE date IS NOT NULL QUALIFY row_number() OVER (PARTITION BY subject_id ORDER BY ordinal DESC) = 1
),
seen AS (
    SELECT p.*, (SELECT CAST(cutoff + 2 AS TIMESTAMPTZ) FROM cut) AS at_cut,
           m.day AS met_day, m.settled_at AS met_at, coalesce(m.event_ids, []) AS met_ids,
           f.day AS failed_day, f.settled_at AS failed_at, coalesce(f.event_ids, []) AS failed_ids,
           k.day AS last_met_day, coalesce(k.event_ids, []) AS last_met_ids,
           l.day AS last_day, coalesce(l.event_ids, []) AS last_ids,
           r.from_day, r.until_day, r.settled_at AS run_at, r.event_ids AS run_ids, q.subject_id IS NOT NULL AS possible,
           a.judged AS attended, a.day AS attended_day, coalesce(a.event_ids, []) AS attended_ids,
           t.subject_id IS NOT NULL AS due, coalesce(t.open, false) AS open, coalesce(t.event_ids, []) AS all_ids,
           p.death_date IS NOT NULL AS died,
           CASE WHEN p.reinfusion_date IS NOT NULL THEN ['reinfused'] ELSE [] END AS reinfused
    FROM people p
    LEFT JOIN first_met m USING (subject_id)
    LEFT JOIN failed f USING (subject_id)
    LEFT JOIN last_met k USING (subject_id)
    LEFT JOIN last_seen l USING (subject_id)
    LEFT JOIN runs r USING (subject_id)
    LEFT JOIN possible q USING (subject_id)
    LEFT JOIN attended a USING (subject_id)
    LEFT JOIN totals t USING (subject_id)
),
parts AS (
    -- EC-80: death before any response is a competing event on its own day
    SELECT subject_id, 'first_response' AS criterion,
           CASE WHEN met_day IS NOT NULL THEN 'met' WHEN died OR last_day IS NOT NULL THEN 'not_met'
                ELSE 'not_evaluable' END AS status,
           coalesce(met_day, CASE WHEN died THEN death_date - infusion_date ELSE last_day END) AS value_number,
           CASE WHEN met_day IS NOT NULL THEN NULL WHEN died THEN 'died before the target was met'
                WHEN last_day IS NOT NULL THEN 'not met up to the last assessment that could be judged'
                ELSE 'no planned visit could be judged' END AS reason,
           coalesce('first met on day ' || met_day, 'last judged on day ' || last_day) AS compared,
           CASE WHEN met_day IS NOT NULL THEN [] WHEN died THEN ['died_without_response']
                WHEN last_day IS NOT NULL THEN list_concat(['censored'], reinfused) ELSE reinfused END AS flags,
           CASE WHEN met_day IS NOT NULL THEN met_at ELSE at_cut END AS known_from,
           CASE WHEN met_day IS NOT NULL THEN met_ids WHEN died THEN subject_ids ELSE last_ids END AS event_ids,
           infusion_date, due, died
    FROM seen
    UNION ALL
    SELECT subject_id, 'duration',
           CASE WHEN met_day IS NULL THEN 'not_applicable' WHEN failed_day IS NOT NULL THEN 'met' ELSE 'not_met' END,
           coalesce(failed_day, last_met_day) - met_day,
           CASE WHEN met_day IS NULL THEN 'the target was not met'
                WHEN failed_day IS NULL THEN 'no later visit is known to fail the target' END,
           'met from day ' || met_day || coalesce(' to a failing visit on day ' || failed_day, ', last on day ' || last_met_day),
           CASE WHEN met_day IS NULL OR failed_day IS NOT NULL THEN []
                ELSE list_concat(list_concat(['censored'], reinfused), CASE WHEN died THEN ['died'] ELSE [] END) END,
           CASE WHEN failed_day IS NOT NULL THEN failed_at ELSE at_cut END,
           list_concat(met_ids, CASE WHEN failed_day IS NOT NULL THEN failed_ids ELSE last_met_ids END),
           infusion_date, due, died
    FROM seen
    UNION ALL
    SELECT subject_id, 'sustained',
           CASE WHEN run_at IS NOT NULL THEN 'met' WHEN possible THEN 'not_evaluable' ELSE 'not_met' END, NULL,
           CASE WHEN run_at IS NOT NULL THEN NULL WHEN possible THEN 'a visit that could not be judged breaks the row'
                ELSE 'too few visits in a row meet the target' END,
           'met at ' || $consecutive || ' visits in a row from day ' || from_day || ' to day ' || until_day,
           CASE WHEN run_at IS NULL THEN reinfused ELSE [] END,
           coalesce(run_at, at_cut), coalesce(run_ids, all_ids), infusion_date, due, died
    FROM seen
    UNION ALL
    SELECT subject_id, 'last_visit', coalesce(attended, 'not_evaluable'), NULL,
           CASE WHEN attended IS NULL THEN 'no planned visit was attended'
                WHEN attended = 'not_evaluable' THEN 'the last planned visit attended could not be judged' END,
           'last planned visit attended on day ' || attended_day, reinfused, at_cut, attended_ids, infusion_date, due, died
    FROM seen
    UNION ALL
    SELECT subject_id, 'overall',
           CASE WHEN met_day IS NOT NULL THEN 'met' WHEN open OR (NOT due AND NOT died) THEN 'not_evaluable' ELSE 'not_met' END,
           met_day,
           CASE WHEN met_day IS NOT NULL THEN NULL WHEN open THEN 'never met, and a planned visit could not be judged'
                WHEN died AND NOT due THEN 'died before any planned assessment' ELSE 'met at no planned visit' END,
           coalesce('first met on day ' || met_day, 'last judged on day ' || last_day),
           CASE WHEN met_day IS NOT NULL THEN []
                ELSE list_concat(reinfused, CASE WHEN died THEN ['died_without_response'] ELSE [] END) END,
           CASE WHEN met_day IS NOT NULL THEN met_at ELSE at_cut END,
           CASE WHEN met_day IS NOT NULL THEN met_ids ELSE all_ids END, infusion_date, due, died
    FROM seen
)
SELECT subject_id, criterion,
       CASE WHEN infusion_date IS NULL OR (NOT due AND NOT died) THEN 'not_applicable' ELSE status END AS status,
       value_number,
       CASE WHEN infusion_date IS NULL THEN 'not infused' WHEN NOT due AND NOT died THEN 'no planned visit is due at this cut'
            ELSE reason END AS reason,
       compared, flags, known_from, event_ids
FROM parts
