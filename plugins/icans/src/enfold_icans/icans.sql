-- ICANS. At each assessed instant the grade is the worst row: ICE (age $ice_from_age or more) or CAPD (younger, or
-- developmental delay), consciousness, seizure, motor, oedema. Signs that somebody attributes to another
-- cause do not count. ICE 0 awake is 3, unarousable 4. CAPD below $capd_grade_3 is graded by consciousness; a well child is 0.
WITH chosen AS (
    SELECT p.*, CASE WHEN s.developmental_delay THEN 'CAPD' WHEN s.age_years >= $ice_from_age THEN 'ICE'
                     WHEN s.age_years IS NOT NULL THEN 'CAPD' END AS instrument
    FROM periods p JOIN subjects s USING (subject_id)
),
observed AS (
    SELECT c.subject_id, c.period, c.instrument AS tool, f.* EXCLUDE (subject_id, study_id)
    FROM findings f JOIN chosen c ON c.subject_id = f.subject_id
        AND f.from_at >= c.starts_at AND (c.ends_at IS NULL OR f.from_at < c.ends_at)
    WHERE f.instrument IN ('ICE', 'CAPD', 'ICANS_SIGNS') AND f.known
      AND coalesce(f.attribution, 'unknown') <> 'not_disease'
),
points AS (
    SELECT subject_id, period, any_value(tool) AS tool, from_at AS moment,
           CASE WHEN count(DISTINCT item) FILTER (instrument = 'ICE') = 5
                THEN sum(value_number) FILTER (instrument = 'ICE') END AS ice,
           CASE WHEN count(DISTINCT item) FILTER (instrument = 'CAPD' AND item <> 'CAPD_UNABLE') = 8
                THEN sum(value_number) FILTER (instrument = 'CAPD') END AS capd,
           bool_or(item = 'CAPD_UNABLE' AND value_code = 'yes') AS capd_unable,
           max(value_code) FILTER (item = 'AROUSAL') AS arousal,
           max(value_code) FILTER (item = 'SEIZURE') AS seizure,
           max(value_code) FILTER (item = 'MOTOR') AS motor,
           max(value_code) FILTER (item = 'OEDEMA') AS oedema,
           flatten(list(event_ids)) AS event_ids
    FROM observed GROUP BY subject_id, period, from_at
),
rows AS (
    SELECT *,
           CASE WHEN tool = 'ICE' THEN
                    CASE WHEN ice = 10 THEN 0 WHEN ice >= 7 THEN 1 WHEN ice >= 3 THEN 2 WHEN ice >= 1 THEN 3
                         WHEN ice = 0 THEN CASE WHEN arousal = 'unarousable' THEN 4 ELSE 3 END END
                WHEN tool = 'CAPD' THEN
                    CASE WHEN coalesce(capd_unable, false) THEN 4 WHEN capd >= $capd_grade_3 THEN 3
                         WHEN capd IS NOT NULL AND arousal IS NOT NULL AND arousal <> 'sedated' THEN 0 END END AS score,
           CASE WHEN tool = 'ICE' AND ice = 0 AND arousal IS NULL THEN 4
                WHEN tool = 'CAPD' AND capd < $capd_grade_3 AND (arousal IS NULL OR arousal = 'sedated') THEN 2 END AS score_upper,
           CASE arousal WHEN 'normal' THEN 0
                WHEN 'spontaneous' THEN CASE WHEN tool = 'ICE' AND ice = 10 THEN 0 ELSE 1 END
                WHEN 'voice' THEN 2 WHEN 'tactile' THEN 3 WHEN 'unarousable' THEN 4 END AS consciousness,
           CASE seizure WHEN 'none' THEN 0 WHEN 'prolonged' THEN 4 WHEN 'repetitive' THEN 4
                WHEN 'resolves_rapidly' THEN 3 WHEN 'nonconvulsive_resolves' THEN 3 WHEN 'duration_unknown' THEN 3 END AS seizure_grade,
           CASE seizure WHEN 'duration_unknown' THEN 4 END AS seizure_upper,
           CASE motor WHEN 'none' THEN 0 WHEN 'deep_focal_weakness' THEN 4 END AS motor_grade,
           CASE WHEN oedema = 'none' THEN 0 WHEN oedema = 'focal' THEN 3 WHEN oedema IS NOT NULL THEN 4 END AS oedema_grade
    FROM points
),
graded AS (
    SELECT *, greatest(score, consciousness, seizure_grade, motor_grade, oedema_grade) AS grade,
           greatest(score, score_upper, consciousness, seizure_grade, seizure_upper, motor_grade, oedema_grade) AS upper
    FROM rows
),
peaks AS (
    SELECT subject_id, period, max(grade) AS grade, max(upper) AS upper,
           max(score) AS score, max(consciousness) AS consciousness, max(seizure_grade) AS seizure,
           max(motor_grade) AS motor, max(oedema_grade) AS oedema,
           bool_or(score IS NULL AND score_upper IS NOT NULL) AS consciousness_missing,
           min(moment) FILTER (grade >= 1) AS onset, max(moment) FILTER (grade >= 1) AS last_sign,
           flatten(list(event_ids) FILTER (grade >= 1)) AS event_ids
    FROM graded GROUP BY subject_id, period
),
watched AS (
    SELECT p.subject_id, p.period,
           (SELECT flatten(list(r.event_ids)) FROM reviews r WHERE r.subject_id = p.subject_id
            AND r.data_kind = 'neurological' AND r.from_at <= p.starts_at + to_days(CAST($observed_days AS INTEGER)) AND r.until_at > p.starts_at) AS event_ids
    FROM periods p JOIN coverage c ON c.subject_id = p.subject_id AND c.data_kind = 'neurological'
        AND c.from_at <= p.starts_at + INTERVAL 1 DAY
        AND c.until_at >= p.starts_at + to_days(CAST($observed_days AS INTEGER))
),
deaths AS (SELECT subject_id, from_at, from_latest, event_ids FROM occurrences WHERE kind = 'death' AND category = 'icans'),
answers AS (
    SELECT c.subject_id, c.period, c.instrument, k.* EXCLUDE (subject_id, period, grade, upper, event_ids),
           CASE WHEN d.subject_id IS NOT NULL THEN 5 WHEN k.grade >= 1 THEN k.grade
                WHEN c.instrument IS NULL OR coalesce(k.consciousness_missing, false) THEN NULL
                WHEN w.subject_id IS NOT NULL THEN 0 END AS grade,
           CASE WHEN d.subject_id IS NOT NULL THEN 5
                WHEN w.subject_id IS NULL OR c.instrument IS NULL THEN 4 ELSE coalesce(k.upper, 0) END AS upper,
           coalesce(c.ends_at, (SELECT CAST(cutoff + 2 AS TIMESTAMPTZ) FROM cut)) AS known_from,
           list_concat(coalesce(k.event_ids, []), list_concat(coalesce(w.event_ids, []), coalesce(d.event_ids, []))) AS event_ids
    FROM chosen c
    LEFT JOIN peaks k USING (subject_id, period)
    LEFT JOIN watched w USING (subject_id, period)
    LEFT JOIN deaths d ON d.subject_id = c.subject_id AND d.from_at >= c.starts_at
        AND (c.ends_at IS NULL OR d.from_at < c.ends_at)
)
SELECT subject_id, period, 'overall' AS criterion,
       CASE WHEN grade IS NULL THEN 'not_evaluable' WHEN grade >= 1 THEN 'met' ELSE 'not_met' END AS status,
       grade, upper AS grade_upper,
       CASE WHEN grade IS NOT NULL THEN NULL
            WHEN instrument IS NULL THEN 'the age is unknown: neither ICE nor CAPD can be chosen'
            WHEN consciousness_missing THEN 'CAPD below the threshold without recorded consciousness'
            ELSE 'no sign, and no neurological review covers the first days' END AS reason,
       known_from, event_ids
FROM answers
UNION ALL
SELECT subject_id, period, part.criterion,
       CASE WHEN part.grade IS NULL THEN 'not_evaluable' WHEN part.grade >= 1 THEN 'met' ELSE 'not_met' END,
       part.grade, NULL, CASE WHEN part.grade IS NULL THEN 'not recorded' END, known_from, event_ids
FROM (SELECT *, unnest([{'criterion': lower(instrument), 'grade': score},
                        {'criterion': 'consciousness', 'grade': consciousness}, {'criterion': 'seizure', 'grade': seizure},
                        {'criterion': 'motor', 'grade': motor}, {'criterion': 'oedema', 'grade': oedema}]) AS part
      FROM answers WHERE grade BETWEEN 1 AND 4)
