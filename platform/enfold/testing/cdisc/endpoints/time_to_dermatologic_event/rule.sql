-- Time to the first treatment-emergent dermatologic event of the CDISC pilot: reactions at the application site, any
-- erythema, and disorders of the skin but for three terms that the pilot's query leaves out.
WITH ended AS (
    SELECT subject_id, min(from_date) AS date, arg_min(event_ids, (from_date, occurrence_id)) AS ids
    FROM occurrences
    WHERE kind IN ('death', 'discontinuation') OR (kind = 'milestone' AND term = 'PROTOCOL COMPLETED')
    GROUP BY subject_id
),
dermatologic AS ( -- what begins after the end of participation is not waited for
    SELECT o.subject_id, min(o.from_date) AS date, arg_min(o.event_ids, (o.from_date, o.occurrence_id)) AS ids
    FROM occurrences o LEFT JOIN ended e USING (subject_id)
    WHERE o.kind = 'adverse_event' AND o.treatment_emergent AND o.from_date <= coalesce(e.date, o.from_date)
      AND (starts_with(o.term, 'APPLICATION SITE') OR o.term LIKE '%ERYTHEMA%'
           OR (o.body_system = 'SKIN AND SUBCUTANEOUS TISSUE DISORDERS'
               AND o.term NOT IN ('ALOPECIA', 'COLD SWEAT', 'HYPERHIDROSIS')))
    GROUP BY o.subject_id
),
dosed AS (
    SELECT subject_id, arg_min(event_ids, (from_date, exposure_id)) AS ids
    FROM exposures WHERE drug_class = 'study_product' GROUP BY subject_id
),
facts AS (
    SELECT s.subject_id, s.infusion_date AS origin, coalesce(d.date, e.date) AS date,
           CASE WHEN s.infusion_date IS NULL THEN 'not_applicable' WHEN d.date IS NOT NULL THEN 'met'
                WHEN e.date IS NOT NULL THEN 'not_met' ELSE 'not_evaluable' END AS status,
           list_concat(coalesce(x.ids, []), coalesce(d.ids, e.ids, [])) AS event_ids
    FROM subjects s
    LEFT JOIN dosed x USING (subject_id)
    LEFT JOIN dermatologic d USING (subject_id)
    LEFT JOIN ended e USING (subject_id)
)
SELECT f.subject_id, c.criterion,
       CASE WHEN c.criterion = 'time' AND f.status = 'not_met' THEN 'met' ELSE f.status END AS status,
       CASE WHEN f.status IN ('met', 'not_met') THEN f.date - f.origin END AS value_number,
       CASE WHEN f.status = 'not_met' THEN ['censored'] END AS flags,
       CASE f.status WHEN 'not_applicable' THEN 'not treated' WHEN 'not_evaluable' THEN 'still in the study'
                     WHEN 'not_met' THEN 'none up to the end of participation' END AS reason,
       CAST(CASE WHEN f.status IN ('met', 'not_met') THEN f.date ELSE (SELECT cutoff FROM cut) END + 2 AS TIMESTAMPTZ) AS known_from,
       f.event_ids
FROM facts f CROSS JOIN (VALUES ('overall'), ('time')) c(criterion)
