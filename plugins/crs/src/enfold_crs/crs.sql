-- CRS. At each time point (a set of vital signs, the start of a vasopressor) the grade is the worse of
-- hypotension and hypoxia, at least 1; it counts from the first qualifying fever of an episode. Readings
-- hold $hold_hours h. Signs that somebody attributes to another cause do not count. Points with a sign that are
-- $episode_gap_hours h or more apart belong to different episodes. The proven maximum is reported, its upper bound beside it.
WITH vitals AS (
    SELECT p.subject_id, p.period, f.item, f.from_at, f.until_at, f.value_number, f.value_code, f.unit,
           f.known, coalesce(f.attribution, 'unknown') <> 'not_disease' AS counts, f.event_ids
    FROM findings f JOIN periods p ON p.subject_id = f.subject_id
        AND f.from_at >= p.starts_at AND (p.ends_at IS NULL OR f.from_at < p.ends_at)
    WHERE f.instrument = 'VITAL_SIGNS' AND f.known
),
pressors AS (
    SELECT p.subject_id, p.period, e.substance, e.drug_class, e.from_at,
           coalesce(e.until_at, CASE WHEN e.ongoing THEN TIMESTAMPTZ '9999-01-01' ELSE e.from_at + to_hours(CAST($hold_hours AS INTEGER)) END) AS until_at,
           e.event_ids
    FROM exposures e JOIN periods p ON p.subject_id = e.subject_id
        AND e.from_at >= p.starts_at AND (p.ends_at IS NULL OR e.from_at < p.ends_at)
    WHERE e.drug_class IN ('vasopressor', 'vasopressin', 'inotrope')
      AND coalesce(e.indication, 'crs') = 'crs'
),
points AS (
    SELECT DISTINCT subject_id, period, from_at AS moment FROM vitals
    UNION SELECT subject_id, period, from_at FROM pressors
),
held AS (
    -- the latest reading of each sign that still holds at the point
    SELECT q.subject_id, q.period, q.moment, v.item,
           first(v.value_number ORDER BY v.from_at DESC, v.event_ids) AS value_number,
           first(v.value_code ORDER BY v.from_at DESC, v.event_ids) AS value_code,
           first(v.unit ORDER BY v.from_at DESC, v.event_ids) AS unit,
           first(v.counts ORDER BY v.from_at DESC, v.event_ids) AS counts,
           first(v.event_ids ORDER BY v.from_at DESC, v.event_ids) AS event_ids,
           max(v.until_at) AS until_at
    FROM points q JOIN vitals v ON v.subject_id = q.subject_id AND v.period = q.period
        AND v.from_at <= q.moment AND v.from_at >= q.moment - to_hours(CAST($hold_hours AS INTEGER))
    GROUP BY q.subject_id, q.period, q.moment, v.item
),
running AS (
    SELECT q.subject_id, q.period, q.moment,
           count(DISTINCT r.substance) FILTER (r.drug_class <> 'vasopressin') AS agents,
           count(*) FILTER (r.drug_class = 'vasopressin') AS vasopressin,
           flatten(list(r.event_ids)) AS event_ids
    FROM points q JOIN pressors r ON r.subject_id = q.subject_id AND r.period = q.period
        AND r.from_at <= q.moment AND r.until_at > q.moment
    GROUP BY q.subject_id, q.period, q.moment
),
signs AS (
    SELECT q.*,
           (CASE WHEN t.unit = '[degF]' THEN (t.value_number - 32) * 5 >= $fever_celsius * 9
                 ELSE t.value_number >= $fever_celsius END) AND t.counts AS fever,
           CASE WHEN r.agents >= 2 THEN 4 WHEN r.agents = 1 THEN 3
                WHEN r.vasopressin > 0 THEN $vasopressin_alone_grade
                WHEN h.value_code = 'present' AND h.counts THEN 2
                WHEN h.value_code IS NOT NULL THEN 0 END AS hypotension,
           EXISTS (FROM coverage c WHERE c.subject_id = q.subject_id AND c.data_kind = 'vasopressor'
                   AND c.from_at <= q.moment AND c.until_at > q.moment) AS pressors_reviewed,
           CASE WHEN NOT d.counts THEN 0
                WHEN d.value_code = 'room_air' THEN 0
                WHEN d.value_code = 'blow_by' THEN 2
                WHEN d.value_code IN ('nasal_cannula', 'high_flow_nasal_cannula') THEN
                    CASE WHEN o.value_number <= $low_flow_max THEN 2 WHEN o.value_number > $low_flow_max THEN 3 END
                WHEN d.value_code IN ('simple_mask', 'venturi', 'non_rebreather') THEN 3
                WHEN d.value_code IN ('cpap', 'bipap', 'invasive_ventilation') THEN
                    CASE WHEN w.value_code = 'airway_protection' THEN 0 ELSE 4 END END AS hypoxia,
           t.event_ids AS fever_ids,
           list_concat(coalesce(h.event_ids, []), coalesce(r.event_ids, [])) AS hypotension_ids,
           list_concat(coalesce(d.event_ids, []), coalesce(o.event_ids, [])) AS hypoxia_ids
    FROM points q
    LEFT JOIN (FROM held WHERE item = 'TEMP') t USING (subject_id, period, moment)
    LEFT JOIN (FROM held WHERE item = 'HYPOTENSION') h USING (subject_id, period, moment)
    LEFT JOIN (FROM held WHERE item = 'O2DEVICE') d USING (subject_id, period, moment)
    LEFT JOIN (FROM held WHERE item = 'O2FLOW') o USING (subject_id, period, moment)
    LEFT JOIN (FROM held WHERE item = 'VENT_REASON') w USING (subject_id, period, moment)
    LEFT JOIN running r USING (subject_id, period, moment)
),
spells AS (
    SELECT *, sum(CASE WHEN moment < before + to_hours(CAST($episode_gap_hours AS INTEGER)) THEN 0 ELSE 1 END)
                  OVER (PARTITION BY subject_id, period ORDER BY moment ROWS UNBOUNDED PRECEDING) AS episode
    FROM (SELECT *, lag(moment) OVER (PARTITION BY subject_id, period ORDER BY moment) AS before
          FROM signs WHERE fever OR hypotension > 0 OR hypoxia > 0)
),
onsets AS (
    SELECT subject_id, period, episode, min(moment) FILTER (fever) AS onset
    FROM spells GROUP BY subject_id, period, episode
),
graded AS (
    SELECT s.*, greatest(1, s.hypotension, s.hypoxia) AS grade,
           greatest(1, coalesce(s.hypotension, CASE WHEN s.pressors_reviewed THEN 2 ELSE 4 END),
                    CASE WHEN s.hypotension IN (0, 2) AND NOT s.pressors_reviewed THEN 4 ELSE 1 END,
                    coalesce(s.hypoxia, 4)) AS upper
    FROM spells s JOIN onsets o USING (subject_id, period, episode)
    WHERE s.moment >= o.onset
),
peaks AS (
    SELECT subject_id, period, max(grade) AS grade, max(upper) AS upper,
           max(hypotension) AS hypotension, max(hypoxia) AS hypoxia,
           min(moment) AS onset, max(moment) AS last_sign,
           bool_or(NOT coalesce(fever, false)) AS afebrile_graded,
           flatten(list(fever_ids)) AS fever_ids,
           flatten(list(hypotension_ids)) AS hypotension_ids, flatten(list(hypoxia_ids)) AS hypoxia_ids
    FROM graded GROUP BY subject_id, period
),
watched AS (
    SELECT p.subject_id, p.period,
           (SELECT flatten(list(r.event_ids)) FROM reviews r WHERE r.subject_id = p.subject_id
            AND r.data_kind = 'fever' AND r.from_at <= p.starts_at + to_days(CAST($observed_days AS INTEGER)) AND r.until_at > p.starts_at) AS event_ids
    FROM periods p JOIN coverage c ON c.subject_id = p.subject_id AND c.data_kind = 'fever'
        AND c.from_at <= p.starts_at + INTERVAL 1 DAY
        AND c.until_at >= p.starts_at + to_days(CAST($observed_days AS INTEGER))
),
deaths AS (SELECT subject_id, from_at, from_latest, event_ids FROM occurrences WHERE kind = 'death' AND category = 'crs'),
answers AS (
    SELECT p.subject_id, p.period,
           CASE WHEN d.subject_id IS NOT NULL THEN 5 WHEN k.grade IS NOT NULL THEN k.grade
                WHEN w.subject_id IS NOT NULL THEN 0 END AS grade,
           CASE WHEN d.subject_id IS NOT NULL THEN 5 WHEN k.grade IS NOT NULL THEN k.upper
                WHEN w.subject_id IS NOT NULL THEN 0 ELSE 4 END AS upper,
           k.hypotension, k.hypoxia, k.onset, k.last_sign, p.starts_at, k.afebrile_graded,
           coalesce(p.ends_at, (SELECT CAST(cutoff + 2 AS TIMESTAMPTZ) FROM cut)) AS known_from,
           coalesce(k.fever_ids, []) AS fever_ids, coalesce(k.hypotension_ids, []) AS hypotension_ids,
           coalesce(k.hypoxia_ids, []) AS hypoxia_ids,
           list_concat(coalesce(w.event_ids, []), coalesce(d.event_ids, [])) AS other_ids
    FROM periods p
    LEFT JOIN peaks k USING (subject_id, period)
    LEFT JOIN watched w USING (subject_id, period)
    LEFT JOIN deaths d ON d.subject_id = p.subject_id AND d.from_at >= p.starts_at
        AND (p.ends_at IS NULL OR d.from_at < p.ends_at)
)
SELECT subject_id, period, 'overall' AS criterion,
       CASE WHEN grade IS NULL THEN 'not_evaluable' WHEN grade >= 1 THEN 'met' ELSE 'not_met' END AS status,
       grade, upper AS grade_upper, NULL::DECIMAL(38, 9) AS value_number,
       CASE WHEN grade IS NULL THEN 'no qualifying fever, and no review of fever covers the first days' END AS reason,
       CASE WHEN afebrile_graded THEN ['afebrile_time_points_graded'] ELSE [] END AS flags,
       known_from, list_concat(list_concat(fever_ids, hypotension_ids), list_concat(hypoxia_ids, other_ids)) AS event_ids
