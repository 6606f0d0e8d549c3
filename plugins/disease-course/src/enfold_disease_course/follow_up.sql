-- Days from the infusion to the last day on which the subject is known to have been seen, or to death.
SELECT subject_id, 'overall' AS criterion,
       CASE WHEN infusion_date IS NULL THEN 'not_applicable' ELSE 'met' END AS status,
       coalesce(death_date, last_contact_date) - infusion_date AS value_number,
       CASE WHEN infusion_date IS NULL THEN 'not infused' END AS reason,
       -- later contact would lengthen it: known only at the cut
       (SELECT CAST(cutoff + 2 AS TIMESTAMPTZ) FROM cut) AS known_from,
       event_ids
FROM subjects
