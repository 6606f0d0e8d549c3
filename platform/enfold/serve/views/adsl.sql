-- One row per subject, in ADaM's names.
CREATE VIEW adsl AS
SELECT study_id AS STUDYID, subject_id AS USUBJID, site AS SITEID, country AS COUNTRY,
       age_years AS AGE, CASE WHEN age_years IS NOT NULL THEN 'YEARS' END AS AGEU, sex AS SEX,
       arm AS ARM, cohort AS COHORT, dose_level AS DOSELVL, conditioning AS CONDIT,
       infusion_date AS TRTSDT, last_infusion_date AS TRTEDT, conditioning_start_date AS LDSDT,
       last_contact_date AS LSTALVDT, death_date AS DTHDT, status AS EOSSTT,
       CASE WHEN infusion_date IS NOT NULL THEN 'Y' ELSE 'N' END AS SAFFL
FROM subjects;
