-- One row per laboratory result. A result that is a limit, such as <5, has no AVAL: AVALC shows it.
CREATE VIEW adlb AS
WITH based AS (
    -- of two results that both stand on the baseline form none is the baseline
    SELECT *, at_baseline AND count(*) FILTER (at_baseline) OVER w = 1 AS is_baseline,
           CASE WHEN count(*) FILTER (at_baseline) OVER w = 1 THEN max(AVAL) FILTER (at_baseline) OVER w END AS BASE,
           max(ADT) FILTER (at_baseline) OVER w AS base_date
    FROM parameter_results WHERE instrument <> 'CELL_KINETICS'
    WINDOW w AS (PARTITION BY STUDYID, USUBJID, PARAMCD)
)
SELECT STUDYID, USUBJID, ASEQ, TRTP, AGE, SEX, SAFFL, TRTSDT, PARAMCD, PARAM, PARCAT1, AVISIT, AVISITN, VISITID, ADT, ADY,
       ADTC, AVAL, AVALC, AVALU, CASE WHEN is_baseline THEN 'Y' END AS ABLFL, BASE,
       CASE WHEN ADT > base_date THEN AVAL - BASE END AS CHG, ANRLO, ANRHI,
       CASE WHEN AVAL < ANRLO THEN 'LOW' WHEN AVAL > ANRHI THEN 'HIGH'
            WHEN AVAL >= ANRLO AND AVAL <= ANRHI THEN 'NORMAL' END AS ANRIND,
       coalesce(SRCDOM, 'ADSRC') AS SRCDOM, CASE WHEN SRCDOM IS NULL THEN 'EVENTID' ELSE 'VALUE_NUMBER' END AS SRCVAR,
       coalesce(SRCSEQ, ASEQ) AS SRCSEQ, event_ids
FROM based;
