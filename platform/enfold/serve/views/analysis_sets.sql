-- One row per subject and analysis set: whether it belongs to it at this cut, and why not or why that is unknown.
-- Which endpoints decide stands in `analysis_set_rules`, from the study file.
CREATE VIEW analysis_sets AS
WITH people AS (
    SELECT s.study_id, s.subject_id, s.status, s.consent_date IS NOT NULL AS consented, p.subject_id IS NOT NULL AS infused,
           s.status IN ('completed', 'discontinued', 'died') AS over
    FROM subjects s
    LEFT JOIN (SELECT DISTINCT study_id, subject_id FROM periods) p USING (study_id, subject_id)
),
judged AS (
    -- of the endpoints that decide: could one be judged, and may one still be?
    SELECT r.set, v.study_id, v.subject_id, bool_or(v.status IN ('met', 'not_met')) AS evaluable,
           bool_or(v.status = 'not_applicable') AS awaited
    FROM verdicts v
    JOIN analysis_set_rules r USING (alias)
    LEFT JOIN visits p USING (study_id, subject_id, visit_id)
    WHERE v.criterion = 'overall' AND coalesce(v.period, 1) = 1 AND (v.grain <> 'visit' OR p.scheduled)
    GROUP BY r.set, v.study_id, v.subject_id
),
decided AS (
    SELECT p.*, n.set, n.asked, coalesce(j.evaluable, false) AS evaluable, coalesce(j.awaited, false) AS awaited
    FROM people p
    CROSS JOIN (SELECT set, bool_or(alias IS NOT NULL) AS asked
                FROM (VALUES ('efficacy_evaluable'), ('dlt_evaluable'), ('pk')) s(set)
                LEFT JOIN analysis_set_rules USING (set) GROUP BY set) n
    LEFT JOIN judged j USING (set, study_id, subject_id)
)
SELECT study_id, subject_id, 'enrolled' AS set,
       CASE WHEN status = 'screen_failure' THEN 'no' WHEN consented OR infused THEN 'yes' ELSE 'unknown' END AS included,
       CASE WHEN status = 'screen_failure' THEN 'screen failure'
            WHEN NOT (consented OR infused) THEN 'the date of consent is not known' END AS reason
FROM people
UNION ALL
SELECT study_id, subject_id, 'infused', CASE WHEN infused THEN 'yes' ELSE 'no' END,
       CASE WHEN NOT infused THEN 'no study product given by this cut' END
FROM people
UNION ALL
SELECT study_id, subject_id, set,
       CASE WHEN NOT infused THEN 'no' WHEN NOT asked THEN 'unknown' WHEN evaluable THEN 'yes'
            WHEN over OR (set = 'efficacy_evaluable' AND NOT awaited) THEN 'no' ELSE 'unknown' END,
       CASE WHEN NOT infused THEN 'no study product given by this cut'
            WHEN NOT asked THEN 'the study asks for no endpoint that decides it'
            WHEN evaluable THEN NULL
            WHEN over THEN 'nothing that decides it could be judged before the end of participation'
            WHEN set = 'efficacy_evaluable' AND NOT awaited THEN 'no response could be judged at any planned visit'
            ELSE 'nothing that decides it could be judged by this cut' END
FROM decided;
COMMENT ON VIEW analysis_sets IS 'One row per subject and analysis set: included yes, no or unknown, and why.';