FROM answers
UNION ALL
SELECT subject_id, period, 'hypotension',
       CASE WHEN hypotension > 0 THEN 'met' WHEN hypotension = 0 THEN 'not_met' ELSE 'not_evaluable' END,
       hypotension, NULL, NULL, CASE WHEN hypotension IS NULL THEN 'hypotension was not recorded' END, [], known_from, hypotension_ids
FROM answers WHERE grade >= 1
UNION ALL
SELECT subject_id, period, 'hypoxia',
       CASE WHEN hypoxia > 0 THEN 'met' WHEN hypoxia = 0 THEN 'not_met' ELSE 'not_evaluable' END,
       hypoxia, NULL, NULL, CASE WHEN hypoxia IS NULL THEN 'the oxygen device was not recorded' END, [], known_from, hypoxia_ids
FROM answers WHERE grade >= 1
UNION ALL
SELECT subject_id, period, 'onset_hours', 'met', NULL, NULL,
       date_diff('minute', starts_at, onset) // 60, NULL, [], known_from, fever_ids
FROM answers WHERE onset IS NOT NULL
UNION ALL
SELECT subject_id, period, 'duration_days', 'met', NULL, NULL,
       date_diff('day', onset, last_sign) + 1, NULL, [], known_from, fever_ids
FROM answers WHERE onset IS NOT NULL
