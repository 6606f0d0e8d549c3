-- One row per subject, endpoint judged at visits, criterion and visit: the verdict as it is, and the answer after the
-- imputation that the study file declares.
CREATE VIEW adrs AS
WITH judged AS (
    SELECT v.*, p.PARAMCD, p.PARAM, t.label, t.ordinal, t.date, t.study_day, t.scheduled,
           row_number() OVER (PARTITION BY v.study_id, v.subject_id
                              ORDER BY p.PARAMCD, t.date NULLS LAST, v.visit_id, v.period, v.occasion_id, v.from_at) AS place
    FROM verdicts v
    JOIN verdict_parameters p ON p.source = 'verdict' AND p.alias = v.alias AND p.part = v.criterion
    LEFT JOIN visits t USING (study_id, subject_id, visit_id)
    WHERE v.grain = 'visit'
)
SELECT v.study_id AS STUDYID, v.subject_id AS USUBJID, v.place AS ASEQ, s.TRT01P AS TRTP, s.AGE, s.SEX, s.SAFFL, s.TRTSDT,
       v.PARAMCD, v.PARAM, v.alias AS PARCAT1, v.criterion AS PARCAT2,
       coalesce(v.label, v.visit_id) AS AVISIT, v.ordinal AS AVISITN, v.visit_id AS VISITID, v.date AS ADT, v.study_day AS ADY,
       CASE v.status WHEN 'met' THEN 1::BIGINT WHEN 'not_met' THEN 0::BIGINT END AS AVAL,
       upper(replace(v.status, '_', ' ')) AS AVALC,
       CASE WHEN v.criterion = 'overall' AND v.scheduled AND a.imputation IS NOT NULL THEN
            CASE v.status WHEN 'not_evaluable' THEN 'NOT MET' ELSE upper(replace(v.status, '_', ' ')) END END AS AVALCI,
       a.imputation AS IMPUTE, v.grade AS GRADE, rtrim(left(v.reason, 200)) AS REASON,
       coalesce(n.SRCDOM, 'ADSRC') AS SRCDOM, CASE WHEN n.SRCDOM IS NULL THEN 'EVENTID' END AS SRCVAR,
       coalesce(n.SRCSEQ, v.place) AS SRCSEQ, v.event_ids
FROM judged v
JOIN adsl s ON s.STUDYID = v.study_id AND s.USUBJID = v.subject_id
LEFT JOIN asked a ON a.alias = v.alias
LEFT JOIN event_numbers n ON n.study_id = v.study_id AND n.subject_id = v.subject_id
    AND n.event_id = v.event_ids[1] AND len(v.event_ids) = 1;
