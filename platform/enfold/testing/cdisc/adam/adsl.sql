-- ADSL of the CDISC pilot, recomputed from what enfold serves of its SDTM. `tenths(n, d)` is n/d, halves up, one decimal.
WITH treated AS (FROM adsl WHERE SAFFL = 'Y'),
held AS ( -- visits under the numbers that were collected
    SELECT subject_id, TRY_CAST(visit_id AS DECIMAL(6, 2)) AS number, CAST(left(occurred, 10) AS DATE) AS date
    FROM events WHERE effective AND event_type = 'visit'
),
results AS (
    SELECT subject_id, item, visit_id, TRY_CAST(visit_id AS DECIMAL(6, 2)) AS number, value_number
    FROM findings WHERE known
),
said AS (
    SELECT subject_id,
           CAST(round(max(value_number) FILTER (item = 'HEIGHT') * 10) AS BIGINT) AS height, -- mm
           CAST(round(max(value_number) FILTER (item = 'WEIGHT' AND visit_id = '3') * 10) AS BIGINT) AS weight, -- hg
           max(value_number) FILTER (item = 'EDULEVEL') AS education,
           sum(value_number) FILTER (starts_with(item, 'MMITM')) AS mmse,
           count(*) FILTER (item = 'ACTOT' AND number > 3) > 0 AND count(*) FILTER (item = 'CIBIC' AND number > 3) > 0
               AS judged
    FROM results GROUP BY subject_id
),
onset AS (SELECT subject_id, min(date) AS date FROM findings WHERE item = 'primary_diagnosis' GROUP BY subject_id),
dosed AS ( -- a dosing interval without an end went on until the end of participation
    SELECT e.subject_id, max(coalesce(e.until_date, t.EOSDT)) AS last_day,
           CAST(sum(e.dose * (coalesce(e.until_date, t.EOSDT) - e.from_date + 1)) AS BIGINT) AS total
    FROM exposures e JOIN treated t ON t.USUBJID = e.subject_id
    WHERE e.drug_class = 'study_product' GROUP BY e.subject_id
),
ended AS (
    SELECT subject_id, any_value(term) AS term
    FROM occurrences WHERE kind IN ('discontinuation', 'death') GROUP BY subject_id
),
sites AS ( -- a site with fewer than three subjects in an arm joins the pool 900
    SELECT SITEID, min(n) < 3 OR count(*) < 3 AS pooled
    FROM (SELECT SITEID, ARM, count(*) AS n FROM treated GROUP BY SITEID, ARM) GROUP BY SITEID
),
joined AS (
    SELECT t.*, s.height, s.weight, s.education, s.mmse, s.judged, x.total, x.last_day, o.date AS onset_date, e.term,
           CAST(x.last_day - t.TRTSDT + 1 AS BIGINT) AS days,
           CASE WHEN p.pooled THEN '900' ELSE t.SITEID END AS pool,
           (SELECT min(date) FROM held WHERE subject_id = t.USUBJID AND number = 1) AS first_visit,
           (SELECT max(number) FROM held -- treatment visits have whole numbers
            WHERE subject_id = t.USUBJID AND date <= t.EOSDT AND number BETWEEN 4 AND 12 AND number % 1 = 0) AS last_visit
    FROM treated t
    JOIN said s ON s.subject_id = t.USUBJID
    JOIN dosed x ON x.subject_id = t.USUBJID
    JOIN sites p ON p.SITEID = t.SITEID
    LEFT JOIN onset o ON o.subject_id = t.USUBJID
    LEFT JOIN ended e ON e.subject_id = t.USUBJID
),
measured AS (
    SELECT *, tenths(weight * 1000000, height * height * 10) AS bmi, -- kg/m2, from the rounded values
           tenths((first_visit - onset_date + 1) * 10000, 304375) AS months -- of 30.4375 days
    FROM joined
)
SELECT STUDYID, USUBJID, SITEID, pool AS SITEGR1, ARM, TRT01P,
       CASE TRT01P WHEN 'Placebo' THEN 0 WHEN 'Xanomeline Low Dose' THEN 54 WHEN 'Xanomeline High Dose' THEN 81 END AS TRT01PN,
       TRTSDT, last_day AS TRTEDT, days AS TRTDURD, tenths(total, days) AS AVGDD, total AS CUMDOSE,
       AGE, CASE WHEN AGE < 65 THEN '<65' WHEN AGE <= 80 THEN '65-80' ELSE '>80' END AS AGEGR1,
       CASE WHEN AGE < 65 THEN 1 WHEN AGE <= 80 THEN 2 ELSE 3 END AS AGEGR1N, AGEU, SEX, RACE,
       CASE RACE WHEN 'WHITE' THEN 1 WHEN 'BLACK OR AFRICAN AMERICAN' THEN 2 WHEN 'AMERICAN INDIAN OR ALASKA NATIVE' THEN 6 END
           AS RACEN, ETHNIC, SAFFL,
       CASE WHEN ARM <> 'Screen Failure' THEN 'Y' ELSE 'N' END AS ITTFL, CASE WHEN judged THEN 'Y' ELSE 'N' END AS EFFFL,
       CASE WHEN last_visit >= 8 THEN 'Y' ELSE 'N' END AS COMP8FL, CASE WHEN last_visit >= 10 THEN 'Y' ELSE 'N' END AS COMP16FL,
       CASE WHEN last_visit >= 12 THEN 'Y' ELSE 'N' END AS COMP24FL,
       CASE WHEN EOSSTT = 'DISCONTINUED' THEN 'Y' END AS DISCONFL,
       CASE WHEN DCSREAS = 'ADVERSE EVENT' THEN 'Y' END AS DSRAEFL, DTHFL,
       bmi AS BMIBL, CASE WHEN bmi < 25 THEN '<25' WHEN bmi < 30 THEN '25-<30' WHEN bmi >= 30 THEN '>=30' END AS BMIBLGR1,
       tenths(height, 10) AS HEIGHTBL, tenths(weight, 10) AS WEIGHTBL, education AS EDUCLVL, onset_date AS DISONSDT,
       months AS DURDIS, CASE WHEN months < 12 THEN '<12' ELSE '>=12' END AS DURDSGR1, first_visit AS VISIT1DT,
       CAST(TRTSDT AS VARCHAR) AS RFSTDTC, CAST(EOSDT AS VARCHAR) AS RFENDTC, last_visit AS VISNUMEN, EOSDT AS RFENDT,
       CASE WHEN EOSSTT = 'COMPLETED' THEN 'COMPLETED' WHEN DCSREAS = 'SPONSOR DECISION' THEN 'STUDY TERMINATED BY SPONSOR'
            ELSE replace(DCSREAS, 'FOLLOW UP', 'FOLLOW-UP') END AS DCDECOD,
       EOSSTT,
       CASE DCSREAS WHEN 'ADVERSE EVENT' THEN 'Adverse Event' WHEN 'DEATH' THEN 'Death'
                    WHEN 'LACK OF EFFICACY' THEN 'Lack of Efficacy' WHEN 'LOST TO FOLLOW UP' THEN 'Lost to Follow-up'
                    WHEN 'PHYSICIAN DECISION' THEN 'Physician Decision' WHEN 'SPONSOR DECISION' THEN 'Sponsor Decision'
                    WHEN 'WITHDRAWAL BY SUBJECT' THEN 'Withdrew Consent'
                    WHEN 'PROTOCOL VIOLATION' THEN CASE WHEN term LIKE '%ENTRY CRITERIA%' THEN 'I/E Not Met'
                                                        ELSE 'Protocol Violation' END END AS DCSREAS,
       mmse AS MMSETOT
FROM measured
