-- One row per subject, planned visit and visit-grain endpoint that the study asks for: the verdict as it is, and
-- beside it the verdict after the imputation that the study file declares (empty where it declares none).
CREATE VIEW responses_by_visit AS
SELECT v.study_id, v.alias, v.subject_id, v.visit_id, p.ordinal, p.date, v.status,
       CASE WHEN a.imputation IS NULL THEN NULL
            WHEN v.status = 'not_evaluable' THEN 'not_met' ELSE v.status END AS status_imputed,
       a.imputation, a.imputation IS NOT NULL AND v.status = 'not_evaluable' AS imputed, v.reason
FROM verdicts v
JOIN asked a USING (alias)
JOIN visits p USING (study_id, subject_id, visit_id)
WHERE v.grain = 'visit' AND v.criterion = 'overall' AND p.scheduled;
