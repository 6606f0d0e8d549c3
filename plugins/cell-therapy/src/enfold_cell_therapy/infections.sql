-- Serious or severe infections after each infusion, counted by the day of onset. An infection is serious or severe by its
-- serious flag, by grade $grade_from or more (severity `severe` where no grade was given), or because an intravenous
-- anti-infective or a stay in hospital for infection began while it lasted. None is denied unless somebody looked; a serious
-- or severe event without a category may be one.
WITH
-- {followed}
-- {events}
placed AS (
    -- EC-73: a partial onset counts from the first day that it allows, at the earliest the infusion's. EC-67: the latest
    -- infusion before the end of the onset's day (or minute) owns the event
    SELECT w.subject_id, w.period, w.starts_date, e.occurrence_id, e.from_date IS NULL AS partial, e.until_date, e.event_ids,
           e.category IS NULL AS unsure,
           coalesce(e.from_date, greatest(e.first_day, f.starts_date)) AS onset,
           CASE WHEN coalesce(e.serious, false) OR coalesce(e.grade >= $grade_from, false)
                     OR (e.grade IS NULL AND coalesce(e.severity = 'severe', false)) THEN true
                WHEN e.serious IS NOT NULL OR e.grade IS NOT NULL OR e.severity IS NOT NULL THEN false END AS stated
    FROM events e JOIN (FROM periods WHERE period = 1) f ON f.subject_id = e.subject_id
    JOIN followed w ON w.subject_id = e.subject_id
        AND CASE WHEN e.from_date IS NOT NULL
                 THEN e.from_latest > w.starts_at AND (w.ends_at IS NULL OR e.from_latest <= w.ends_at)
                 ELSE greatest(e.first_day, f.starts_date) >= w.starts_date
                      AND (w.next_date IS NULL OR greatest(e.first_day, f.starts_date) < w.next_date) END
    WHERE coalesce(e.category, 'infection') = 'infection' AND coalesce(e.treatment_emergent, true)
),
treated AS (
    -- the first treatment that makes an infection severe
    SELECT subject_id, occurrence_id, date, event_ids FROM (
        SELECT i.subject_id, i.occurrence_id, greatest(x.first_day_latest, i.onset) AS date, x.event_ids
        FROM placed i JOIN exposures x ON x.subject_id = i.subject_id AND x.kind = 'medication'
            AND x.drug_class = 'anti_infective' AND x.route = 'intravenous' AND x.indication = 'infection'
            AND x.first_day_latest >= i.onset AND x.first_day_earliest <= coalesce(i.until_date, x.first_day_earliest)
        UNION ALL
        SELECT i.subject_id, i.occurrence_id, h.from_date, h.event_ids
        FROM placed i JOIN occurrences h ON h.subject_id = i.subject_id AND h.kind = 'procedure' AND h.term = 'hospitalisation'
            AND h.attribution = 'infection' AND h.from_date >= i.onset AND h.from_date <= coalesce(i.until_date, h.from_date))
    QUALIFY row_number() OVER (PARTITION BY subject_id, occurrence_id ORDER BY date, event_ids) = 1
),
judged AS (
    -- `settled`: the day from which the answer cannot change; unknown while an infection may still be treated
    SELECT i.*, i.onset - i.starts_date AS day,
           CASE WHEN i.unsure THEN NULL WHEN i.stated OR t.date IS NOT NULL THEN true ELSE i.stated END AS severe,
           CASE WHEN i.stated THEN i.onset WHEN t.date IS NOT NULL THEN t.date
                ELSE greatest(i.until_date, i.onset) END AS settled,
           i.until_date IS NULL AND NOT coalesce(i.stated, false) AND t.date IS NULL AND NOT i.unsure AS unsettled,
           list_concat(i.event_ids, CASE WHEN i.stated THEN [] ELSE coalesce(t.event_ids, []) END) AS cited
    FROM placed i LEFT JOIN treated t USING (subject_id, occurrence_id)
    WHERE NOT i.unsure OR coalesce(i.stated, true)
),
windows AS (
    -- how far somebody must have looked: to the window's end, or death, or the next infusion; while it is open at the cut,
    -- to the last contact
    SELECT w.*, v.criterion, v.from_day, v.until_day, least(w.last_day, w.seen_day) >= v.from_day AS reached,
           CAST(least(v.until_day, w.last_day,
                      CASE WHEN coalesce(w.cutoff - w.starts_date < v.until_day, true) THEN w.contact_day END)
                AS INTEGER) AS look_until
    FROM followed w
    CROSS JOIN (VALUES ('days_0_28', 0, 28), ('days_29_100', 29, 100), ('after_100', 101, NULL), ('overall', 0, NULL))
        AS v(criterion, from_day, until_day)
),
reviewed AS (
    SELECT w.subject_id, w.period, w.criterion,
           (SELECT flatten(list(r.event_ids)) FROM reviews r WHERE r.subject_id = w.subject_id
            AND r.data_kind IN ('infection', 'adverse_event')
            AND r.from_date <= w.starts_date + w.look_until AND r.until_date >= w.starts_date + w.from_day) AS event_ids
    FROM windows w
    WHERE EXISTS (FROM coverage c WHERE c.subject_id = w.subject_id AND c.data_kind IN ('infection', 'adverse_event')
                  AND c.from_date <= w.starts_date + w.from_day AND c.until_date >= w.starts_date + w.look_until)
),
counted AS (
    SELECT w.subject_id, w.period, w.criterion, count(*) FILTER (j.severe) AS severe, count(*) FILTER (j.severe IS NULL) AS open,
           count(*) FILTER (NOT j.unsure) AS infections, bool_or(j.unsure) AS unsure,
           bool_or(j.unsettled) AS unsettled, max(j.settled) AS settled, bool_or(j.partial) AS partial,
           flatten(list(j.cited) FILTER (j.severe)) AS severe_ids, flatten(list(j.cited)) AS all_ids
    FROM windows w JOIN judged j ON j.subject_id = w.subject_id AND j.period = w.period AND j.day >= w.from_day
        AND (w.until_day IS NULL OR j.day <= w.until_day)
    GROUP BY w.subject_id, w.period, w.criterion
),
firsts AS (
    FROM judged WHERE severe
    QUALIFY row_number() OVER (PARTITION BY subject_id, period ORDER BY settled, onset, occurrence_id) = 1
),
answers AS (
    SELECT w.*, coalesce(n.severe, 0) AS severe, coalesce(n.open, 0) AS open, coalesce(n.infections, 0) AS infections, n.settled,
           coalesce(n.unsure, false) AS unsure,
           coalesce(n.unsettled, false) AS unsettled, coalesce(n.partial, false) AS partial, v.criterion IS NOT NULL AS looked,
           CASE WHEN n.severe > 0 THEN 'met' WHEN n.criterion IS NULL AND NOT w.reached THEN 'not_applicable'
                WHEN n.open > 0 OR v.criterion IS NULL THEN 'not_evaluable' ELSE 'not_met' END AS status,
           CASE WHEN n.severe > 0 THEN n.severe_ids
                ELSE list_concat(coalesce(n.all_ids, []), coalesce(v.event_ids, [])) END AS event_ids,
           w.starts_at + to_days(CAST(w.until_day + 2 AS INTEGER)) AS closes
    FROM windows w
    LEFT JOIN counted n USING (subject_id, period, criterion) LEFT JOIN reviewed v USING (subject_id, period, criterion)
),
rows AS (
    SELECT *, CASE WHEN status = 'not_applicable' THEN 'the window was not reached'
                   WHEN status <> 'not_evaluable' THEN NULL
                   WHEN unsure THEN 'an adverse event without a category may be an infection'
                   WHEN open > 0 THEN 'neither grade nor seriousness of an infection is known'
                   ELSE 'no review of infections or adverse events covers the window' END AS reason,
           list_concat(CASE WHEN partial THEN ['partial_onset'] ELSE [] END,
                       CASE WHEN status = 'met' AND (open > 0 OR NOT looked) THEN ['count_may_be_higher'] ELSE [] END) AS flags,
           -- a treatment may still begin after the next infusion
           CASE WHEN unsettled THEN CASE WHEN cutoff IS NOT NULL THEN greatest(CAST(cutoff + 2 AS TIMESTAMPTZ), closes) END
                WHEN until_day IS NULL
                THEN CASE WHEN open_until IS NOT NULL THEN greatest(open_until, CAST(settled + 2 AS TIMESTAMPTZ)) END
                WHEN cutoff IS NULL AND coalesce(seen_day < least(until_day, last_day), true) THEN NULL
                ELSE greatest(closes, CAST(settled + 2 AS TIMESTAMPTZ)) END AS known_from
    FROM answers
)
SELECT subject_id, period, criterion, status, CASE WHEN status IN ('met', 'not_met') THEN severe END AS value_number, reason,
       infections || ' infections, ' || severe || ' serious or severe' AS compared, flags, known_from, event_ids
FROM rows WHERE criterion <> 'overall'
UNION ALL
-- the first serious or severe infection answers for good
SELECT r.subject_id, r.period, r.criterion, r.status, NULL, r.reason,
       CASE WHEN r.status = 'met' THEN 'first serious or severe infection began on day ' || f.day
            ELSE r.infections || ' infections, none proven serious or severe' END,
       CASE WHEN f.partial THEN ['partial_onset'] WHEN r.status = 'met' THEN [] ELSE r.flags END,
       CASE WHEN r.status = 'met' THEN CAST(f.settled + 2 AS TIMESTAMPTZ) ELSE r.known_from END,
       CASE WHEN r.status = 'met' THEN f.cited ELSE r.event_ids END
FROM rows r LEFT JOIN firsts f USING (subject_id, period) WHERE r.criterion = 'overall'
