-- One row per subject, measure with a number and visit: scores, doses and counts that endpoints rest on, with bounds.
CREATE VIEW adeff AS
WITH measured AS (
    SELECT d.*, p.PARAMCD, p.PARAM, t.label, t.ordinal, t.date, t.study_day, t.infusion_day,
           d.value_number IS NOT NULL AND EXISTS (
               FROM occasions o WHERE o.study_id = d.study_id AND o.subject_id = d.subject_id
                   AND o.occasion_id = d.occasion_id AND o.baseline_for IN ('efficacy', 'both')) AS at_baseline
    FROM derived d
    JOIN verdict_parameters p ON p.source = 'measure' AND p.alias = d.alias AND p.part = d.measure
    LEFT JOIN visits t USING (study_id, subject_id, visit_id)
    WHERE d.grain = 'visit' AND (d.value_number IS NOT NULL OR d.lower IS NOT NULL OR d.upper IS NOT NULL)
),
numbered AS (
    SELECT *, row_number() OVER (PARTITION BY study_id, subject_id
                                 ORDER BY PARAMCD, date NULLS LAST, visit_id, period, occasion_id, from_at) AS place,
           max(value_number) FILTER (at_baseline) OVER (PARTITION BY study_id, subject_id, PARAMCD, period) AS base,
           max(date) FILTER (at_baseline) OVER (PARTITION BY study_id, subject_id, PARAMCD, period) AS base_date
    FROM measured
)
SELECT v.study_id AS STUDYID, v.subject_id AS USUBJID, v.place AS ASEQ, s.TRT01P AS TRTP, s.AGE, s.SEX, s.SAFFL, s.TRTSDT,
       v.PARAMCD, v.PARAM, v.alias AS PARCAT1, v.measure AS PARCAT2,
       coalesce(v.label, v.visit_id) AS AVISIT, v.ordinal AS AVISITN, v.visit_id AS VISITID, v.date AS ADT, v.study_day AS ADY,
       v.value_number AS AVAL, v.lower AS LOWER, v.upper AS UPPER,
       CASE WHEN v.at_baseline THEN 'Y' END AS ABLFL, v.base AS BASE,
       CASE WHEN v.date > v.base_date THEN v.value_number - v.base END AS CHG,
       coalesce(n.SRCDOM, 'ADSRC') AS SRCDOM, CASE WHEN n.SRCDOM IS NULL THEN 'EVENTID' END AS SRCVAR,
       coalesce(n.SRCSEQ, v.place) AS SRCSEQ, v.event_ids
FROM numbered v
JOIN adsl s ON s.STUDYID = v.study_id AND s.USUBJID = v.subject_id
LEFT JOIN event_numbers n ON n.study_id = v.study_id AND n.subject_id = v.subject_id
    AND n.event_id = v.event_ids[1] AND len(v.event_ids) = 1;
