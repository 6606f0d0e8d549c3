-- ICANS, instant by instant: the worst of the rows assessed together. ICE from $ice_from_age years on, CAPD below or
-- with developmental delay; the instrument is chosen once, by the age at infusion. A sign that somebody attributes to
-- another cause does not count. Under sedation neither score nor consciousness can be judged. Of two
-- values at one instant the worse counts.
WITH chosen AS (
    SELECT p.*, CASE WHEN s.developmental_delay THEN 'CAPD' WHEN s.age_years >= $ice_from_age THEN 'ICE'
                     WHEN s.age_years IS NOT NULL THEN 'CAPD' END AS tool
    FROM periods p JOIN subjects s USING (subject_id)
),
severity(item, code, grade) AS (
    VALUES ('AROUSAL', 'normal', 0), ('AROUSAL', 'spontaneous', 1), ('AROUSAL', 'voice', 2), ('AROUSAL', 'tactile', 3),
           ('AROUSAL', 'unarousable', 4), ('SEIZURE', 'none', 0), ('SEIZURE', 'resolves_rapidly', 3),
           ('SEIZURE', 'nonconvulsive_resolves', 3), ('SEIZURE', 'duration_unknown', 3), ('SEIZURE', 'prolonged', 4),
           ('SEIZURE', 'repetitive', 4), ('MOTOR', 'none', 0), ('MOTOR', 'deep_focal_weakness', 4),
           ('OEDEMA', 'none', 0), ('OEDEMA', 'focal', 3), ('OEDEMA', 'diffuse', 4),
           ('OEDEMA', 'decerebrate_or_decorticate', 4), ('OEDEMA', 'cranial_nerve_vi_palsy', 4),
           ('OEDEMA', 'papilloedema', 4), ('OEDEMA', 'cushing_triad', 4)
),
observed AS (
    SELECT c.period, c.tool, f.*
    FROM findings f JOIN chosen c ON c.subject_id = f.subject_id
        AND f.from_at >= c.starts_at AND (c.ends_at IS NULL OR f.from_at < c.ends_at)
    WHERE f.instrument IN ('ICE', 'CAPD', 'ICANS_SIGNS') AND f.known
),
scored AS (
    SELECT subject_id, period, from_at, instrument, count(*) FILTER (item <> 'CAPD_UNABLE') AS items,
           sum(CASE WHEN instrument = 'ICE' THEN least_value ELSE most_value END) AS total,
           bool_or(item = 'CAPD_UNABLE' AND code = 'yes') AS unable, bool_or(excluded) AS excluded, flatten(list(event_ids)) AS event_ids
    FROM (SELECT subject_id, period, tool, from_at, instrument, item, min(value_number) AS least_value, max(value_number) AS most_value,
                 max(value_code) AS code, bool_or(attribution IS NOT DISTINCT FROM 'not_disease') AS excluded,
                 flatten(list(event_ids)) AS event_ids
          FROM observed WHERE instrument = tool GROUP BY subject_id, period, tool, from_at, instrument, item)
    GROUP BY subject_id, period, from_at, instrument
),
seen AS (
    SELECT o.subject_id, o.period, o.from_at, o.item, max(s.grade) AS grade,
           max(CASE WHEN o.value_code = 'duration_unknown' THEN 4 ELSE s.grade END) AS upper,
           bool_or(o.value_code = 'sedated') AS sedated, flatten(list(o.event_ids)) AS event_ids,
           bool_or(coalesce(o.attribution, 'unknown') = 'unknown' AND s.grade <> 0) AS unstated
    FROM observed o LEFT JOIN severity s ON s.item = o.item AND s.code = o.value_code
    WHERE o.instrument = 'ICANS_SIGNS' AND o.attribution IS DISTINCT FROM 'not_disease'
    GROUP BY o.subject_id, o.period, o.from_at, o.item
),
points AS (
    SELECT o.subject_id, o.period, o.tool, o.from_at, c.starts_at, any_value(o.date) AS date
    FROM observed o JOIN chosen c USING (subject_id, period) GROUP BY o.subject_id, o.period, o.tool, o.from_at, c.starts_at
),
joined AS (
    SELECT p.*, r.items, r.total, coalesce(r.unable, false) AS unable, coalesce(r.excluded, false) AS excluded,
           r.event_ids AS score_ids, a.grade AS arousal, coalesce(a.sedated, false) AS sedated, a.event_ids AS arousal_ids,
           z.grade AS seizure, z.upper AS seizure_upper, z.event_ids AS seizure_ids, m.grade AS motor, m.event_ids AS motor_ids,
           d.grade AS oedema, d.event_ids AS oedema_ids,
           a.unstated OR z.unstated OR m.unstated OR d.unstated AS unstated,
           EXISTS (FROM coverage c WHERE c.subject_id = p.subject_id AND c.data_kind = 'neurological'
                   AND c.from_at <= p.from_at AND c.until_at > p.from_at) AS reviewed
    FROM points p
    LEFT JOIN scored r USING (subject_id, period, from_at)
    LEFT JOIN (FROM seen WHERE item = 'AROUSAL') a USING (subject_id, period, from_at)
    LEFT JOIN (FROM seen WHERE item = 'SEIZURE') z USING (subject_id, period, from_at)
    LEFT JOIN (FROM seen WHERE item = 'MOTOR') m USING (subject_id, period, from_at)
    LEFT JOIN (FROM seen WHERE item = 'OEDEMA') d USING (subject_id, period, from_at)
),
rows AS (
    SELECT *,
           CASE WHEN sedated OR excluded THEN NULL
                WHEN tool = 'ICE' AND items = 5 THEN
                    -- 0 awake is 3, because unarousable 4
                    CASE WHEN total = 10 THEN 0 WHEN total >= 7 THEN 1 WHEN total >= 3 THEN 2
                         WHEN total = 0 AND arousal = 4 THEN 4 ELSE 3 END
                WHEN tool = 'CAPD' AND unable THEN 4
                WHEN tool = 'CAPD' AND items = 8 THEN
                    CASE WHEN total >= $capd_grade_3 THEN 3 WHEN arousal IS NOT NULL THEN 0 END END AS score,
           CASE WHEN sedated OR excluded THEN NULL
                WHEN tool = 'ICE' AND items = 5 AND total = 0 AND arousal IS NULL THEN 4
                WHEN tool = 'CAPD' AND items = 8 AND arousal IS NULL THEN 2 END AS score_upper,
           CASE WHEN sedated THEN NULL WHEN arousal = 1 AND tool = 'ICE' AND items = 5 AND total = 10 AND NOT excluded THEN 0 ELSE arousal END AS consciousness,
           -- the score was tried, or ruled out by sedation, and cannot be judged
           tool IS NOT NULL AND NOT excluded AND (sedated OR items IS NOT NULL) AS tried
    FROM joined
),
graded AS (
    SELECT *, greatest(score, consciousness, seizure, motor, oedema) AS grade,
           greatest(score, score_upper, consciousness, seizure, seizure_upper, motor, oedema, CASE WHEN tried AND score IS NULL AND score_upper IS NULL THEN 4 END) AS upper
    FROM rows
),
long AS (
    SELECT *, unnest([{'measure': coalesce(lower(tool), 'score'), 'value': score, 'ids': score_ids},
                      {'measure': 'consciousness', 'value': consciousness, 'ids': arousal_ids},
                      {'measure': 'seizure', 'value': coalesce(seizure, CASE WHEN reviewed THEN 0 END), 'ids': seizure_ids},
                      {'measure': 'motor', 'value': coalesce(motor, CASE WHEN reviewed THEN 0 END), 'ids': motor_ids},
                      {'measure': 'oedema', 'value': coalesce(oedema, CASE WHEN reviewed THEN 0 END), 'ids': oedema_ids}]) AS part
    FROM graded
)
SELECT subject_id, period, from_at, part.measure, part.value AS value_number, NULL AS lower, NULL AS upper, NULL AS value_code,
       NULL AS reason, from_at AS known_from, coalesce(part.ids, []) AS event_ids
FROM long
UNION ALL
SELECT subject_id, period, from_at, 'grade', grade, coalesce(grade, 0), upper,
       list_aggregate(list_filter([CASE WHEN unstated THEN 'attribution_not_stated' END, CASE WHEN sedated THEN 'sedated' END],
                                  lambda f: f IS NOT NULL), 'string_agg', ' '),
       CASE WHEN tried AND score IS NULL THEN
            CASE WHEN sedated THEN 'sedated: neither score nor consciousness can be judged'
                 WHEN score_upper IS NOT NULL THEN 'CAPD below the threshold without recorded consciousness'
                 ELSE 'the score is incomplete' END END,
       from_at,
       list_concat(list_concat(coalesce(score_ids, []), coalesce(arousal_ids, [])),
                   list_concat(coalesce(seizure_ids, []), list_concat(coalesce(motor_ids, []), coalesce(oedema_ids, []))))
FROM graded
UNION ALL
SELECT subject_id, period, from_at, 'day', date - CAST(starts_at AS DATE), NULL, NULL, NULL, NULL, from_at, [] FROM graded
