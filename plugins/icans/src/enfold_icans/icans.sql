-- ICANS of each infusion: the worst episode; grade 0 only where somebody looked and every score tried could be
-- judged; grade 5 only for a death that is due to it.
WITH chosen AS (
    SELECT p.*, CASE WHEN s.developmental_delay THEN 'CAPD' WHEN s.age_years >= $ice_from_age THEN 'ICE'
                     WHEN s.age_years IS NOT NULL THEN 'CAPD' END AS tool
    FROM periods p JOIN subjects s USING (subject_id)
),
ranked AS (
    SELECT e.*, count(*) OVER w AS episodes, first_value(e.from_at) OVER (w ORDER BY e.from_at) AS first_onset,
           row_number() OVER (w ORDER BY e.grade DESC, e.from_at) AS place
    FROM (FROM icans_episode WHERE criterion = 'overall') e
    WINDOW w AS (PARTITION BY e.subject_id, e.period)
),
worst AS (FROM ranked WHERE place = 1),
cited AS (
    SELECT subject_id, period, flatten(list(event_ids)) AS event_ids, flatten(list(flags)) AS flags FROM ranked GROUP BY subject_id, period
),
points AS (
    SELECT subject_id, period, max(upper) AS upper, min(reason) AS open,
           flatten(list(event_ids) FILTER (reason IS NOT NULL)) AS open_ids
    FROM icans_timeline WHERE measure = 'grade' GROUP BY subject_id, period
),
before AS (
    -- a score below 10 before infusion: graded as it is, and flagged
    SELECT c.subject_id, c.period FROM chosen c JOIN findings f ON f.subject_id = c.subject_id AND f.instrument = 'ICE'
        AND f.known AND f.from_at < c.starts_at
    WHERE c.tool = 'ICE'
    GROUP BY c.subject_id, c.period, f.from_at HAVING count(DISTINCT f.item) = 5 AND sum(f.value_number) < 10
),
unread AS (
    -- a sign or score item in doubt may have been one: it rules out grade 0
    SELECT c.subject_id, c.period, flatten(list(f.event_ids)) AS event_ids
    FROM chosen c JOIN findings f ON f.subject_id = c.subject_id AND f.from_at >= c.starts_at
        AND f.from_at <= c.starts_at + to_days(CAST($observed_days AS INTEGER)) AND (c.ends_at IS NULL OR f.from_at < c.ends_at)
    WHERE (f.instrument = 'ICANS_SIGNS' OR f.instrument = c.tool) AND NOT f.known AND f.doubt <> 'not_done'
      AND f.attribution IS DISTINCT FROM 'not_disease'
    GROUP BY c.subject_id, c.period
),
watched AS (
    SELECT p.subject_id, p.period,
           (SELECT flatten(list(r.event_ids)) FROM reviews r WHERE r.subject_id = p.subject_id
            AND r.data_kind = 'neurological' AND r.from_at <= p.starts_at + to_days(CAST($observed_days AS INTEGER))
            AND r.until_at > p.starts_at) AS event_ids
    FROM periods p JOIN coverage c ON c.subject_id = p.subject_id AND c.data_kind = 'neurological'
        AND c.from_at <= p.starts_at + INTERVAL 1 DAY
        AND c.until_at >= p.starts_at + to_days(CAST($observed_days AS INTEGER))
),
deaths AS (
    SELECT subject_id, min(from_at) AS from_at, flatten(list(event_ids)) AS event_ids
    FROM occurrences WHERE kind = 'death' AND category = 'icans' GROUP BY subject_id
),
answers AS (
    SELECT c.subject_id, c.period, c.tool, k.compared, coalesce(k.episodes, 0) AS episodes,
           coalesce(n.open, CASE WHEN u.subject_id IS NOT NULL THEN 'a sign or an item of the score is in doubt' END) AS open,
           CASE WHEN d.subject_id IS NOT NULL THEN 5 WHEN k.grade IS NOT NULL THEN k.grade
                WHEN c.tool IS NULL OR n.open IS NOT NULL OR u.subject_id IS NOT NULL THEN NULL WHEN w.subject_id IS NOT NULL THEN 0 END AS grade,
           CASE WHEN d.subject_id IS NOT NULL THEN 5
                WHEN w.subject_id IS NULL OR c.tool IS NULL OR (u.subject_id IS NOT NULL AND k.grade IS NULL) THEN 4 ELSE coalesce(n.upper, 0) END AS upper,
           coalesce(c.ends_at, (SELECT CAST(cutoff + 2 AS TIMESTAMPTZ) FROM cut)) AS known_from,
           list_concat(coalesce(t.flags, []), CASE WHEN b.subject_id IS NOT NULL THEN ['baseline_ice_below_10'] ELSE [] END) AS flags,
           list_concat(list_concat(coalesce(t.event_ids, []), CASE WHEN k.grade IS NULL THEN list_concat(coalesce(n.open_ids, []), coalesce(u.event_ids, [])) ELSE [] END),
                       list_concat(coalesce(w.event_ids, []), coalesce(d.event_ids, []))) AS event_ids
    FROM chosen c
    LEFT JOIN worst k USING (subject_id, period)
    LEFT JOIN cited t USING (subject_id, period)
    LEFT JOIN points n USING (subject_id, period)
    LEFT JOIN (SELECT DISTINCT subject_id, period FROM before) b USING (subject_id, period)
    LEFT JOIN watched w USING (subject_id, period)
    LEFT JOIN unread u USING (subject_id, period)
    LEFT JOIN deaths d ON d.subject_id = c.subject_id AND d.from_at >= c.starts_at AND (c.ends_at IS NULL OR d.from_at < c.ends_at)
)
SELECT subject_id, period, 'overall' AS criterion,
       CASE WHEN grade IS NULL THEN 'not_evaluable' WHEN grade >= 1 THEN 'met' ELSE 'not_met' END AS status,
       grade, upper AS grade_upper, NULL::DECIMAL(38, 9) AS value_number,
       CASE WHEN grade IS NOT NULL THEN NULL
            WHEN tool IS NULL THEN 'the age is unknown: neither ICE nor CAPD can be chosen'
            ELSE coalesce(open, 'no sign, and no neurological review covers the first days') END AS reason,
       CASE WHEN grade = 5 THEN 'death due to ICANS' ELSE compared END AS compared, flags, known_from, event_ids
