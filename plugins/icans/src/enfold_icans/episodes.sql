-- ICANS episodes of each infusion: from the first to the last instant of grade 1 or more; $episode_gap_hours h or more
-- between such instants separate episodes.
WITH points AS (
    SELECT t.subject_id, t.period, t.from_at AS moment,
           any_value(value_number) FILTER (measure = 'grade') AS grade, any_value(upper) FILTER (measure = 'grade') AS upper,
           any_value(value_code) FILTER (measure = 'grade') AS flags,
           any_value(value_number) FILTER (measure IN ('ice', 'capd')) AS score,
           any_value(value_number) FILTER (measure = 'consciousness') AS consciousness,
           any_value(value_number) FILTER (measure = 'seizure') AS seizure,
           any_value(value_number) FILTER (measure = 'motor') AS motor,
           any_value(value_number) FILTER (measure = 'oedema') AS oedema, any_value(value_number) FILTER (measure = 'day') AS day,
           flatten(list(event_ids) FILTER (measure = 'grade')) AS event_ids
    FROM icans_timeline t GROUP BY t.subject_id, t.period, t.from_at
),
spells AS (
    SELECT *, sum(CASE WHEN moment < before + to_hours(CAST($episode_gap_hours AS INTEGER)) THEN 0 ELSE 1 END)
                  OVER (PARTITION BY subject_id, period ORDER BY moment ROWS UNBOUNDED PRECEDING) AS episode
    FROM (SELECT *, lag(moment) OVER (PARTITION BY subject_id, period ORDER BY moment) AS before FROM points WHERE grade >= 1)
),
episodes AS (
    SELECT subject_id, period, episode, min(moment) AS onset, max(moment) AS last_sign, max(grade) AS grade, max(upper) AS upper,
           max(score) AS score, max(consciousness) AS consciousness, max(seizure) AS seizure, max(motor) AS motor, max(oedema) AS oedema,
           arg_min(moment, (-grade, moment)) AS peak_at, max(day) - min(day) + 1 AS days,
           list_distinct(string_split(string_agg(flags, ' '), ' ')) AS flags, flatten(list(event_ids)) AS event_ids
    FROM spells GROUP BY subject_id, period, episode
),
placed AS (
    SELECT e.*, p.starts_at, coalesce(p.ends_at, (SELECT CAST(cutoff + 2 AS TIMESTAMPTZ) FROM cut)) AS known_from,
           (SELECT min(q.moment) FROM points q WHERE q.subject_id = e.subject_id AND q.period = e.period
            AND q.moment > e.last_sign AND q.grade = 0) AS back_at
    FROM episodes e JOIN periods p USING (subject_id, period)
),
long AS (
    SELECT *, unnest([
        {'criterion': 'overall', 'grade': grade, 'value': NULL},
        {'criterion': 'score', 'grade': score, 'value': NULL}, {'criterion': 'consciousness', 'grade': consciousness, 'value': NULL},
        {'criterion': 'seizure', 'grade': seizure, 'value': NULL}, {'criterion': 'motor', 'grade': motor, 'value': NULL},
        {'criterion': 'oedema', 'grade': oedema, 'value': NULL},
        {'criterion': 'onset_hours', 'grade': NULL, 'value': date_diff('minute', starts_at, onset) // 60},
        {'criterion': 'peak_hours', 'grade': NULL, 'value': date_diff('minute', starts_at, peak_at) // 60},
        {'criterion': 'duration_hours', 'grade': NULL, 'value': date_diff('minute', onset, last_sign) // 60},
        {'criterion': 'duration_days', 'grade': NULL, 'value': CAST(days AS BIGINT)},
        {'criterion': 'return_hours', 'grade': NULL, 'value': date_diff('minute', onset, back_at) // 60}]) AS part
    FROM placed
)
SELECT subject_id, period, onset AS from_at, last_sign AS until_at, part.criterion,
       CASE WHEN part.value IS NOT NULL THEN 'met' ELSE verdict(part.grade <> 0) END AS status,
       part.grade, CASE WHEN part.criterion = 'overall' THEN upper END AS grade_upper, part.value AS value_number,
       CASE WHEN part.criterion = 'return_hours' AND part.value IS NULL THEN 'no later assessment of grade 0'
            WHEN part.grade IS NULL AND part.value IS NULL THEN 'not recorded' END AS reason,
       CASE WHEN part.criterion = 'overall' THEN 'worst rows: score ' || coalesce(shown(score), 'unknown') || ', consciousness '
            || coalesce(shown(consciousness), 'unknown') || ', seizure ' || coalesce(shown(seizure), 'unknown') || ', motor '
            || coalesce(shown(motor), 'unknown') || ', oedema ' || coalesce(shown(oedema), 'unknown') END AS compared,
       CASE WHEN part.criterion = 'overall' THEN
           list_concat(coalesce(flags, []), CASE WHEN onset > starts_at + to_days(CAST($expected_days AS INTEGER)) THEN ['late_onset'] ELSE [] END)
           ELSE [] END AS flags,
       known_from, event_ids
FROM long
