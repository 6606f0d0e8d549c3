-- Doubts about landed data: raised as queries, never fixed in silence. Words hold ids and counts only.

-- known values of items with grades that cannot follow others, or be followed by them
CREATE TABLE graded AS
SELECT f.subject_id, f.finding_id, f.instrument, f.item, f.from_at, f.event_ids,
       list_contains(i.never_again, f.value_code) AS never_again
FROM findings f
JOIN items i ON i.instrument = f.instrument AND i.item = f.item
WHERE len(i.never_again) > 0 AND f.known;

SELECT subject_id, code, severity, subject_ref, rule, event_ids FROM version_doubts
UNION ALL
SELECT subject_id, 'value_outside_instrument', 'query', fact_id,
       instrument || ' ' || item || ': the value is outside the instrument or its units; it counts as unknown',
       event_ids
FROM standing WHERE doubt IN ('outside', 'no_number')
UNION ALL
SELECT subject_id, 'values_differ_at_one_instant', 'query', form_id,
       instrument || ' ' || item || ': different values at one instant of one form; rules of efficacy treat the item as unknown, rules of safety take the worse',
       event_ids
FROM clashes
UNION ALL
SELECT subject_id, 'visit_differs_from_window', 'info', occasion_id,
       'collected under visit ' || collected_visit_id || ', dated in the window of '
       || coalesce(planned_visit_id, 'no planned visit') || '; the date decides', event_ids
FROM placed
WHERE collected_visit_id IN (SELECT visit_id FROM planned_visits)
  AND visit_id IS NOT NULL AND visit_id <> collected_visit_id
UNION ALL
SELECT subject_id, 'enrolled_twice', 'query', min(fact_id),
       count(*) || ' enrolments; the earliest stands', list_sort(flatten(list(event_ids)))
FROM e_enrolment GROUP BY subject_id HAVING count(*) > 1
UNION ALL
SELECT subject_id, 'review_not_usable', 'query', fact_id,
       'the interval of the review is contested, partial or empty; it covers nothing', event_ids
FROM e_review ANTI JOIN reviews USING (subject_id, event_ids)
UNION ALL
SELECT subject_id, 'end_before_start', 'query', exposure_id, 'the course ends before it starts', event_ids
FROM exposures WHERE until_at <= from_at
UNION ALL
SELECT subject_id, 'steroid_dose_unusable', 'query', exposure_id,
       'systemic glucocorticoid without a usable substance, dose, unit or frequency; its dose is unknown',
       event_ids
FROM exposures
WHERE drug_class = 'glucocorticoid' AND prednisone_units_per_dosing_day IS NULL
  AND coalesce(route, '') NOT IN ('topical', 'inhaled', 'intranasal', 'ophthalmic', 'intra_articular')
UNION ALL
SELECT subject_id, 'end_not_stated', 'info', exposure_id,
       'neither an end nor "ongoing" was stated: whether the course is in force later is unknown', event_ids
FROM exposures
WHERE kind = 'medication' AND last_day_latest IS NULL AND NOT coalesce(ongoing, false)
  AND coalesce(role, '') <> 'prior_therapy' AND NOT contested
UNION ALL
SELECT f.subject_id, 'impossible_transition', 'query', f.finding_id,
       f.instrument || ' ' || f.item || ': a grade that cannot follow an earlier one; rules treat it as unknown',
       list_sort(list_distinct(list_concat(any_value(f.event_ids), flatten(list(e.event_ids)))))
FROM graded f
JOIN graded e ON e.subject_id = f.subject_id AND e.instrument = f.instrument AND e.item = f.item
    AND e.from_at < f.from_at AND NOT e.never_again
WHERE f.never_again
GROUP BY f.subject_id, f.finding_id, f.instrument, f.item
UNION ALL
SELECT f.subject_id, 'no_reference_range', 'query', f.finding_id,
       f.instrument || ' ' || f.item || ': no reference range of the laboratory; rules that compare with it cannot judge it',
       f.event_ids
FROM findings f JOIN items i USING (instrument, item)
WHERE i.needs_range AND f.known AND f.range_low IS NULL AND f.range_high IS NULL
UNION ALL
SELECT subject_id, 'no_age', 'query', subject_id,
       'neither a birth date nor an age: rules that depend on age (ICE or CAPD, childhood definitions) cannot choose',
       event_ids
FROM subjects WHERE age_years IS NULL AND infusion_at IS NOT NULL
UNION ALL
SELECT q.subject_id, q.code, 'query', q.event_id, q.reason, [q.event_id] FROM suite_queries q
UNION ALL
SELECT subject_id, 'no_birth_date', 'info', subject_id,
       'no full date of birth: the age is the one collected', event_ids
FROM subjects WHERE age_basis = 'collected' AND infusion_at IS NOT NULL;