FROM answers
UNION ALL
SELECT e.subject_id, e.period, CASE WHEN e.criterion = 'score' THEN coalesce(lower(a.tool), 'score') ELSE e.criterion END, e.status, e.grade,
       NULL, NULL, e.reason, NULL, [], a.known_from, e.event_ids
FROM (FROM icans_episode WHERE criterion IN ('score', 'consciousness', 'seizure', 'motor', 'oedema')
      QUALIFY row_number() OVER (PARTITION BY subject_id, period, criterion ORDER BY grade DESC NULLS LAST, from_at) = 1) e
JOIN answers a USING (subject_id, period)
UNION ALL
SELECT c.subject_id, c.period, c.criterion, c.status, NULL, NULL, c.value_number, c.reason, NULL, [], a.known_from, c.event_ids
FROM icans_episode c
JOIN worst w ON w.subject_id = c.subject_id AND w.period = c.period
    AND c.from_at = CASE WHEN c.criterion = 'onset_hours' THEN w.first_onset ELSE w.from_at END
JOIN answers a ON a.subject_id = c.subject_id AND a.period = c.period
WHERE c.criterion IN ('onset_hours', 'peak_hours', 'duration_hours', 'duration_days', 'return_hours')
UNION ALL
SELECT subject_id, period, 'recurrence', CASE WHEN episodes >= 2 THEN 'met' ELSE 'not_met' END, NULL, NULL, episodes, NULL,
       'episodes: ' || episodes, [], known_from, event_ids
FROM answers WHERE episodes > 0
