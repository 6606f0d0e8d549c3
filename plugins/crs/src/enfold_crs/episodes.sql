-- CRS episodes of each infusion: onset at the first fever, end at the last sign, grade the worst instant.
WITH points AS (
    SELECT subject_id, period, from_at AS moment,
           any_value(value_number) FILTER (measure = 'episode') AS episode,
           any_value(value_number) FILTER (measure = 'grade') AS grade,
           any_value(upper) FILTER (measure = 'grade') AS upper, any_value(value_code) FILTER (measure = 'grade') AS flags,
           any_value(value_number) FILTER (measure = 'hypotension') AS hypotension,
           any_value(value_number) FILTER (measure = 'hypoxia') AS hypoxia,
           any_value(value_number) FILTER (measure = 'day') AS day,
           flatten(list(event_ids) FILTER (measure = 'grade')) AS event_ids
    FROM crs_timeline GROUP BY subject_id, period, from_at
),
episodes AS (
    SELECT subject_id, period, episode, min(moment) AS onset, max(moment) AS last_sign,
           max(grade) AS grade, max(upper) AS upper, max(hypotension) AS hypotension, max(hypoxia) AS hypoxia,
           arg_min(moment, (-grade, moment)) AS peak_at, max(day) - min(day) + 1 AS days,
           list_distinct(string_split(string_agg(flags, ' '), ' ')) AS flags, flatten(list(event_ids)) AS event_ids
    FROM points WHERE episode IS NOT NULL GROUP BY subject_id, period, episode
),
placed AS (
    SELECT e.*, p.starts_at, coalesce(p.ends_at, (SELECT CAST(cutoff + 2 AS TIMESTAMPTZ) FROM cut)) AS known_from,
           -- resolved: somebody looked for fever, or read signs, until $episode_gap_hours h after the last sign
           EXISTS (FROM points q WHERE q.subject_id = e.subject_id AND q.period = e.period
                   AND q.moment >= e.last_sign + to_hours(CAST($episode_gap_hours AS INTEGER)))
           OR EXISTS (FROM coverage c WHERE c.subject_id = e.subject_id AND c.data_kind = 'fever' AND c.from_at <= e.last_sign
                      AND c.until_at >= e.last_sign + to_hours(CAST($episode_gap_hours AS INTEGER))) AS observed,
           EXISTS (FROM occurrences o WHERE o.subject_id = e.subject_id AND o.kind = 'adverse_event' AND o.category = 'infection'
                   AND o.from_at <= e.last_sign AND coalesce(o.until_at, TIMESTAMPTZ '9999-01-01') > e.onset) AS infected
    FROM episodes e JOIN periods p USING (subject_id, period)
),
long AS (
    SELECT *, unnest([
        {'criterion': 'overall', 'status': 'met', 'grade': grade, 'upper': upper, 'value': NULL, 'reason': NULL},
        {'criterion': 'hypotension', 'status': verdict(hypotension <> 0),
         'grade': hypotension, 'upper': NULL, 'value': NULL, 'reason': CASE WHEN hypotension IS NULL THEN 'hypotension was not recorded' END},
        {'criterion': 'hypoxia', 'status': verdict(hypoxia <> 0),
         'grade': hypoxia, 'upper': NULL, 'value': NULL, 'reason': CASE WHEN hypoxia IS NULL THEN 'the oxygen device was not recorded' END},
        {'criterion': 'onset_hours', 'status': 'met', 'grade': NULL, 'upper': NULL, 'value': date_diff('minute', starts_at, onset) // 60, 'reason': NULL},
        {'criterion': 'peak_hours', 'status': 'met', 'grade': NULL, 'upper': NULL, 'value': date_diff('minute', starts_at, peak_at) // 60, 'reason': NULL},
        {'criterion': 'duration_hours', 'status': 'met', 'grade': NULL, 'upper': NULL, 'value': date_diff('minute', onset, last_sign) // 60, 'reason': NULL},
        {'criterion': 'duration_days', 'status': 'met', 'grade': NULL, 'upper': NULL, 'value': CAST(days AS BIGINT), 'reason': NULL},
        {'criterion': 'resolved', 'status': CASE WHEN observed THEN 'met' ELSE 'not_evaluable' END, 'grade': NULL, 'upper': NULL, 'value': NULL,
         'reason': CASE WHEN NOT observed THEN 'nobody looked for long enough after the last sign' END}]) AS part
    FROM placed
)
SELECT subject_id, period, onset AS from_at, last_sign AS until_at, part.criterion, part.status, part.grade, part.upper AS grade_upper,
       part.value AS value_number, part.reason,
       CASE WHEN part.criterion = 'overall' THEN 'worst instant: hypotension ' || coalesce(shown(hypotension), 'unknown')
            || ', hypoxia ' || coalesce(shown(hypoxia), 'unknown') END AS compared,
       CASE WHEN part.criterion = 'overall' THEN
           list_concat(list_filter(flags, lambda f: f <> 'fever_waived'),
                       list_concat(CASE WHEN onset > starts_at + to_days(CAST($expected_days AS INTEGER)) THEN ['late_onset'] ELSE [] END,
                                   CASE WHEN infected THEN ['infection_overlaps'] ELSE [] END))
           ELSE [] END AS flags,
       known_from, event_ids
FROM long
