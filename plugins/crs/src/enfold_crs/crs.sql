-- CRS of each infusion: the worst episode; grade 0 only where somebody looked for fever; grade 5 only for a
-- death that is due to it. Onset is that of the first episode, duration and peak those of the worst.
WITH ranked AS (
    SELECT e.*, count(*) OVER w AS episodes, first_value(e.from_at) OVER (w ORDER BY e.from_at) AS first_onset,
           max(e.grade_upper) OVER w AS upper, row_number() OVER (w ORDER BY e.grade DESC, e.from_at) AS place
    FROM (FROM crs_episode WHERE criterion = 'overall') e
    WINDOW w AS (PARTITION BY e.subject_id, e.period)
),
worst AS (FROM ranked WHERE place = 1),
cited AS (
    SELECT subject_id, period, flatten(list(event_ids)) AS event_ids, flatten(list(flags)) AS flags FROM ranked GROUP BY subject_id, period
),
parts AS (
    SELECT c.subject_id, c.period, c.criterion, c.status, c.grade, c.value_number, c.reason, c.event_ids
    FROM crs_episode c JOIN worst w ON w.subject_id = c.subject_id AND w.period = c.period AND w.from_at = c.from_at
    WHERE c.criterion IN ('peak_hours', 'duration_hours', 'duration_days', 'resolved')
),
firsts AS (
    SELECT c.subject_id, c.period, c.value_number, c.event_ids
    FROM crs_episode c JOIN worst w ON w.subject_id = c.subject_id AND w.period = c.period AND w.first_onset = c.from_at
    WHERE c.criterion = 'onset_hours'
),
organs AS (
    SELECT subject_id, period, criterion, max(grade) AS grade, flatten(list(event_ids)) AS event_ids,
           any_value(reason) AS reason
    FROM crs_episode WHERE criterion IN ('hypotension', 'hypoxia') GROUP BY subject_id, period, criterion
),
watched AS (
    SELECT p.subject_id, p.period,
           (SELECT flatten(list(r.event_ids)) FROM reviews r WHERE r.subject_id = p.subject_id
            AND r.data_kind = 'fever' AND r.from_at <= p.starts_at + to_days(CAST($observed_days AS INTEGER))
            AND r.until_at > p.starts_at) AS event_ids
    FROM periods p JOIN coverage c ON c.subject_id = p.subject_id AND c.data_kind = 'fever'
        AND c.from_at <= p.starts_at + INTERVAL 1 DAY
        AND c.until_at >= p.starts_at + to_days(CAST($observed_days AS INTEGER))
),
unread AS (
    -- a temperature that is in doubt may have been a fever: it rules out grade 0
    SELECT p.subject_id, p.period, flatten(list(f.event_ids)) AS event_ids
    FROM periods p JOIN findings f ON f.subject_id = p.subject_id AND f.from_at >= p.starts_at
        AND f.from_at <= p.starts_at + to_days(CAST($observed_days AS INTEGER)) AND (p.ends_at IS NULL OR f.from_at < p.ends_at)
    WHERE f.instrument = 'VITAL_SIGNS' AND f.item = 'TEMP' AND NOT f.known AND f.doubt <> 'not_done'
    GROUP BY p.subject_id, p.period
),
deaths AS (
    SELECT subject_id, min(from_at) AS from_at, flatten(list(event_ids)) AS event_ids
    FROM occurrences WHERE kind = 'death' AND category = 'crs' GROUP BY subject_id
),
signs AS (
    -- signs without any fever, under something that may have masked it: for adjudication
    SELECT t.subject_id, t.period, bool_or(EXISTS (
               FROM exposures e WHERE e.subject_id = t.subject_id AND e.kind = 'medication'
               AND e.drug_class IN ('antipyretic', 'anti_il6', 'il1_antagonist', 'glucocorticoid')
               AND e.from_at <= t.from_at AND coalesce(e.until_at, e.from_at) >= t.from_at - INTERVAL 1 DAY
                   OR e.subject_id = t.subject_id AND e.ongoing AND e.from_at <= t.from_at AND e.drug_class = 'glucocorticoid')) AS masked
    FROM crs_timeline t WHERE t.measure IN ('hypotension', 'hypoxia') AND t.value_number <> 0 GROUP BY t.subject_id, t.period
),
answers AS (
    SELECT p.subject_id, p.period,
           CASE WHEN d.subject_id IS NOT NULL THEN 5 WHEN k.grade IS NOT NULL THEN k.grade
                WHEN u.subject_id IS NOT NULL THEN NULL WHEN w.subject_id IS NOT NULL THEN 0 END AS grade,
           CASE WHEN d.subject_id IS NOT NULL THEN 5 WHEN k.grade IS NOT NULL THEN k.upper
                WHEN u.subject_id IS NULL AND w.subject_id IS NOT NULL THEN 0 ELSE 4 END AS upper, u.subject_id IS NOT NULL AS unread,
           coalesce(k.episodes, 0) AS episodes, k.compared, d.subject_id IS NOT NULL AS died,
           coalesce(p.ends_at, (SELECT CAST(cutoff + 2 AS TIMESTAMPTZ) FROM cut)) AS known_from,
           list_concat(coalesce(c.flags, []), CASE WHEN s.masked AND k.grade IS NULL THEN ['masked_onset'] ELSE [] END) AS flags,
           list_concat(list_concat(coalesce(c.event_ids, []), CASE WHEN k.grade IS NULL THEN coalesce(u.event_ids, []) ELSE [] END),
                       list_concat(coalesce(w.event_ids, []), coalesce(d.event_ids, []))) AS event_ids
    FROM periods p
    LEFT JOIN worst k USING (subject_id, period)
    LEFT JOIN cited c USING (subject_id, period)
    LEFT JOIN watched w USING (subject_id, period)
    LEFT JOIN signs s USING (subject_id, period)
    LEFT JOIN unread u USING (subject_id, period)
    LEFT JOIN deaths d ON d.subject_id = p.subject_id AND d.from_at >= p.starts_at AND (p.ends_at IS NULL OR d.from_at < p.ends_at)
)
SELECT subject_id, period, 'overall' AS criterion,
       CASE WHEN grade IS NULL THEN 'not_evaluable' WHEN grade >= 1 THEN 'met' ELSE 'not_met' END AS status,
       grade, upper AS grade_upper, NULL::DECIMAL(38, 9) AS value_number,
       CASE WHEN grade IS NULL AND unread THEN 'no qualifying fever, but a temperature is in doubt'
            WHEN grade IS NULL THEN 'no qualifying fever, and no review of fever covers the first days' END AS reason,
       CASE WHEN died THEN 'death due to CRS' ELSE compared END AS compared, flags, known_from, event_ids
FROM answers
UNION ALL
SELECT o.subject_id, o.period, o.criterion,
       verdict(o.grade <> 0),
       o.grade, NULL, NULL, CASE WHEN o.grade IS NULL THEN o.reason END, NULL, [], a.known_from, o.event_ids
FROM organs o JOIN answers a USING (subject_id, period)
UNION ALL
SELECT p.subject_id, p.period, p.criterion, p.status, NULL, NULL, p.value_number, p.reason, NULL, [], a.known_from, p.event_ids
FROM parts p JOIN answers a USING (subject_id, period)
UNION ALL
SELECT f.subject_id, f.period, 'onset_hours', 'met', NULL, NULL, f.value_number, NULL, NULL, [], a.known_from, f.event_ids
FROM firsts f JOIN answers a USING (subject_id, period)
UNION ALL
SELECT subject_id, period, 'recurrence', CASE WHEN episodes >= 2 THEN 'met' ELSE 'not_met' END, NULL, NULL, episodes, NULL,
       'episodes: ' || episodes, [], known_from, event_ids
FROM answers WHERE episodes > 0
