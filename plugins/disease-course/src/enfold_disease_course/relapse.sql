-- Relapse: after the first LLDAS or DORIS at a planned visit, the earliest of
--   sledai_rise    SLEDAI-2K $sledai_rise or more above the nadir, with a clinical item that was absent there;
--   flare          SLEDAI-2K $flare_rise or more, or PGA $pga_rise or more, above the previous visit, or a flare manifestation;
--   re_treatment   a glucocorticoid above 0 mg started or raised, or an immunosuppressant or biologic
--                  started, for SLE.
--   bilag_flare    one new BILAG A, or $new_b new B, against the previous visit.
-- Death is a competing event, B-cell return is nothing of the kind. "None" needs reviews of glucocorticoids and
-- background medication from the response to the last visit; else it is not known.
WITH responses AS (
    SELECT e.subject_id, v.date, e.known_from, e.event_ids
    FROM (SELECT subject_id, visit_id, known_from, event_ids FROM lldas WHERE criterion = 'overall' AND status = 'met'
          UNION ALL
          SELECT subject_id, visit_id, known_from, event_ids FROM doris WHERE criterion = 'overall' AND status = 'met') e
    JOIN visits v USING (subject_id, visit_id) WHERE v.scheduled
),
first_response AS (
    SELECT subject_id, min(date) AS date, first(event_ids ORDER BY date) AS event_ids FROM responses GROUP BY subject_id
),
scores AS (
    SELECT t.subject_id, t.visit_id, t.occasion_id, v.date, t.value_number AS total, t.event_ids, t.known_from,
           lag(t.value_number) OVER w AS previous_total, lag(t.event_ids) OVER w AS previous_ids
    FROM sledai_2k t JOIN visits v USING (subject_id, visit_id)
    WHERE t.measure = 'total' AND t.visit_id IS NOT NULL AND t.value_number IS NOT NULL
    WINDOW w AS (PARTITION BY t.subject_id ORDER BY v.date)
),
after AS (
    SELECT s.*, r.date AS response_date FROM scores s JOIN first_response r USING (subject_id) WHERE s.date > r.date
),
nadirs AS (
    -- lowest total up to the visit before, since infusion; of equal ones the latest
    SELECT a.subject_id, a.visit_id, n.occasion_id, n.total, n.event_ids
    FROM after a JOIN subjects u ON u.subject_id = a.subject_id
    JOIN scores n ON n.subject_id = a.subject_id AND n.date < a.date AND n.date > u.infusion_date
    QUALIFY row_number() OVER (PARTITION BY a.subject_id, a.visit_id ORDER BY n.total, n.date DESC) = 1
),
new_clinical AS (
    SELECT n.subject_id, n.visit_id, bool_or(i.value_flag AND NOT j.value_flag) AS any_new
    FROM nadirs n
    JOIN sledai_items i ON i.subject_id = n.subject_id AND i.visit_id = n.visit_id
    JOIN sledai_items j ON j.subject_id = n.subject_id AND j.occasion_id = n.occasion_id AND j.measure = i.measure
    JOIN instrument_items m ON m.item = i.measure AND m.instrument = 'SLEDAI2K' AND m.clinical
    GROUP BY n.subject_id, n.visit_id
),
pgas AS (
    SELECT g.subject_id, v.date, g.value_number AS pga, lag(g.value_number) OVER w AS previous,
           g.event_ids, g.known_from
    FROM pga g JOIN visits v USING (subject_id, visit_id) WHERE g.value_number IS NOT NULL
    WINDOW w AS (PARTITION BY g.subject_id ORDER BY v.date)
),
grades AS (
    SELECT f.subject_id, f.item, v.date, f.value_code AS grade, f.event_ids, f.until_at,
           lag(f.value_code) OVER w AS previous, lag(f.event_ids) OVER w AS previous_ids
    FROM findings f JOIN visits v USING (subject_id, visit_id)
    WHERE f.instrument = 'BILAG2004' AND f.chosen AND f.known
    WINDOW w AS (PARTITION BY f.subject_id, f.item ORDER BY v.date)
),
bilag_flares AS (
    SELECT subject_id, date, max(until_at) AS known_from, list_concat(flatten(list(event_ids)), flatten(list(previous_ids))) AS event_ids
    FROM grades WHERE (grade = 'A' AND previous <> 'A') OR (grade = 'B' AND previous IN ('C', 'D', 'E'))
    GROUP BY subject_id, date
    HAVING count(*) FILTER (grade = 'A') > 0 OR count(*) FILTER (grade = 'B') >= $new_b
),
hits AS (
    SELECT b.subject_id, b.date, 'bilag_flare' AS criterion, b.known_from, b.event_ids
    FROM bilag_flares b JOIN first_response r USING (subject_id) WHERE b.date > r.date
    UNION ALL
    SELECT a.subject_id, a.date, 'sledai_rise' AS criterion, a.known_from,
           list_concat(a.event_ids, n.event_ids) AS event_ids
    FROM after a JOIN nadirs n USING (subject_id, visit_id) JOIN new_clinical c USING (subject_id, visit_id)
    WHERE a.total - n.total >= $sledai_rise AND c.any_new
    UNION ALL
    SELECT subject_id, date, 'flare', known_from, list_concat(event_ids, previous_ids)
    FROM after WHERE total - previous_total >= $flare_rise
    UNION ALL
    SELECT p.subject_id, p.date, 'flare', p.known_from, p.event_ids
    FROM pgas p JOIN first_response r USING (subject_id) WHERE p.date > r.date AND p.pga - p.previous >= $pga_rise
    UNION ALL
    SELECT f.subject_id, v.date, 'flare', f.until_at, f.event_ids
    FROM findings f JOIN visits v USING (subject_id, visit_id) JOIN first_response r USING (subject_id)
    WHERE f.instrument = 'FLARE' AND f.chosen AND f.known AND f.value_code = 'present'
      AND coalesce(f.attribution, 'disease') <> 'not_disease' AND v.date > r.date
    UNION ALL
    SELECT e.subject_id, e.from_date, 're_treatment', e.from_latest, e.event_ids
    FROM exposures e JOIN first_response r USING (subject_id)
    WHERE e.kind = 'medication' AND e.from_date > r.date AND coalesce(e.indication, 'other') = 'sle'
      AND (e.drug_class IN ('immunosuppressant', 'biologic')
           OR (e.drug_class = 'glucocorticoid' AND e.prednisone_units_per_dosing_day > coalesce((
               SELECT max(p.prednisone_units_per_dosing_day) FROM exposures p
               WHERE p.subject_id = e.subject_id AND p.drug_class = 'glucocorticoid' AND p.exposure_id <> e.exposure_id
                 AND p.from_date < e.from_date AND coalesce(p.until_date, DATE '9999-12-31') >= e.from_date - 1), 0)))
),
firsts AS (
    SELECT subject_id, criterion, min(date) AS date, first(known_from ORDER BY date) AS known_from,
           first(event_ids ORDER BY date, event_ids) AS event_ids
    FROM hits GROUP BY subject_id, criterion
),
relapsed AS (
    SELECT subject_id, min(date) AS date, max(known_from) AS known_from, flatten(list(event_ids)) AS event_ids
    FROM firsts GROUP BY subject_id
),
watched AS (
    SELECT r.subject_id, count(DISTINCT c.data_kind) AS kinds
    FROM first_response r
    JOIN (SELECT subject_id, max(date) AS date FROM visits WHERE scheduled GROUP BY subject_id) l USING (subject_id)
    JOIN coverage c ON c.subject_id = r.subject_id AND c.data_kind IN ('glucocorticoid', 'background_medication')
        AND c.from_date <= r.date AND c.until_date >= l.date
    GROUP BY r.subject_id
),
answers AS (
    SELECT w.kinds = 2 AS watched, s.subject_id, s.infusion_date, r.date AS response_date, r.event_ids AS response_ids,
           x.date AS relapse_date, x.known_from, x.event_ids, s.last_contact_date
    FROM subjects s
    LEFT JOIN first_response r USING (subject_id)
    LEFT JOIN relapsed x USING (subject_id)
    LEFT JOIN watched w USING (subject_id)
)
SELECT subject_id, 'overall' AS criterion,
       CASE WHEN relapse_date IS NOT NULL THEN 'met' WHEN response_date IS NULL THEN 'not_applicable'
            WHEN watched THEN 'not_met' ELSE 'not_evaluable' END AS status,
       relapse_date - infusion_date AS value_number,
       CASE WHEN response_date IS NULL THEN 'no LLDAS or DORIS at a planned visit to relapse from'
            WHEN relapse_date IS NOT NULL THEN NULL WHEN watched THEN 'none up to the last planned visit attended'
            ELSE 'no review of medication covers the time from response to the last visit' END AS reason,
       -- an earlier response or relapse may still be entered: known only at the cut
       (SELECT CAST(cutoff + 2 AS TIMESTAMPTZ) FROM cut) AS known_from,
       list_concat(coalesce(event_ids, []), coalesce(response_ids, [])) AS event_ids
FROM answers
UNION ALL
SELECT f.subject_id, f.criterion, 'met', f.date - s.infusion_date, NULL, (SELECT CAST(cutoff + 2 AS TIMESTAMPTZ) FROM cut), f.event_ids
FROM firsts f JOIN subjects s USING (subject_id)
