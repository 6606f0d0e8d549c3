-- What ADLB and ADPC share: each result with its parameter, as text, and with the study day and visit it speaks for.
CREATE VIEW parameter_results AS
SELECT f.study_id AS STUDYID, f.subject_id AS USUBJID,
       row_number() OVER (PARTITION BY f.study_id, f.subject_id, f.instrument = 'CELL_KINETICS'
                          ORDER BY p.PARAMCD, f.from_at NULLS LAST, f.finding_id) AS ASEQ,
       s.TRT01P AS TRTP, s.AGE, s.SEX, s.SAFFL, s.TRTSDT, p.PARAMCD, p.PARAM, f.instrument AS PARCAT1,
       coalesce(t.label, f.visit_id) AS AVISIT, t.ordinal AS AVISITN, f.visit_id AS VISITID, f.date AS ADT, f.study_day AS ADY,
       e.occurred AS ADTC,
       CASE WHEN f.comparator IS NULL THEN f.value_number END AS AVAL,
       CASE WHEN f.value_number IS NOT NULL
                THEN coalesce(f.comparator, '') || regexp_replace(CAST(f.value_number AS VARCHAR), '[.]?0+$', '')
            ELSE coalesce(f.value_code, f.value_text) END AS AVALC,
       f.unit AS AVALU, f.range_low AS ANRLO, f.range_high AS ANRHI,
       coalesce(o.baseline_for IN ('efficacy', 'both') AND f.known, false) AS at_baseline, f.period, f.instrument, f.item,
       f.from_at, f.until_at, n.SRCDOM, n.SRCSEQ, f.event_ids
FROM findings f
JOIN result_parameters p ON p.instrument = f.instrument AND p.item = f.item
    AND (p.unit IS NOT DISTINCT FROM f.unit OR (f.unit IS NULL AND p.first_unit))
JOIN adsl s ON s.STUDYID = f.study_id AND s.USUBJID = f.subject_id
LEFT JOIN occasions o ON o.study_id = f.study_id AND o.subject_id = f.subject_id AND o.occasion_id = f.occasion_id
    AND o.instrument = f.instrument
LEFT JOIN visits t ON t.study_id = f.study_id AND t.subject_id = f.subject_id AND t.visit_id = f.visit_id
LEFT JOIN event_numbers n ON n.study_id = f.study_id AND n.subject_id = f.subject_id
    AND n.event_id = f.event_ids[1] AND len(f.event_ids) = 1
LEFT JOIN (FROM events WHERE effective AND event_type = 'assessment') e ON e.study_id = f.study_id
    AND e.subject_id = f.subject_id AND e.event_id = f.event_ids[1] AND len(f.event_ids) = 1;
