-- CRS, instant by instant. Time points are readings of vital signs and starts of vasopressor or oxygen
-- support. A reading holds $hold_hours h, support until it ends. At each point: fever, the grade of hypotension and of
-- hypoxia (a sign that somebody attributes to another cause is 0; an unknown one stays unknown), and, from the
-- first fever of an episode to its last sign, the grade. Two readings at one instant: the worse counts.
WITH vitals AS (
    SELECT p.subject_id, p.period, p.starts_at, f.item, f.from_at, f.date, f.value_number, f.value_code, f.unit, f.event_ids,
           f.from_at >= p.starts_at AS inside, f.attribution IS DISTINCT FROM 'not_disease' AS counts,
           coalesce(f.attribution, 'unknown') = 'unknown' AS unstated,
           f.from_at + to_hours(CAST($hold_hours AS INTEGER)) AS holds_until
    FROM findings f JOIN periods p ON p.subject_id = f.subject_id AND (p.ends_at IS NULL OR f.from_at < p.ends_at)
    WHERE f.instrument = 'VITAL_SIGNS' AND f.known
),
supports AS (
    -- oxygen and ventilation recorded as procedures hold for as long as they run
    SELECT p.subject_id, p.period, p.starts_at, o.category AS device, o.flow, o.from_at, o.from_date AS date, o.event_ids,
           o.from_at >= p.starts_at AS inside, coalesce(o.attribution, 'crs') = 'crs' AS counts, o.attribution IS NULL AS unstated,
           coalesce(o.until_at - INTERVAL 1 MICROSECOND, o.from_at + to_hours(CAST($hold_hours AS INTEGER))) AS holds_until
    FROM occurrences o JOIN periods p ON p.subject_id = o.subject_id AND (p.ends_at IS NULL OR o.from_at < p.ends_at)
    WHERE o.kind = 'procedure' AND o.term IN ('oxygen', 'ventilation') AND o.category IS NOT NULL
),
pressors AS (
    SELECT p.subject_id, p.period, e.substance, e.drug_class, e.from_at, e.from_date AS date, e.event_ids,
           coalesce(e.until_at, CASE WHEN e.ongoing THEN TIMESTAMPTZ '9999-01-01'
                                     ELSE e.from_at + to_hours(CAST($hold_hours AS INTEGER)) END) AS until_at
    FROM exposures e JOIN periods p ON p.subject_id = e.subject_id
        AND e.from_at >= p.starts_at AND (p.ends_at IS NULL OR e.from_at < p.ends_at)
    WHERE (e.drug_class IN ('vasopressor', 'vasopressin') OR (e.drug_class = 'inotrope' AND $inotrope_counts))
      AND coalesce(e.indication, 'crs') = 'crs'
),
points AS (
    SELECT subject_id, period, starts_at, from_at AS moment, any_value(date) AS date FROM (
        SELECT subject_id, period, starts_at, from_at, date FROM vitals WHERE inside
        UNION ALL SELECT subject_id, period, starts_at, from_at, date FROM supports WHERE inside
        UNION ALL SELECT q.subject_id, q.period, p.starts_at, q.from_at, q.date FROM pressors q JOIN periods p USING (subject_id, period)
    ) GROUP BY subject_id, period, starts_at, from_at
),
flows AS (FROM vitals WHERE item = 'O2FLOW'),
reasons AS (FROM vitals WHERE item = 'VENT_REASON'),
devices AS (
    SELECT subject_id, period, starts_at, value_code AS device, NULL::DECIMAL(38, 9) AS flow, from_at, inside, counts,
           unstated, holds_until, event_ids
    FROM vitals WHERE item = 'O2DEVICE'
    UNION ALL
    SELECT subject_id, period, starts_at, device, flow, from_at, inside, counts, unstated, holds_until, event_ids FROM supports
),
-- each device record with the flow and the reason of ventilation that hold at a point; `moment` NULL: before infusion
moments AS (
    SELECT subject_id, period, moment FROM points UNION ALL
    SELECT DISTINCT subject_id, period, NULL::TIMESTAMPTZ FROM points
),
worn AS (
    SELECT m.subject_id, m.period, m.moment, d.*  EXCLUDE (subject_id, period)
    FROM moments m JOIN devices d ON d.subject_id = m.subject_id AND d.period = m.period
        AND CASE WHEN m.moment IS NULL THEN NOT d.inside
                 ELSE d.inside AND d.from_at <= m.moment AND d.holds_until >= m.moment END
    QUALIFY rank() OVER (PARTITION BY m.subject_id, m.period, m.moment ORDER BY d.from_at DESC) = 1
),
flowing AS (
    SELECT w.subject_id, w.period, w.moment, w.from_at, max(f.value_number) AS flow, flatten(list(f.event_ids)) AS event_ids
    FROM worn w JOIN flows f ON f.subject_id = w.subject_id AND f.period = w.period
        AND CASE WHEN w.moment IS NULL THEN f.from_at = w.from_at
                 ELSE f.from_at >= w.from_at AND f.from_at <= w.moment AND f.holds_until >= w.moment END
    WHERE w.flow IS NULL
    GROUP BY w.subject_id, w.period, w.moment, w.from_at, f.from_at
    QUALIFY row_number() OVER (PARTITION BY w.subject_id, w.period, w.moment ORDER BY f.from_at DESC) = 1
),
ventilated AS (
    SELECT w.subject_id, w.period, w.moment, bool_and(r.value_code = 'airway_protection') AS airway_only, flatten(list(r.event_ids)) AS event_ids
    FROM worn w JOIN reasons r ON r.subject_id = w.subject_id AND r.period = w.period
        AND r.inside = (w.moment IS NOT NULL)
        AND r.from_at <= coalesce(w.moment, w.from_at) AND r.holds_until >= coalesce(w.moment, w.from_at)
    GROUP BY w.subject_id, w.period, w.moment, r.from_at
    QUALIFY row_number() OVER (PARTITION BY w.subject_id, w.period, w.moment ORDER BY r.from_at DESC) = 1
),
classed AS (
    SELECT w.*, coalesce(w.flow, f.flow) AS litres, f.event_ids AS flow_ids, v.event_ids AS reason_ids,
           -- positive pressure given to protect the airway alone is no hypoxia
           CASE WHEN w.device = 'room_air' THEN 0
                WHEN w.device = 'blow_by' THEN 2
                WHEN w.device IN ('simple_mask', 'venturi', 'non_rebreather') THEN 3
                WHEN w.device IN ('cpap', 'bipap', 'invasive_ventilation') THEN CASE WHEN v.airway_only THEN 0 ELSE 4 END
                WHEN coalesce(w.flow, f.flow) <= $low_flow_max THEN 2
                WHEN coalesce(w.flow, f.flow) IS NOT NULL THEN 3
                WHEN w.moment IS NULL THEN 2 END AS class
    FROM worn w
    LEFT JOIN flowing f ON f.subject_id = w.subject_id AND f.period = w.period AND f.moment IS NOT DISTINCT FROM w.moment
    LEFT JOIN ventilated v ON v.subject_id = w.subject_id AND v.period = w.period AND v.moment IS NOT DISTINCT FROM w.moment
),
at_home AS (
    -- support before infusion: only more than that counts
    SELECT subject_id, period, max(class) AS class FROM classed WHERE moment IS NULL GROUP BY subject_id, period
),
oxygen AS (
    SELECT c.subject_id, c.period, c.moment,
           max(CASE WHEN NOT c.counts THEN 0 WHEN c.class <= coalesce(h.class, 0) THEN 0 ELSE c.class END) AS class,
           bool_or(c.counts AND c.class IS NULL) AS open,
           bool_or(c.device = 'high_flow_nasal_cannula' AND c.litres <= $low_flow_max) AS slow_high_flow,
           bool_or(c.unstated) AS unstated,
           list_concat(flatten(list(c.event_ids)), list_concat(coalesce(flatten(list(c.flow_ids)), []),
                                                               coalesce(flatten(list(c.reason_ids)), []))) AS event_ids
    FROM classed c LEFT JOIN at_home h USING (subject_id, period)
    WHERE c.moment IS NOT NULL GROUP BY c.subject_id, c.period, c.moment
),
held AS (
    -- temperature and hypotension: the latest reading that holds
    SELECT q.subject_id, q.period, q.moment, v.*  EXCLUDE (subject_id, period)
    FROM points q JOIN vitals v ON v.subject_id = q.subject_id AND v.period = q.period AND v.inside
        AND v.item IN ('TEMP', 'HYPOTENSION') AND v.from_at <= q.moment AND v.holds_until >= q.moment
    QUALIFY rank() OVER (PARTITION BY q.subject_id, q.period, q.moment, v.item ORDER BY v.from_at DESC) = 1
),
read AS (
    SELECT subject_id, period, moment,
           bool_or(counts AND CASE WHEN unit = '[degF]' THEN (value_number - 32) * 5 >= $fever_celsius * 9
                                   ELSE value_number >= $fever_celsius END) FILTER (item = 'TEMP') AS fever,
           bool_or(counts AND value_code = 'present') FILTER (item = 'HYPOTENSION') AS low,
           bool_or(unstated) FILTER (item = 'TEMP') AS fever_unstated,
           bool_or(unstated) FILTER (item = 'HYPOTENSION') AS low_unstated,
           flatten(list(event_ids) FILTER (item = 'TEMP')) AS fever_ids,
           flatten(list(event_ids) FILTER (item = 'HYPOTENSION')) AS low_ids
    FROM held GROUP BY subject_id, period, moment
),
running AS (
    SELECT q.subject_id, q.period, q.moment,
           count(DISTINCT r.substance) FILTER (r.drug_class <> 'vasopressin') AS agents,
           flatten(list(r.event_ids)) AS event_ids
    FROM points q JOIN pressors r ON r.subject_id = q.subject_id AND r.period = q.period
        AND r.from_at <= q.moment AND r.until_at > q.moment
    GROUP BY q.subject_id, q.period, q.moment
),
looked AS (
    SELECT q.subject_id, q.period, q.moment, list(DISTINCT c.data_kind) AS kinds
    FROM points q JOIN coverage c ON c.subject_id = q.subject_id
        AND c.data_kind IN ('vasopressor', 'oxygen', 'hypotension') AND c.from_at <= q.moment AND c.until_at > q.moment
    GROUP BY q.subject_id, q.period, q.moment
),
signs AS (
    SELECT q.*, coalesce(t.fever, false) AS fever,
           CASE WHEN r.agents >= 2 THEN 4 WHEN r.agents = 1 THEN 3
                WHEN r.agents = 0 THEN $vasopressin_alone_grade  -- only vasopressin runs
                WHEN t.low THEN 2 WHEN NOT t.low THEN 0
                WHEN list_contains(l.kinds, 'hypotension') THEN 0 END AS hypotension,
           CASE WHEN o.open THEN NULLIF(o.class, 0) WHEN o.class IS NOT NULL THEN o.class
                WHEN list_contains(l.kinds, 'oxygen') THEN 0 END AS hypoxia,
           coalesce(o.open, false) AS flow_missing, coalesce(list_contains(l.kinds, 'vasopressor'), false) AS pressors_reviewed,
           o.slow_high_flow,
           (t.fever AND t.fever_unstated) OR (t.low AND t.low_unstated) OR (o.class <> 0 AND o.unstated) AS unstated,
           coalesce(t.fever_ids, []) AS fever_ids, list_concat(coalesce(t.low_ids, []), coalesce(r.event_ids, [])) AS hypotension_ids,
           coalesce(o.event_ids, []) AS hypoxia_ids
    FROM points q
    LEFT JOIN read t USING (subject_id, period, moment)
    LEFT JOIN running r USING (subject_id, period, moment)
    LEFT JOIN oxygen o USING (subject_id, period, moment)
    LEFT JOIN looked l USING (subject_id, period, moment)
),
spells AS (
    SELECT *, sum(CASE WHEN moment < before + to_hours(CAST($episode_gap_hours AS INTEGER)) THEN 0 ELSE 1 END)
                  OVER (PARTITION BY subject_id, period ORDER BY moment ROWS UNBOUNDED PRECEDING) AS spell
    FROM (SELECT *, lag(moment) OVER (PARTITION BY subject_id, period ORDER BY moment) AS before
          FROM signs WHERE fever OR hypotension <> 0 OR hypoxia <> 0)
),
episodes AS (
    -- a spell without a qualifying fever is no episode
    SELECT subject_id, period, min(moment) FILTER (fever) AS onset, max(moment) AS last_sign,
           row_number() OVER (PARTITION BY subject_id, period ORDER BY spell) AS episode
    FROM spells GROUP BY subject_id, period, spell HAVING bool_or(fever)
),
steroids AS (
    SELECT subject_id, exposure_id, from_at, from_date, until_date, indication, prednisone_units_per_dosing_day AS units, event_ids
    FROM exposures WHERE drug_class = 'glucocorticoid'
      AND coalesce(route, '?') NOT IN ('topical', 'inhaled', 'intranasal', 'ophthalmic', 'intra_articular')
),
therapies AS (
    -- what lets fever be absent afterwards; an unchanged maintenance steroid does not
    SELECT subject_id, from_at, event_ids FROM exposures
    WHERE drug_class IN ('antipyretic', 'anti_il6', 'il1_antagonist')
    UNION ALL
    SELECT s.subject_id, s.from_at, s.event_ids FROM steroids s
    WHERE coalesce(s.indication IN ('crs', 'icans'), false) OR coalesce(s.units, 1) > coalesce((
        SELECT max(p.units) FROM steroids p WHERE p.subject_id = s.subject_id AND p.exposure_id <> s.exposure_id
        AND p.from_date < s.from_date AND coalesce(p.until_date, DATE '9999-12-31') >= s.from_date - 1), 0)
),
graded AS (
    SELECT s.*, e.episode, e.onset,
           greatest(1, s.hypotension, s.hypoxia) AS grade,
           greatest(1, coalesce(s.hypotension, CASE WHEN s.pressors_reviewed THEN 2 ELSE 4 END),
                    CASE WHEN s.hypotension IN (0, 2) AND NOT s.pressors_reviewed THEN 4 END,
                    coalesce(s.hypoxia, CASE WHEN NOT s.flow_missing THEN 4 END), CASE WHEN s.flow_missing THEN 3 END) AS upper,
           (SELECT flatten(list(t.event_ids)) FROM therapies t WHERE t.subject_id = s.subject_id
            AND t.from_at BETWEEN e.onset AND s.moment) AS therapy_ids
    FROM signs s LEFT JOIN episodes e ON e.subject_id = s.subject_id AND e.period = s.period
        AND s.moment BETWEEN e.onset AND e.last_sign
),
long AS (
    SELECT *, unnest([
        {'measure': 'day', 'value': CAST(date - CAST(starts_at AS DATE) AS INTEGER), 'flag': NULL, 'ids': []},
        {'measure': 'fever', 'value': NULL, 'flag': fever, 'ids': fever_ids},
        {'measure': 'hypotension', 'value': hypotension, 'flag': NULL, 'ids': hypotension_ids},
        {'measure': 'hypoxia', 'value': hypoxia, 'flag': NULL, 'ids': hypoxia_ids}]) AS part
    FROM graded
)
SELECT subject_id, period, moment AS from_at, part.measure, part.value AS value_number, part.flag AS value_flag,
       NULL AS value_code, NULL AS lower, NULL AS upper, moment AS known_from, part.ids AS event_ids
FROM long
UNION ALL
SELECT subject_id, period, moment, 'grade', grade, NULL,
       list_aggregate(list_filter([
           CASE WHEN NOT fever AND therapy_ids IS NOT NULL THEN 'fever_waived' END,
           CASE WHEN NOT fever AND therapy_ids IS NULL AND (hypotension <> 0 OR hypoxia <> 0) THEN 'afebrile_no_therapy' END,
           CASE WHEN slow_high_flow AND hypoxia = 2 THEN 'hfnc_device_le6' END,
           CASE WHEN unstated THEN 'attribution_not_stated' END], lambda f: f IS NOT NULL), 'string_agg', ' '),
       grade, upper, moment,
       list_concat(list_concat(fever_ids, hypotension_ids), list_concat(hypoxia_ids, CASE WHEN fever THEN [] ELSE coalesce(therapy_ids, []) END))
FROM graded WHERE episode IS NOT NULL
UNION ALL
SELECT subject_id, period, moment, 'episode', episode, NULL, NULL, NULL, NULL, moment, [] FROM graded WHERE episode IS NOT NULL
