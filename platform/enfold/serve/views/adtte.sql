-- One row per subject and time-to-event parameter: any criterion called `time`, and two whose endpoints hold the time
-- in another criterion. A verdict with the flag `censored` is censored; one without an origin to count from is left out.
CREATE VIEW adtte AS
WITH timed AS (
    SELECT v.*, p.PARAMCD, p.PARAM,
           row_number() OVER (PARTITION BY v.study_id, v.subject_id ORDER BY p.PARAMCD, v.period, v.from_at) AS place,
           list_contains(coalesce(v.flags, []), 'censored') AS censored,
           CASE WHEN v.id = 'response_course' THEN r.value_number
                WHEN coalesce(json_extract_string(u.parameters, '$.origin'), 'infusion') = 'infusion' THEN 0 END AS start_day
    FROM verdicts v
    JOIN verdict_parameters p ON p.source = 'verdict' AND p.alias = v.alias AND p.part = v.criterion
    LEFT JOIN verdicts r ON r.study_id = v.study_id AND r.subject_id = v.subject_id AND r.alias = v.alias
        AND v.id = 'response_course' AND r.criterion = 'first_response' AND r.status = 'met'
    LEFT JOIN rules u ON u.alias = v.alias AND u.criterion = v.criterion
    WHERE v.grain IN ('subject', 'period') AND v.status <> 'not_applicable'
      AND (v.criterion = 'time' OR (v.id, v.criterion) IN (('loss_of_response', 'overall'), ('response_course', 'duration')))
)
SELECT v.study_id AS STUDYID, v.subject_id AS USUBJID, v.place AS ASEQ, s.TRT01P AS TRTP, s.AGE, s.SEX, s.SAFFL, s.TRTSDT,
       v.PARAMCD, v.PARAM, v.alias AS PARCAT1, v.criterion AS PARCAT2, v.period AS PERIOD,
       v.value_number AS AVAL, CASE WHEN v.value_number IS NOT NULL THEN 'DAYS' END AS AVALU,
       CASE WHEN v.censored THEN 1::BIGINT WHEN v.value_number IS NOT NULL THEN 0::BIGINT END AS CNSR,
       s.TRTSDT + CAST(v.start_day AS INTEGER) AS STARTDT,
       s.TRTSDT + CAST(v.start_day AS INTEGER) + CAST(v.value_number AS INTEGER) AS ADT,
       coalesce(rtrim(left(v.reason, 200)), CASE WHEN v.censored THEN 'censored' WHEN v.value_number IS NOT NULL THEN 'event' END)
           AS EVNTDESC,
       coalesce(n.SRCDOM, 'ADSRC') AS SRCDOM, CASE WHEN n.SRCDOM IS NULL THEN 'EVENTID' ELSE 'OCCURRED' END AS SRCVAR,
       coalesce(n.SRCSEQ, v.place) AS SRCSEQ, v.event_ids
FROM timed v
JOIN adsl s ON s.STUDYID = v.study_id AND s.USUBJID = v.subject_id
LEFT JOIN event_numbers n ON n.study_id = v.study_id AND n.subject_id = v.subject_id
    AND n.event_id = v.event_ids[1] AND len(v.event_ids) = 1;
