-- New A, B and C grades, against the efficacy baseline (`new_a`, `new_b`, as SRI asks) and against the
-- previous form (`…_previous`, as flares ask). A new A comes from B to E, a new B from C to E, a new C from
-- D or E; A to B is improvement. A domain unknown on either side widens the upper bound; so does E after
-- any earlier A to D, which cannot be.
WITH standing AS (
    -- of several records of a domain on one form the last with a value stands
    SELECT * FROM findings WHERE instrument = 'BILAG2004' AND known
    QUALIFY row_number() OVER (PARTITION BY subject_id, occasion_id, item ORDER BY from_at DESC, finding_id) = 1
),
grades AS (
    SELECT o.subject_id, o.occasion_id, o.visit_id, o.chosen, o.baseline_for, o.from_at, o.until_at, i.item AS domain,
           -- the form's day, though a record of it may name the month only; without a day, when its month or year is over
           coalesce(o.date, CAST(o.until_at AS DATE)) AS day, f.value_code AS grade, coalesce(f.event_ids, []) AS event_ids
    FROM (FROM occasions WHERE instrument = 'BILAG2004') o
    CROSS JOIN (FROM instrument_items WHERE instrument = 'BILAG2004') i
    LEFT JOIN standing f ON f.subject_id = o.subject_id AND f.occasion_id = o.occasion_id AND f.item = i.item
),
affected AS (
    SELECT *, bool_or(grade <> 'E') OVER earlier AS ever,
           coalesce(flatten(list(event_ids) FILTER (grade <> 'E') OVER earlier), []) AS ever_ids,
           max(until_at) FILTER (grade <> 'E') OVER earlier AS ever_until
    FROM grades
    WINDOW earlier AS (PARTITION BY subject_id, domain ORDER BY day, from_at, occasion_id ROWS UNBOUNDED PRECEDING)
),
sequence AS (
    SELECT *, CASE WHEN grade = 'E' AND ever THEN NULL ELSE grade END AS usable,
           list_concat(event_ids, CASE WHEN grade = 'E' THEN ever_ids ELSE [] END) AS used_ids,
           -- an earlier form that counts may have a record without a day, and end later than this one
           greatest(until_at, CASE WHEN grade = 'E' THEN ever_until END) AS known_from
    FROM affected
),
spoken AS (
    -- forms that speak for a visit, in time order; the previous one, whatever it leaves out
    SELECT *, lag(usable) OVER w AS previous, lag(used_ids) OVER w AS previous_ids,
           lag(known_from) OVER w AS previous_from
    FROM sequence WHERE chosen OR baseline_for IS NOT NULL
    WINDOW w AS (PARTITION BY subject_id, domain ORDER BY day, from_at, occasion_id)
),
paired AS (
    SELECT v.subject_id, v.occasion_id, v.visit_id, v.chosen, v.domain, v.usable AS grade, '' AS suffix,
           b.usable AS reference, greatest(v.known_from, b.known_from) AS known_from,
           list_concat(v.used_ids, coalesce(b.used_ids, [])) AS event_ids
    FROM sequence v
    LEFT JOIN (FROM sequence WHERE baseline_for IN ('efficacy', 'both')) b USING (subject_id, domain)
    UNION ALL
    SELECT subject_id, occasion_id, visit_id, chosen, domain, usable, '_previous',
           previous, greatest(known_from, previous_from), list_concat(used_ids, coalesce(previous_ids, []))
    FROM spoken
),
long AS (
    SELECT p.*, n.grade || p.suffix AS measure,
           CASE WHEN p.grade IS NULL THEN NULL
                WHEN p.grade <> n.letter THEN false
                WHEN p.reference IS NULL THEN NULL
                ELSE list_contains(n.from_grades, p.reference) END AS hit
    FROM paired p CROSS JOIN (
        VALUES ('new_a', 'A', ['B', 'C', 'D', 'E']), ('new_b', 'B', ['C', 'D', 'E']), ('new_c', 'C', ['D', 'E'])
    ) n(grade, letter, from_grades)
),
anchored AS (
    -- treatment decides which forms are baseline and what visit a form speaks for; it may still come until the cut
    SELECT s.subject_id, coalesce(greatest(p.starts_at, CAST(p.starts_date + 2 AS TIMESTAMPTZ)),
                                  (SELECT CAST(cutoff + 2 AS TIMESTAMPTZ) FROM cut)) AS anchored_at
    FROM (SELECT DISTINCT subject_id FROM grades) s
    LEFT JOIN (FROM periods WHERE period = 1) p USING (subject_id)
)
SELECT subject_id, 1 AS period, CASE WHEN chosen THEN visit_id END AS visit_id, occasion_id, measure,
       CASE WHEN bool_and(hit IS NOT NULL) THEN count(*) FILTER (hit) END AS value_number,
       count(*) FILTER (hit) AS lower,
       count(*) FILTER (coalesce(hit, true)) AS upper,
       string_agg(CASE WHEN hit THEN domain END, ', ' ORDER BY domain) AS value_code,
       string_agg(CASE WHEN hit IS NULL THEN domain END, ', ' ORDER BY domain)
           || ': grade unknown or impossible here or at the reference' AS reason,
       CASE WHEN any_value(anchored_at) IS NOT NULL THEN greatest(max(known_from), any_value(anchored_at)) END AS known_from,
       flatten(list(event_ids)) AS event_ids
FROM long JOIN anchored USING (subject_id)
GROUP BY subject_id, chosen, visit_id, occasion_id, measure
