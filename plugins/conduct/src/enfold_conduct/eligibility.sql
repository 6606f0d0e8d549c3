-- Eligibility as the protocol states it: enough prior therapies with inadequate response, age, and a baseline
-- that is recent when treatment starts.
WITH failed_before AS (
    -- distinct substances, never a count as collected
    SELECT subject_id, count(DISTINCT substance) AS therapies, flatten(list(event_ids)) AS event_ids
    FROM exposures WHERE role = 'prior_therapy' AND outcome = 'inadequate_response' AND NOT contested
    GROUP BY subject_id
),
looked AS (
    SELECT subject_id, flatten(list(event_ids)) AS event_ids FROM reviews WHERE data_kind = 'prior_therapy' GROUP BY subject_id
),
screened AS (
    SELECT o.subject_id, max(o.date) AS date, flatten(list(o.event_ids)) AS event_ids
    FROM occasions o WHERE o.instrument = 'SLEDAI2K' AND o.baseline_for IN ('efficacy', 'both') GROUP BY o.subject_id
),
seen AS (
    SELECT s.subject_id, s.age_years, s.event_ids AS subject_ids, coalesce(s.conditioning_start_date, s.infusion_date) AS treated,
           coalesce(f.therapies, 0) AS therapies, coalesce(f.event_ids, []) AS therapy_ids, l.event_ids AS review_ids,
           b.date AS screened, coalesce(b.event_ids, []) AS screening_ids,
           (SELECT CAST(cutoff + 2 AS TIMESTAMPTZ) FROM cut) AS known_from
    FROM subjects s
    LEFT JOIN failed_before f USING (subject_id) LEFT JOIN looked l USING (subject_id) LEFT JOIN screened b USING (subject_id)
),
clauses AS (
    SELECT subject_id, known_from, 'prior_therapies' AS criterion,
           CASE WHEN therapies >= $min_prior_therapies THEN 'met' WHEN review_ids IS NOT NULL THEN 'not_met' ELSE 'not_evaluable' END AS status,
           CASE WHEN therapies < $min_prior_therapies AND review_ids IS NULL THEN 'no review of prior therapies' END AS reason,
           'prior therapies with inadequate response: ' || therapies || ', at least ' || $min_prior_therapies AS compared,
           [] AS flags, list_concat(therapy_ids, coalesce(review_ids, [])) AS event_ids
    FROM seen
    UNION ALL
    SELECT subject_id, known_from, 'age', verdict(age_years BETWEEN $min_age AND $max_age),
           CASE WHEN age_years IS NULL THEN 'the age is unknown' END,
           'completed years: ' || coalesce(CAST(age_years AS VARCHAR), 'unknown') || ', ' || $min_age || ' to ' || $max_age, [], subject_ids
    FROM seen
    UNION ALL
    SELECT subject_id, known_from, 'screening_within',
           CASE WHEN treated IS NULL THEN 'not_applicable' ELSE verdict(treated - screened <= $screening_days) END,
           CASE WHEN treated IS NULL THEN 'not treated' WHEN screened IS NULL THEN 'no baseline SLEDAI-2K' END,
           'days from baseline to treatment: ' || coalesce(CAST(treated - screened AS VARCHAR), 'unknown') || ', at most ' || $screening_days,
           CASE WHEN treated - screened > $screening_days THEN ['repeat_screening'] ELSE [] END, list_concat(screening_ids, subject_ids)
    FROM seen
)
SELECT subject_id, criterion, status, reason, compared, flags, known_from, event_ids FROM clauses
UNION ALL
SELECT subject_id, 'overall', all_met(list(status)),
       string_agg(CASE WHEN status <> 'met' THEN criterion || ': ' || coalesce(reason, status) END, '; ' ORDER BY criterion),
       NULL, flatten(list(flags)), max(known_from), flatten(list(event_ids))
FROM clauses GROUP BY subject_id
