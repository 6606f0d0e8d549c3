-- One row per subject, in ADaM's names; schemas/adam/adsl.toml says what each column is.
CREATE VIEW adsl AS
WITH ended AS ( -- the last disposition that a subject's status rests on
    SELECT s.study_id, s.subject_id, max(CAST(left(e.occurred, 10) AS DATE)) AS date
    FROM (SELECT study_id, subject_id, unnest(event_ids) AS event_id FROM subjects) s
    JOIN events e ON e.study_id = s.study_id AND e.subject_id = s.subject_id AND e.event_id = s.event_id
    WHERE e.effective AND e.event_type = 'disposition' AND regexp_matches(e.occurred, '^[0-9]{4}-[0-9]{2}-[0-9]{2}')
    GROUP BY ALL
),
left_for AS (
    SELECT study_id, subject_id, min_by(category, (from_at, occurrence_id)) AS cause
    FROM occurrences WHERE kind = 'discontinuation' GROUP BY ALL
)
SELECT s.study_id AS STUDYID, s.subject_id AS USUBJID, s.subject_id AS SUBJID, s.site AS SITEID, s.country AS COUNTRY,
       s.age_years AS AGE, CASE WHEN s.age_years IS NOT NULL THEN 'YEARS' END AS AGEU, s.age_basis AS AGEBASIS,
       s.sex AS SEX, s.race AS RACE, s.ethnicity AS ETHNIC, s.arm AS ARM, s.arm AS TRT01P, s.cohort AS COHORT,
       s.dose_level AS DOSELVL, s.conditioning AS CONDIT, s.consent_date AS ENRLDT, s.conditioning_start_date AS LDSDT,
       s.infusion_date AS TRTSDT, s.last_infusion_date AS TRTEDT,
       CAST(s.last_infusion_date - s.infusion_date + 1 AS BIGINT) AS TRTDURD,
       CASE WHEN s.status = 'died' THEN least(s.last_contact_date, s.death_date) ELSE s.last_contact_date END AS LSTALVDT,
       s.death_date AS DTHDT, CASE WHEN s.status = 'died' THEN 'Y' END AS DTHFL,
       CASE s.status WHEN 'completed' THEN 'COMPLETED' WHEN 'discontinued' THEN 'DISCONTINUED' WHEN 'died' THEN 'DISCONTINUED'
                     WHEN 'screen_failure' THEN NULL ELSE 'ONGOING' END AS EOSSTT,
       CASE s.status WHEN 'died' THEN s.death_date WHEN 'discontinued' THEN s.discontinued_date
                     WHEN 'completed' THEN d.date END AS EOSDT,
       CASE WHEN s.status IN ('died', 'discontinued') THEN coalesce(upper(replace(l.cause, '_', ' ')),
                     CASE WHEN s.status = 'died' THEN 'DEATH' END) END AS DCSREAS,
       CASE WHEN s.infusion_date IS NOT NULL THEN 'Y' ELSE 'N' END AS SAFFL,
       a.ENRLFL, a.EFFFL, a.DLTFL, a.PKFL,
       s.event_ids
FROM subjects s
LEFT JOIN (
    SELECT study_id, subject_id, max(flag) FILTER (set = 'enrolled') AS ENRLFL,
           max(flag) FILTER (set = 'efficacy_evaluable') AS EFFFL, max(flag) FILTER (set = 'dlt_evaluable') AS DLTFL,
           max(flag) FILTER (set = 'pk') AS PKFL
    FROM (SELECT *, CASE included WHEN 'yes' THEN 'Y' WHEN 'no' THEN 'N' END AS flag FROM analysis_sets)
    GROUP BY study_id, subject_id
) a USING (study_id, subject_id)
LEFT JOIN ended d USING (study_id, subject_id)
LEFT JOIN left_for l USING (study_id, subject_id);
