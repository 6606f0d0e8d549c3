-- Conduct at each infusion: immunosuppressants and biologics washed out, dose within its level.
WITH washing AS (
    -- courses that may be in force on one of the $washout_days days before the infusion date
    SELECT p.subject_id, p.period,
           bool_or(e.first_day_latest < p.starts_date AND NOT e.contested
                   AND coalesce(e.last_day_earliest, CASE WHEN e.ongoing THEN DATE '9999-12-31' ELSE e.first_day_latest END)
                       >= p.starts_date - CAST($washout_days AS INTEGER)) AS proven,
           flatten(list(e.event_ids)) AS event_ids
    FROM periods p JOIN exposures e ON e.subject_id = p.subject_id AND e.kind = 'medication'
        AND (e.drug_class IN ('immunosuppressant', 'biologic') OR (e.drug_class = 'glucocorticoid' AND NOT $glucocorticoid_exempt))
        AND coalesce(e.role NOT IN ('toxicity_treatment', 'prior_therapy'), true)
        AND e.first_day_earliest < p.starts_date
        AND coalesce(e.last_day_latest, DATE '9999-12-31') >= p.starts_date - CAST($washout_days AS INTEGER)
    GROUP BY p.subject_id, p.period
),
looked AS (
    -- covered without a gap; cited are the reviews that bear on the washout, not all that touch them
    SELECT p.subject_id, p.period,
           (SELECT flatten(list(r.event_ids)) FROM reviews r WHERE r.subject_id = p.subject_id
            AND r.data_kind = 'background_medication' AND r.from_date < p.starts_date
            AND r.until_date >= p.starts_date - CAST($washout_days AS INTEGER)) AS event_ids
    FROM periods p JOIN coverage c ON c.subject_id = p.subject_id AND c.data_kind = 'background_medication'
        AND c.from_date <= p.starts_date - CAST($washout_days AS INTEGER) AND c.until_date >= p.starts_date - 1
),
continued AS (
    -- a dosing interval that began later belongs to the period, and decides nothing about its first dose
    SELECT p.subject_id, p.period, flatten(list(e.event_ids)) AS event_ids
    FROM periods p JOIN exposures e ON e.subject_id = p.subject_id AND e.kind <> 'medication' AND e.from_at > p.starts_at
    GROUP BY p.subject_id, p.period
),
seen AS (
    SELECT p.* EXCLUDE (event_ids), s.dose_level, l.dose AS planned, l.unit AS planned_unit,
           (SELECT list(e.event_id ORDER BY e.event_id) FROM events e WHERE e.subject_id = p.subject_id
            AND e.event_type = 'enrolment' AND e.effective) AS enrolment_ids,
           w.subject_id IS NOT NULL AS suspected, w.proven, w.event_ids AS drug_ids, r.event_ids AS review_ids,
           CAST(p.starts_date + 2 AS TIMESTAMPTZ) AS known_from,
           list_filter(p.event_ids, lambda i: NOT list_contains(coalesce(c.event_ids, []), i)) AS event_ids
    FROM periods p JOIN subjects s USING (subject_id)
    LEFT JOIN protocol_dose_levels l USING (dose_level)
    LEFT JOIN washing w USING (subject_id, period) LEFT JOIN looked r USING (subject_id, period)
    LEFT JOIN continued c USING (subject_id, period)
),
clauses AS (
    SELECT subject_id, period, known_from, 'washout' AS criterion,
           CASE WHEN proven THEN 'not_met' WHEN suspected OR review_ids IS NULL THEN 'not_evaluable' ELSE 'met' END AS status,
           CASE WHEN proven THEN 'an immunosuppressant or biologic was in force in the washout'
                WHEN suspected THEN 'a course whose dates are not certain may reach into the washout'
                WHEN review_ids IS NULL THEN 'no review of background medication covers the washout' END AS reason,
           'days of washout: ' || $washout_days AS compared,
           list_concat(coalesce(drug_ids, []), coalesce(review_ids, [])) AS event_ids
    FROM seen
    UNION ALL
    SELECT subject_id, period, known_from, 'dose_within_level',
           -- 100 x difference against tolerance x plan: nothing is divided
           CASE WHEN unit = planned_unit THEN verdict(abs(dose - planned) * 100 <= planned * $dose_tolerance_percent) ELSE 'not_evaluable' END,
           CASE WHEN dose_level IS NULL THEN 'no dose level was assigned' WHEN planned IS NULL THEN 'the study file gives the level no dose'
                WHEN dose IS NULL THEN 'the dose infused is unknown' WHEN unit IS DISTINCT FROM planned_unit THEN 'dose and level have different units' END,
           'dose ' || coalesce(shown(dose), 'unknown') || ', level ' || coalesce(shown(planned), 'unknown') || ', tolerance '
               || $dose_tolerance_percent || ' %', list_concat(event_ids, coalesce(enrolment_ids, []))
    FROM seen
)
SELECT subject_id, period, criterion, status, reason, compared, known_from, event_ids FROM clauses
UNION ALL
SELECT subject_id, period, 'overall', all_met(list(status)),
       string_agg(CASE WHEN status <> 'met' THEN criterion || ': ' || coalesce(reason, status) END, '; ' ORDER BY criterion),
       NULL, max(known_from), flatten(list(event_ids))
FROM clauses GROUP BY subject_id, period
