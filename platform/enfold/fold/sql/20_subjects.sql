-- Who is in the study, when treatment began, and how far each subject has come.

CREATE TABLE study_product AS
SELECT * FROM e_infusion WHERE role IN ('study_product', 'placebo') AND from_at IS NOT NULL;

CREATE TABLE conditioning_doses AS
SELECT * FROM e_infusion WHERE role = 'lymphodepletion' AND from_at IS NOT NULL;

-- A single administration opens a period; a dosing interval (it has a frequency) continues one.
CREATE TABLE opened AS
SELECT *, row_number() OVER w = 1 OR frequency IS NULL AS opens
FROM study_product
WINDOW w AS (PARTITION BY subject_id ORDER BY from_at, fact_id);

CREATE TABLE numbered AS
SELECT *, CAST(sum(CASE WHEN opens THEN 1 ELSE 0 END) OVER w AS BIGINT) AS period
FROM opened
WINDOW w AS (PARTITION BY subject_id ORDER BY from_at, fact_id ROWS UNBOUNDED PRECEDING);

CREATE TABLE period_starts AS
SELECT subject_id, period,
       first(from_at ORDER BY from_at, fact_id) AS starts_at,
       first(from_date ORDER BY from_at, fact_id) AS starts_date,
       first(product ORDER BY from_at, fact_id) AS product,
       first(dose ORDER BY from_at, fact_id) AS dose,
       first(unit ORDER BY from_at, fact_id) AS unit,
       list_sort(list_distinct(flatten(list(event_ids)))) AS event_ids
FROM numbered
GROUP BY subject_id, period;

CREATE TABLE periods AS
SELECT s.subject_id, p.period, p.starts_at, p.starts_date,
       lead(p.starts_at) OVER w AS ends_at,
       coalesce(c.from_at, p.starts_at) AS efficacy_anchor_at,
       CASE WHEN c.from_at IS NULL THEN p.starts_date ELSE c.date END AS efficacy_anchor_date,
       p.starts_at AS safety_anchor_at,
       p.product, p.dose, p.unit,
       list_sort(list_distinct(p.event_ids || coalesce(c.event_ids, []))) AS event_ids
FROM period_starts p
JOIN (SELECT DISTINCT subject_id FROM period_starts) s USING (subject_id)
LEFT JOIN (
    -- lymphodepletion belongs to the first infusion that follows it
    SELECT d.subject_id, q.period, min(d.from_at) AS from_at, min(d.from_date) AS date,
           flatten(list(d.event_ids)) AS event_ids
    FROM conditioning_doses d
    ASOF JOIN period_starts q ON d.subject_id = q.subject_id AND d.from_at <= q.starts_at
    GROUP BY d.subject_id, q.period
) c USING (subject_id, period)
WINDOW w AS (PARTITION BY s.subject_id ORDER BY p.period);

CREATE TABLE contacts AS
SELECT subject_id, max(date) AS date FROM (
    SELECT subject_id, from_date AS date FROM e_assessment WHERE NOT coalesce(not_done, false)
    UNION ALL SELECT subject_id, from_date FROM e_visit WHERE status = 'held'
    UNION ALL SELECT subject_id, from_date FROM e_infusion
    UNION ALL SELECT subject_id, from_date FROM e_procedure
    UNION ALL SELECT subject_id, from_date FROM e_disposition WHERE milestone <> 'other'
) GROUP BY subject_id;

CREATE TABLE enrolled AS
SELECT * FROM e_enrolment
QUALIFY row_number() OVER (PARTITION BY subject_id ORDER BY from_at NULLS LAST, fact_id) = 1;

CREATE TABLE ends AS
SELECT subject_id,
       min(from_date) FILTER (milestone = 'death') AS death_date,
       min(cause ORDER BY from_at, fact_id) FILTER (milestone = 'death') AS death_cause,
       bool_or(milestone = 'death') AS died,
       bool_or(milestone = 'screen_failure') AS screen_failed,
       bool_or(milestone = 'completed') AS completed,
       bool_or(milestone IN ('discontinued', 'withdrawal_of_consent', 'lost_to_follow_up')) AS discontinued,
       min(from_date) FILTER (milestone IN ('discontinued', 'withdrawal_of_consent', 'lost_to_follow_up'))
           AS discontinued_date,
       flatten(list(event_ids)) AS event_ids
FROM e_disposition WHERE milestone NOT IN ('last_contact', 'protocol_milestone', 'other')
GROUP BY subject_id;

SELECT a.subject_id,
       e.site, e.country, e.sex, e.race, e.ethnicity,
       b.date AS birth_date,
       CASE WHEN b.date IS NOT NULL AND p.starts_date IS NOT NULL
                THEN completed_years(b.date, p.starts_date)
            WHEN b.date IS NOT NULL AND e.from_date IS NOT NULL
                THEN completed_years(b.date, e.from_date)
            ELSE e.age_years END AS age_years,
       CASE WHEN b.date IS NOT NULL AND p.starts_date IS NOT NULL THEN 'birth_date_at_infusion'
            WHEN b.date IS NOT NULL AND e.from_date IS NOT NULL THEN 'birth_date_at_consent'
            WHEN e.age_years IS NOT NULL THEN 'collected' END AS age_basis,
       e.developmental_delay, e.arm, e.cohort, e.dose_level, e.conditioning,
       e.from_date AS consent_date,
       CASE WHEN p.efficacy_anchor_at < p.starts_at THEN p.efficacy_anchor_at END AS conditioning_start_at,
       CASE WHEN p.efficacy_anchor_at < p.starts_at THEN p.efficacy_anchor_date END AS conditioning_start_date,
       p.starts_at AS infusion_at, p.starts_date AS infusion_date,
       l.date AS last_infusion_date,
       c.date AS last_contact_date,
       d.death_date, d.death_cause,
       CASE WHEN d.died THEN 'died' WHEN d.discontinued THEN 'discontinued'
            WHEN d.completed THEN 'completed' WHEN p.starts_at IS NOT NULL THEN 'infused'
            WHEN d.screen_failed THEN 'screen_failure' ELSE 'enrolled' END AS status,
       d.discontinued_date,
       list_sort(list_distinct(coalesce(e.event_ids, []) || coalesce(p.event_ids, [])
                               || coalesce(d.event_ids, []))) AS event_ids
FROM all_subjects a
LEFT JOIN enrolled e USING (subject_id)
LEFT JOIN moments b ON b.text = e.birth_date
LEFT JOIN (FROM periods WHERE period = 1) p USING (subject_id)
LEFT JOIN (SELECT i.subject_id, max(coalesce(m.date, i.from_date)) AS date
           FROM study_product i LEFT JOIN moments m ON m.text = i.ended
           GROUP BY i.subject_id) l USING (subject_id)
LEFT JOIN contacts c USING (subject_id)
LEFT JOIN ends d USING (subject_id);
