-- Flare at each planned visit after infusion, and at each unscheduled one at which activity was assessed (EC-25), by three
-- published definitions against the previous visit. Any of them is a flare; none of them needs every one to be known.
--   sfi          SELENA Flare Index as the derivation `flare_index` reads it: grade 1 mild or moderate, 2 severe
--   bilag        grade 3 severe: a new A; 2 moderate: $moderate_new_b or more new B; 1 mild: one new B or $mild_new_c new C
--   sledai_rise  SLEDAI-2K up by $sledai_rise or more: grade 1; by $severe_sledai_rise or more: grade 2
WITH assessed AS (
    SELECT subject_id, visit_id FROM sledai_2k
    UNION SELECT subject_id, visit_id FROM bilag_change
    UNION SELECT subject_id, visit_id FROM pga
    UNION SELECT subject_id, visit_id FROM findings WHERE instrument = 'FLARE' AND chosen
),
asked AS (
    -- an unscheduled visit has no window that closes, so its answer is known at the cut only
    SELECT v.subject_id, v.visit_id, v.status AS held, v.date,
           CASE WHEN v.scheduled THEN CAST(v.window_until + 1 AS TIMESTAMPTZ)
                ELSE (SELECT CAST(cutoff + 2 AS TIMESTAMPTZ) FROM cut) END AS closed_at
    FROM visits v LEFT JOIN assessed a USING (subject_id, visit_id)
    WHERE (v.scheduled AND v.target_day > 0) OR (NOT v.scheduled AND v.infusion_day > 0 AND a.visit_id IS NOT NULL)
),
scores AS (
    SELECT t.subject_id, t.visit_id, v.date, t.value_number AS total, t.lower, t.upper, t.event_ids, t.known_from
    FROM sledai_2k t JOIN visits v USING (subject_id, visit_id)
    WHERE t.measure = 'total'
),
rises AS (
    -- EC-25: the previous visit, planned or not, is the last one before with a complete SLEDAI-2K
    SELECT n.subject_id, n.visit_id, n.total, p.total AS total_was, n.lower - p.total AS rise, n.upper - p.total AS rise_upper,
           n.known_from,
           list_concat(n.event_ids, coalesce(p.event_ids, [])) AS event_ids
    FROM scores n LEFT JOIN scores p ON p.subject_id = n.subject_id AND p.date < n.date AND p.total IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY n.subject_id, n.visit_id ORDER BY p.date DESC, p.visit_id) = 1
),
bilag AS (
    SELECT subject_id, visit_id,
           any_value(lower) FILTER (measure = 'new_a_previous') AS a, any_value(upper) FILTER (measure = 'new_a_previous') AS a_upper,
           any_value(lower) FILTER (measure = 'new_b_previous') AS b, any_value(upper) FILTER (measure = 'new_b_previous') AS b_upper,
           any_value(lower) FILTER (measure = 'new_c_previous') AS c, any_value(upper) FILTER (measure = 'new_c_previous') AS c_upper,
           count(value_number) = 3 AS complete,
           any_value(value_code) FILTER (measure = 'new_a_previous') AS a_domains,
           any_value(value_code) FILTER (measure = 'new_b_previous') AS b_domains,
           any_value(value_code) FILTER (measure = 'new_c_previous') AS c_domains,
           max(reason) AS reason, max(known_from) AS known_from, flatten(list(event_ids)) AS event_ids
    FROM bilag_change
    WHERE visit_id IS NOT NULL AND measure IN ('new_a_previous', 'new_b_previous', 'new_c_previous')
    GROUP BY subject_id, visit_id
),
seen AS (
    SELECT k.*, f.value_flag AS flared, f.value_code AS triggers, f.reason AS flare_reason, f.event_ids AS flare_ids,
           h.value_flag AS severe, h.value_code AS severe_triggers, h.event_ids AS severe_ids,
           b.a, b.a_upper, b.b, b.b_upper, b.c, b.c_upper, b.complete, b.a_domains, b.b_domains, b.c_domains,
           b.reason AS bilag_reason, b.event_ids AS bilag_ids,
           r.total, r.total_was, r.rise, r.rise_upper, r.event_ids AS score_ids,
           greatest(k.closed_at, f.known_from, h.known_from, b.known_from, r.known_from) AS known_from
    FROM asked k
    LEFT JOIN (FROM flare_index WHERE measure = 'any_previous') f USING (subject_id, visit_id)
    LEFT JOIN (FROM flare_index WHERE measure = 'severe_previous') h USING (subject_id, visit_id)
    LEFT JOIN bilag b USING (subject_id, visit_id)
    LEFT JOIN rises r USING (subject_id, visit_id)
),
graded AS (
    SELECT subject_id, visit_id, held, known_from, 'sfi' AS criterion,
           CASE WHEN severe THEN 2 WHEN flared THEN 1 WHEN NOT flared THEN 0 END AS grade,
           CASE WHEN coalesce(severe, true) THEN 2 WHEN coalesce(flared, true) THEN 1 ELSE 0 END AS grade_upper,
           2 AS severe_from,
           coalesce(flare_reason, 'no earlier visit with a complete SLEDAI-2K to compare with') AS open_reason,
           'triggers: ' || coalesce(triggers, 'none proven')
               || '; severe: ' || coalesce(severe_triggers, 'none proven') AS compared,
           list_concat(coalesce(flare_ids, []), CASE WHEN severe THEN severe_ids ELSE [] END) AS event_ids
    FROM seen
    UNION ALL
    -- a proven grade decides; that there is none needs all domains here and on the previous form
    SELECT subject_id, visit_id, held, known_from, 'bilag',
           CASE WHEN a > 0 THEN 3 WHEN b >= $moderate_new_b THEN 2 WHEN b > 0 OR c >= $mild_new_c THEN 1
                WHEN complete THEN 0 END,
           CASE WHEN coalesce(a_upper > 0, true) THEN 3 WHEN b_upper >= $moderate_new_b THEN 2
                WHEN b_upper > 0 OR c_upper >= $mild_new_c THEN 1 ELSE 0 END,
           3, coalesce(bilag_reason, 'BILAG-2004 at the visit is missing'),
           'new A: ' || coalesce(a_domains, 'none proven') || '; new B: ' || coalesce(b_domains, 'none proven')
               || '; new C: ' || coalesce(c_domains, 'none proven'),
           coalesce(bilag_ids, [])
    FROM seen
    UNION ALL
    SELECT subject_id, visit_id, held, known_from, 'sledai_rise',
           -- what is known may prove a rise; that there is none needs the whole form
           CASE WHEN rise >= $severe_sledai_rise THEN 2 WHEN rise >= $sledai_rise THEN 1
                WHEN total IS NOT NULL AND total_was IS NOT NULL THEN 0 END,
           CASE WHEN rise_upper < $sledai_rise THEN 0 WHEN rise_upper < $severe_sledai_rise THEN 1 ELSE 2 END,
           2, CASE WHEN total IS NULL THEN 'SLEDAI-2K at the visit is missing or incomplete'
                   ELSE 'no earlier visit with a complete SLEDAI-2K to compare with' END,
           'SLEDAI-2K ' || coalesce(shown(total_was), 'unknown') || ' at the previous visit, '
               || coalesce(shown(total), 'unknown') || ' at the visit; a rise of ' || $sledai_rise || ' is a flare',
           coalesce(score_ids, [])
    FROM seen
),
judged AS (
    SELECT subject_id, visit_id, known_from, held, criterion, compared, event_ids,
           CASE WHEN held = 'not_due' THEN 'not_applicable' ELSE verdict(grade > 0) END AS status,
           CASE WHEN held <> 'not_due' THEN grade END AS grade, CASE WHEN held <> 'not_due' THEN grade_upper END AS grade_upper,
           CASE WHEN held = 'not_due' THEN 'the visit is not due at this cut'
                WHEN held <> 'held' THEN 'the visit was not held'
                WHEN grade IS NULL THEN open_reason END AS reason,
           CASE WHEN grade >= severe_from THEN ['severe_flare'] ELSE [] END AS flags
    FROM graded
)
SELECT subject_id, 1 AS period, visit_id, criterion, status, grade, grade_upper, reason, compared, flags, known_from, event_ids
FROM judged
UNION ALL
-- any definition met decides; else an open one leaves it open. Grades of three scales have no common maximum.
SELECT subject_id, 1, visit_id, 'overall',
       CASE WHEN bool_or(status = 'met') THEN 'met' WHEN bool_or(status = 'not_evaluable') THEN 'not_evaluable'
            WHEN bool_or(status = 'not_met') THEN 'not_met' ELSE 'not_applicable' END,
       NULL, NULL,
       CASE WHEN NOT bool_or(status = 'met') THEN string_agg(criterion || ': ' || reason, '; ' ORDER BY criterion) END,
       'flare by: ' || coalesce(string_agg(CASE WHEN status = 'met' THEN criterion END, ', ' ORDER BY criterion), 'none'),
       flatten(list(flags)), max(known_from),
       CASE WHEN bool_or(status = 'met') THEN flatten(list(event_ids) FILTER (status = 'met')) ELSE flatten(list(event_ids)) END
FROM judged GROUP BY subject_id, visit_id
