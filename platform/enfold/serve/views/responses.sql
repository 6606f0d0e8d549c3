-- One row per subject and response that the study asks for: met at any planned visit, and at the last one attended.
CREATE VIEW responses AS
SELECT v.study_id, v.alias, v.subject_id,
       bool_or(v.status = 'met') AS any_visit,
       last(v.status ORDER BY p.ordinal) FILTER (p.status = 'held') AS last_visit,
       min(p.date) FILTER (v.status = 'met') AS first_met
FROM verdicts v JOIN asked a ON a.alias = v.alias AND a.met_means = 'response'
JOIN visits p USING (study_id, subject_id, visit_id)
WHERE v.grain = 'visit' AND v.criterion = 'overall' AND p.scheduled
GROUP BY v.study_id, v.alias, v.subject_id;
