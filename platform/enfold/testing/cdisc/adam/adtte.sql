-- ADTTE of the CDISC pilot: time to the first treatment-emergent dermatologic event, else to the end of participation.
SELECT s.STUDYID, s.SITEID, s.USUBJID, s.AGE, s.AGEGR1, s.AGEGR1N, s.SEX, s.TRTSDT, s.TRTEDT, s.TRTDURD AS TRTDUR,
       s.TRT01P AS TRTP, 'Time to First Dermatologic Event' AS PARAM, 'TTDE' AS PARAMCD,
       coalesce(e.ASTDT, s.RFENDT) - s.TRTSDT + 1 AS AVAL, s.TRTSDT AS STARTDT, coalesce(e.ASTDT, s.RFENDT) AS ADT,
       CASE WHEN e.ASTDT IS NULL THEN 1 ELSE 0 END AS CNSR,
       CASE WHEN e.ASTDT IS NULL THEN 'Study Completion Date' ELSE 'Dematologic Event Occured' END AS EVNTDESC, -- as printed
       CASE WHEN e.ASTDT IS NULL THEN 'ADSL' ELSE 'ADAE' END AS SRCDOM,
       CASE WHEN e.ASTDT IS NULL THEN 'RFENDT' ELSE 'ASTDT' END AS SRCVAR, s.SAFFL
FROM pilot_adsl s
LEFT JOIN (FROM pilot_adae WHERE AOCC01FL = 'Y') e USING (USUBJID)
