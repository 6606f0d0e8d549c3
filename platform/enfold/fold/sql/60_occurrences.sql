-- Adverse events, procedures, deaths and ends of participation.

CREATE TABLE happened AS
SELECT subject_id, fact_id AS occurrence_id, 'adverse_event' AS kind, term, category, body_system,
       grade, scale, severity, serious, attribution, NULL::DECIMAL(38, 9) AS flow,
       ended, outcome, occurred, from_at, from_latest, from_date, contested, event_ids
FROM e_adverse_event
UNION ALL
SELECT subject_id, fact_id, 'procedure', procedure, device, NULL, NULL, NULL, NULL, NULL, indication, flow,
       ended, NULL, occurred, from_at, from_latest, from_date, contested, event_ids
FROM e_procedure
UNION ALL
SELECT subject_id, fact_id,
       CASE milestone WHEN 'death' THEN 'death'
            WHEN 'discontinued' THEN 'discontinuation' WHEN 'withdrawal_of_consent' THEN 'discontinuation'
            WHEN 'lost_to_follow_up' THEN 'discontinuation' ELSE 'milestone' END,
       coalesce(term, milestone), cause, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
       NULL, NULL, occurred, from_at, from_latest, from_date, contested, event_ids
FROM e_disposition;

SELECT h.subject_id, CASE WHEN s.infusion_at IS NOT NULL THEN coalesce(q.period, 1) END AS period,
       h.occurrence_id, h.kind, h.term, h.category, h.body_system, h.grade, h.scale, h.severity, h.serious,
       h.attribution, h.flow, h.from_at, h.from_latest, h.from_date,
       CASE WHEN e.precision NOT IN ('year', 'month') THEN e.until_at END AS until_at,
       e.date AS until_date,
       h.outcome, study_day(h.from_date, s.infusion_date) AS start_day,
       CASE WHEN h.kind <> 'adverse_event' OR s.infusion_date IS NULL THEN NULL
            WHEN h.from_date IS NOT NULL THEN h.from_date >= s.infusion_date
            -- partial onset: whole period before treatment is before it, whole period after is after;
            -- the period that holds the infusion counts as after it, unless it ended before
            WHEN o.local_until <= s.infusion_date THEN false
            WHEN o.local_from > s.infusion_date THEN true
            WHEN e.local_until <= s.infusion_date THEN false
            ELSE true END AS treatment_emergent,
       h.contested, h.event_ids
FROM happened h
JOIN subjects s USING (subject_id)
LEFT JOIN moments o ON o.text = h.occurred
LEFT JOIN moments e ON e.text = h.ended
ASOF LEFT JOIN periods q ON q.subject_id = h.subject_id AND h.from_at >= q.starts_at;
