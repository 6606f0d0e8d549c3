-- One row per adverse event, in ADaM's names. TRTEMFL is empty where it cannot be told.
CREATE VIEW adae AS
WITH reported AS (
    SELECT *, coalesce(treatment_emergent, false) AS emergent,
           row_number() OVER (PARTITION BY study_id, subject_id ORDER BY from_at NULLS LAST, occurrence_id) AS place
    FROM occurrences WHERE kind = 'adverse_event'
),
flagged AS (
    SELECT *, emergent AND row_number() OVER (
                   PARTITION BY study_id, subject_id, emergent ORDER BY from_date NULLS LAST, place) = 1 AS first_of_all,
           emergent AND row_number() OVER (
                   PARTITION BY study_id, subject_id, body_system, emergent
                   ORDER BY from_date NULLS LAST, place) = 1 AS first_of_system,
           emergent AND row_number() OVER (
                   PARTITION BY study_id, subject_id, body_system, term, emergent
                   ORDER BY from_date NULLS LAST, place) = 1 AS first_of_term
    FROM reported
)
SELECT o.study_id AS STUDYID, o.subject_id AS USUBJID, o.place AS ASEQ, o.occurrence_id AS AEID, s.TRT01P AS TRTP,
       s.ARM, s.AGE, s.SEX, s.SAFFL, s.TRTSDT, s.TRTEDT, o.term AS AETERM, o.body_system AS AEBODSYS, o.category AS AECAT,
       e.occurred AS AESTDTC, o.from_date AS ASTDT, o.start_day AS ASTDY, o.until_date AS AENDT,
       CAST(o.until_date - s.TRTSDT + CASE WHEN o.until_date >= s.TRTSDT THEN 1 ELSE 0 END AS BIGINT) AS AENDY,
       CAST(o.until_date - o.from_date + 1 AS BIGINT) AS ADURN,
       CASE WHEN o.until_date IS NOT NULL AND o.from_date IS NOT NULL THEN 'DAYS' END AS ADURU,
       upper(o.severity) AS AESEV, o.grade AS AETOXGR, o.scale AS AETOXSCL,
       CASE o.serious WHEN true THEN 'Y' WHEN false THEN 'N' END AS AESER,
       upper(replace(o.attribution, '_', ' ')) AS AEREL,
       CASE o.outcome WHEN 'recovered' THEN 'RECOVERED/RESOLVED' WHEN 'recovering' THEN 'RECOVERING/RESOLVING'
                      WHEN 'not_recovered' THEN 'NOT RECOVERED/NOT RESOLVED'
                      WHEN 'recovered_with_sequelae' THEN 'RECOVERED/RESOLVED WITH SEQUELAE'
                      ELSE upper(o.outcome) END AS AEOUT,
       CASE o.treatment_emergent WHEN true THEN 'Y' WHEN false THEN 'N' END AS TRTEMFL,
       CASE WHEN o.first_of_all THEN 'Y' END AS AOCCFL, CASE WHEN o.first_of_system THEN 'Y' END AS AOCCSFL,
       CASE WHEN o.first_of_term THEN 'Y' END AS AOCCPFL,
       coalesce(n.SRCDOM, 'ADSRC') AS SRCDOM, CASE WHEN n.SRCDOM IS NULL THEN 'EVENTID' ELSE 'OCCURRED' END AS SRCVAR,
       coalesce(n.SRCSEQ, o.place) AS SRCSEQ, o.event_ids
FROM flagged o
JOIN adsl s ON s.STUDYID = o.study_id AND s.USUBJID = o.subject_id
LEFT JOIN event_numbers n ON n.study_id = o.study_id AND n.subject_id = o.subject_id
    AND n.event_id = o.event_ids[1] AND len(o.event_ids) = 1
LEFT JOIN (FROM events WHERE effective) e ON e.study_id = o.study_id AND e.subject_id = o.subject_id
    AND e.event_id = o.event_ids[1] AND len(o.event_ids) = 1;
