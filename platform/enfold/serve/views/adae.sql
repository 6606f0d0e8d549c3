-- One row per adverse event, in ADaM's names. TRTEMFL is empty where it cannot be told.
CREATE VIEW adae AS
SELECT o.study_id AS STUDYID, o.subject_id AS USUBJID, o.occurrence_id AS AEID, o.term AS AETERM,
       o.body_system AS AEBODSYS, upper(o.severity) AS AESEV, o.grade AS AETOXGR, o.scale AS AETOXSCL,
       CASE o.serious WHEN true THEN 'Y' WHEN false THEN 'N' END AS AESER,
       o.from_date AS ASTDT, o.until_date AS AENDT, o.start_day AS ASTDY,
       CASE o.treatment_emergent WHEN true THEN 'Y' WHEN false THEN 'N' END AS TRTEMFL,
       o.attribution AS AEREL, s.arm AS ARM, s.infusion_date AS TRTSDT, o.event_ids
FROM occurrences o JOIN subjects s USING (study_id, subject_id)
WHERE o.kind = 'adverse_event';
