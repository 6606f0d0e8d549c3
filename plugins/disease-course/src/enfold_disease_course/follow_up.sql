-- Days from the infusion to the last day on which the subject is known to have been seen, or to death.
SELECT subject_id, 'overall' AS criterion,
       CASE WHEN infusion_date IS NULL THEN 'not_applicable' ELSE 'met' END AS status,
       coalesce(death_date, last_contact_date) - infusion_date AS value_number,
       CASE WHEN infusion_date IS NULL THEN 'not infused' END AS reason,
       CAST(coalesce(death_date, last_contact_date) + 2 AS TIMESTAMPTZ) AS known_from,
       event_ids
FROM subjects
