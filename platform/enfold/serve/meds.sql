-- Effective events as MEDS rows: one an event, and more that restate a subject's sex, race, ethnicity and birth.
-- `code` says what was seen in which unit; a number that was collected with a comparator is text, since 0.2 is not < 0.2.
-- {type} stands for a table of effective events; each statement is asked only if there are some.

-- enrolment
SELECT *, 'ENROLMENT' AS code, NULL AS number, coalesce(arm, cohort) AS text FROM enrolment
UNION ALL BY NAME
SELECT study_id, subject_id, event_id AS restates, 'SEX//' || sex AS code FROM enrolment WHERE sex IS NOT NULL
UNION ALL BY NAME
SELECT study_id, subject_id, event_id AS restates, 'RACE//' || race AS code FROM enrolment WHERE race IS NOT NULL
UNION ALL BY NAME
SELECT study_id, subject_id, event_id AS restates, 'ETHNICITY//' || ethnicity AS code
FROM enrolment WHERE ethnicity IS NOT NULL
UNION ALL BY NAME
SELECT study_id, subject_id, event_id AS restates, birth_date AS occurred, 'MEDS_BIRTH' AS code
FROM enrolment WHERE birth_date IS NOT NULL;

-- infusion
SELECT *, concat_ws('//', 'INFUSION', role, product, unit) AS code, dose AS number, NULL AS text FROM infusion;

-- medication
SELECT *, concat_ws('//', 'MEDICATION', drug_class, substance, unit) AS code, dose AS number, NULL AS text
FROM medication;

-- procedure
SELECT *, concat_ws('//', 'PROCEDURE', "procedure", device) AS code, flow AS number, detail AS text FROM "procedure";

-- assessment
SELECT *, concat_ws('//', instrument, item, unit) AS code,
       CASE WHEN comparator IS NULL THEN value_number END AS number,
       CASE WHEN not_done THEN 'NOT DONE'
            ELSE coalesce(value_code, value_text,
                          comparator || regexp_replace(regexp_replace(value_number::VARCHAR, '0+$', ''), '[.]$', '')) END
           AS text
FROM assessment;

-- adverse_event
SELECT *, concat_ws('//', 'ADVERSE_EVENT', term) AS code, grade::DECIMAL(38, 9) AS number, severity AS text
FROM adverse_event;

-- disposition
SELECT *, CASE milestone WHEN 'death' THEN 'MEDS_DEATH' ELSE 'DISPOSITION//' || milestone END AS code,
       NULL AS number, cause AS text
FROM disposition;

-- review
SELECT *, concat_ws('//', 'REVIEW', data_kind) AS code, NULL AS number, NULL AS text FROM review;

-- visit
SELECT *, concat_ws('//', 'VISIT', status) AS code, NULL AS number, visit_id AS text FROM visit;
