-- ADAE of the CDISC pilot, recomputed from what enfold serves of its SDTM; `pilot_adsl` is adsl.sql beside this file.
WITH events_of_ae AS (
    SELECT a.*, e.source_row, -- the order of the source breaks ties within a day
           CASE WHEN length(a.AESTDTC) = 7 THEN 'D' END AS imputed, -- a month alone counts from its first day
           coalesce(a.ASTDT, TRY_CAST(CASE WHEN length(a.AESTDTC) = 7 THEN a.AESTDTC || '-01' END AS DATE)) AS started,
           (starts_with(a.AETERM, 'APPLICATION SITE') OR a.AETERM LIKE '%ERYTHEMA%'
            OR (a.AEBODSYS = 'SKIN AND SUBCUTANEOUS TISSUE DISORDERS'
                AND a.AETERM NOT IN ('ALOPECIA', 'COLD SWEAT', 'HYPERHIDROSIS'))) AS dermatologic
    FROM adae a
    JOIN events e ON e.study_id = a.STUDYID AND e.subject_id = a.USUBJID AND e.event_id = a.event_ids[1] AND e.effective
),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY USUBJID, TRTEMFL ORDER BY started NULLS FIRST, source_row) AS of_all,
           row_number() OVER (PARTITION BY USUBJID, TRTEMFL, AEBODSYS ORDER BY started NULLS FIRST, source_row) AS of_system,
           row_number() OVER (PARTITION BY USUBJID, TRTEMFL, AEBODSYS, AETERM ORDER BY started NULLS FIRST, source_row) AS of_term,
           row_number() OVER (PARTITION BY USUBJID, TRTEMFL, dermatologic ORDER BY started NULLS FIRST, source_row) AS of_query,
           row_number() OVER (PARTITION BY USUBJID, TRTEMFL, AESER ORDER BY started NULLS FIRST, source_row) AS of_serious,
           row_number() OVER (PARTITION BY USUBJID, TRTEMFL, AESER, AEBODSYS ORDER BY started NULLS FIRST, source_row)
               AS of_serious_system,
           row_number() OVER (PARTITION BY USUBJID, TRTEMFL, AESER, AEBODSYS, AETERM ORDER BY started NULLS FIRST, source_row)
               AS of_serious_term
    FROM events_of_ae
)
SELECT r.source_row, r.STUDYID, s.SITEID, r.USUBJID, s.AGE, s.AGEGR1, s.AGEGR1N, s.SEX, s.RACE, s.RACEN, s.SAFFL, s.TRTSDT, s.TRTEDT,
       r.started AS ASTDT, r.imputed AS ASTDTF,
       r.started - s.TRTSDT + CASE WHEN r.started >= s.TRTSDT THEN 1 ELSE 0 END AS ASTDY, r.AENDT, r.AENDY,
       CASE WHEN r.imputed IS NULL THEN r.ADURN END AS ADURN, CASE WHEN r.imputed IS NULL AND r.ADURN IS NOT NULL THEN 'DAY' END AS ADURU,
       r.AETERM AS AEDECOD, r.AEBODSYS, r.AESEV, r.AESER, r.AEREL, r.AEOUT,
       CASE WHEN r.TRTEMFL = 'Y' THEN 'Y' END AS TRTEMFL,
       CASE WHEN r.TRTEMFL = 'Y' AND of_all = 1 THEN 'Y' END AS AOCCFL,
       CASE WHEN r.TRTEMFL = 'Y' AND of_system = 1 THEN 'Y' END AS AOCCSFL,
       CASE WHEN r.TRTEMFL = 'Y' AND of_term = 1 THEN 'Y' END AS AOCCPFL,
       CASE WHEN r.TRTEMFL = 'Y' AND r.AESER = 'Y' AND of_serious = 1 THEN 'Y' END AS AOCC02FL,
       CASE WHEN r.TRTEMFL = 'Y' AND r.AESER = 'Y' AND of_serious_system = 1 THEN 'Y' END AS AOCC03FL,
       CASE WHEN r.TRTEMFL = 'Y' AND r.AESER = 'Y' AND of_serious_term = 1 THEN 'Y' END AS AOCC04FL,
       CASE WHEN dermatologic THEN 'DERMATOLOGIC EVENTS' END AS CQ01NAM,
       CASE WHEN r.TRTEMFL = 'Y' AND dermatologic AND of_query = 1 THEN 'Y' END AS AOCC01FL
FROM ranked r
JOIN pilot_adsl s USING (USUBJID)
