-- ADTTE of the CDISC pilot from the view `adtte`, in the pilot's words: the pilot counts the day of origin as day 1.
SELECT s.STUDYID, s.SITEID, s.USUBJID, s.AGE, s.AGEGR1, s.AGEGR1N, s.SEX, s.RACE, s.RACEN, s.TRTSDT, s.TRTEDT, s.TRTDURD AS TRTDUR,
       t.TRTP, 'Time to First Dermatologic Event' AS PARAM, 'TTDE' AS PARAMCD, t.AVAL + 1 AS AVAL, t.STARTDT, t.ADT, t.CNSR,
       CASE t.CNSR WHEN 0 THEN 'Dematologic Event Occured' ELSE 'Study Completion Date' END AS EVNTDESC, -- as printed
       CASE t.CNSR WHEN 0 THEN 'ADAE' ELSE 'ADSL' END AS SRCDOM, CASE t.CNSR WHEN 0 THEN 'ASTDT' ELSE 'RFENDT' END AS SRCVAR,
       s.SAFFL
FROM adtte t
JOIN pilot_adsl s USING (USUBJID)
WHERE t.PARCAT1 = 'time_to_dermatologic_event'
