-- Planned visits with their windows, and what was held in them. The date decides the window; the
-- collected visit id is kept. A form collected outside any visit (a bedside reading) speaks for none.

CREATE TABLE windows AS
SELECT p.subject_id, p.period, v.visit_id, v.label, v.ordinal, v.target_day, v.baseline,
       p.starts_date + CAST(v.target_day AS INTEGER) AS target_date,
       p.starts_date + CAST(v.window_from AS INTEGER) AS window_from,
       p.starts_date + CAST(v.window_until AS INTEGER) AS window_until,
       p.starts_date AS day_zero
FROM (FROM periods WHERE period = 1) p CROSS JOIN planned_visits v;

CREATE TABLE forms AS
SELECT subject_id, coalesce(occasion_id, fact_id) AS occasion_id, instrument,
       min(visit_id) AS collected_visit_id,
       min(from_at) AS from_at, max(from_latest) AS until_at, max(from_date) AS date,
       list_sort(list_distinct(flatten(list(event_ids)))) AS event_ids
FROM e_assessment
WHERE instrument IS NOT NULL AND item IS NOT NULL
GROUP BY subject_id, coalesce(occasion_id, fact_id), instrument;

-- the window that holds a form's date, or an unscheduled visit of its own
CREATE TABLE placed AS
SELECT f.*, w.visit_id AS planned_visit_id, w.target_date,
       CASE WHEN f.collected_visit_id IS NULL OR f.date IS NULL THEN NULL
            WHEN w.visit_id IS NOT NULL THEN w.visit_id
            WHEN f.collected_visit_id IN (SELECT visit_id FROM planned_visits)
                THEN 'unscheduled/' || f.date
            ELSE f.collected_visit_id END AS visit_id
FROM forms f
LEFT JOIN windows w
    ON f.collected_visit_id IS NOT NULL AND w.subject_id = f.subject_id
    AND f.date >= w.window_from AND f.date < w.window_until
    -- on the day of treatment a form speaks for a visit before it only if it was early enough
    AND NOT (w.target_day <= 0 AND f.until_at > (SELECT p.starts_at FROM periods p
             WHERE p.subject_id = f.subject_id AND p.period = 1) AND f.date = w.day_zero
             AND f.collected_visit_id <> w.visit_id);

CREATE TABLE held AS
SELECT subject_id, visit_id, date, from_at, event_ids FROM placed WHERE visit_id IS NOT NULL
UNION ALL
SELECT v.subject_id,
       coalesce(w.visit_id,
                CASE WHEN v.visit_id IS NULL OR v.visit_id IN (SELECT visit_id FROM planned_visits)
                     THEN 'unscheduled/' || v.from_date ELSE v.visit_id END),
       v.from_date, v.from_at, v.event_ids
FROM e_visit v
LEFT JOIN windows w ON w.subject_id = v.subject_id
    AND v.from_date >= w.window_from AND v.from_date < w.window_until
WHERE v.status = 'held' AND v.from_date IS NOT NULL;

CREATE TABLE visit_dates AS
SELECT h.subject_id, h.visit_id,
       first(h.date ORDER BY abs(h.date - w.target_date), h.date DESC) AS date,
       first(h.from_at ORDER BY abs(h.date - w.target_date), h.date DESC, h.from_at) AS from_at,
       list_sort(list_distinct(flatten(list(h.event_ids)))) AS event_ids
FROM held h LEFT JOIN windows w USING (subject_id, visit_id)
GROUP BY h.subject_id, h.visit_id;

CREATE TABLE stated_missed AS
SELECT subject_id, visit_id, flatten(list(event_ids)) AS event_ids
FROM e_visit WHERE status = 'missed' AND visit_id IS NOT NULL GROUP BY subject_id, visit_id;

SELECT w.subject_id, w.period, w.visit_id, true AS scheduled, w.label, w.ordinal, w.target_day,
       w.window_from, w.window_until,
       CASE WHEN d.date IS NOT NULL THEN 'held'
            WHEN m.visit_id IS NOT NULL THEN 'missed'
            WHEN getvariable('cutoff') < w.window_until THEN 'not_due'
            WHEN getvariable('cutoff') IS NOT NULL THEN 'missed'
            WHEN s.last_contact_date >= w.window_until THEN 'missed'
            ELSE 'unknown' END AS status,
       d.date, d.from_at,
       study_day(d.date, w.day_zero) AS study_day, d.date - w.day_zero AS infusion_day,
       coalesce(d.event_ids, list_sort(m.event_ids), []) AS event_ids
FROM windows w
LEFT JOIN visit_dates d USING (subject_id, visit_id)
LEFT JOIN stated_missed m USING (subject_id, visit_id)
LEFT JOIN subjects s USING (subject_id)
UNION ALL
SELECT d.subject_id, CASE WHEN s.infusion_date IS NOT NULL THEN 1 END, d.visit_id, false, NULL, NULL, NULL,
       NULL, NULL, 'held', d.date, d.from_at,
       study_day(d.date, s.infusion_date), d.date - s.infusion_date, d.event_ids
FROM visit_dates d ANTI JOIN windows w USING (subject_id, visit_id)
JOIN subjects s ON s.subject_id = d.subject_id;
