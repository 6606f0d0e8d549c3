-- One row per count of CAR-T or B cells, with the time from the first study product where both are known to the minute.
CREATE VIEW adpc AS
SELECT STUDYID, USUBJID, ASEQ, TRTP, AGE, SEX, SAFFL, TRTSDT, PARAMCD, PARAM, PARCAT1, AVISIT, AVISITN, VISITID, ADT, ADY,
       CASE WHEN until_at <= from_at + INTERVAL 1 MINUTE THEN (epoch_us(from_at) - epoch_us(infusion_at)) // 60000000 END AS AFRLT,
       CASE WHEN until_at <= from_at + INTERVAL 1 MINUTE AND infusion_at IS NOT NULL THEN 'MINUTES' END AS AFRLTU,
       ADTC, AVAL, AVALC, AVALU,
       coalesce(SRCDOM, 'ADSRC') AS SRCDOM, CASE WHEN SRCDOM IS NULL THEN 'EVENTID' ELSE 'VALUE_NUMBER' END AS SRCVAR,
       coalesce(SRCSEQ, ASEQ) AS SRCSEQ, r.event_ids
FROM parameter_results r
LEFT JOIN (SELECT study_id, subject_id, infusion_at FROM subjects) s ON s.study_id = r.STUDYID AND s.subject_id = r.USUBJID
WHERE instrument = 'CELL_KINETICS';
