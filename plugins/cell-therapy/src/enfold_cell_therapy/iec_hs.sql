-- IEC-HS-like laboratory signs after each infusion. DC-33: the published thresholds are not confirmed, so nothing is
-- answered until the study states all three; then: ferritin above $ferritin_uln times the upper limit of normal, and ALT or AST
-- above $transaminase_uln times theirs, or fibrinogen below $fibrinogen_mg_dl mg/dL.
WITH
-- {infused}
labelled AS (
    SELECT DISTINCT subject_id, occasion_id FROM occasions
    WHERE instrument = 'LABORATORY' AND baseline_for IN ('safety', 'both')
),
measured AS (
    -- EC-78: what a result says of the value; one below a limit of the assay has no `low` end, an
    -- unknown one neither. 1 g/L = 100 mg/dL
    SELECT subject_id, item, occasion_id, date, until_at, event_ids, range_high,
           CASE item WHEN 'FERRITIN' THEN 'ferritin' WHEN 'FIBRINO' THEN 'fibrinogen' ELSE 'transaminase' END AS criterion,
           CASE WHEN known AND coalesce(comparator, '>=') IN ('>', '>=') THEN value_number END AS low,
           CASE WHEN known AND coalesce(comparator, '<=') IN ('<', '<=') THEN value_number END AS high,
           coalesce(comparator = '>', false) AS low_open, coalesce(comparator = '<', false) AS high_open,
           CASE item WHEN 'FIBRINO' THEN $fibrinogen_mg_dl WHEN 'FERRITIN' THEN range_high * $ferritin_uln
                     ELSE range_high * $transaminase_uln END AS bound,
           item || ' ' || CASE WHEN known THEN coalesce(comparator, '') || shown(value_number) ELSE 'unknown' END AS printed
    FROM findings
    WHERE instrument = 'LABORATORY' AND item IN ('FERRITIN', 'ALT', 'AST', 'FIBRINO') AND date IS NOT NULL
),
results AS (
    SELECT * REPLACE (printed || CASE WHEN item = 'FIBRINO' THEN ' g/L'
                                      ELSE ', upper limit of normal ' || coalesce(shown(range_high), 'unknown') END AS printed),
           CASE WHEN criterion = 'fibrinogen'
                THEN CASE WHEN high * 100 < bound OR (high * 100 = bound AND high_open) THEN true
                          WHEN low * 100 >= bound THEN false END
                WHEN low > bound OR (low = bound AND low_open) THEN true
                WHEN high <= bound THEN false END AS answer
    FROM measured
),
after AS (
    SELECT w.subject_id, w.period, r.* EXCLUDE (subject_id), r.date - w.starts_date AS day
    FROM followed w JOIN results r ON r.subject_id = w.subject_id AND r.until_at > w.starts_at
        AND (w.ends_at IS NULL OR r.until_at <= w.ends_at)
    LEFT JOIN labelled l ON l.subject_id = r.subject_id AND l.occasion_id = r.occasion_id
    WHERE l.occasion_id IS NULL OR r.date > w.starts_date
),
proven AS (
    FROM after WHERE answer
    QUALIFY row_number() OVER (PARTITION BY subject_id, period, criterion ORDER BY day, printed) = 1
),
gathered AS (
    SELECT subject_id, period, criterion, bool_or(answer IS NULL) AS open, count(DISTINCT item) AS items,
           arg_max(printed, day) AS printed,
           max(day) AS day, flatten(list(event_ids)) AS event_ids
    FROM after GROUP BY subject_id, period, criterion
),
parts AS (
    SELECT w.subject_id, w.period, c.criterion, s.stated,
           CASE WHEN NOT s.stated THEN 'not_evaluable' WHEN x.day IS NOT NULL THEN 'met'
                WHEN g.open OR coalesce(g.items, 0) < c.items THEN 'not_evaluable' ELSE 'not_met' END AS status,
           CASE WHEN NOT s.stated THEN 'definition not confirmed' WHEN x.day IS NOT NULL THEN NULL
                WHEN g.open THEN 'a result or its range does not decide'
                WHEN coalesce(g.items, 0) < c.items THEN 'not measured after infusion' END AS reason,
           CASE WHEN NOT s.stated THEN 'no thresholds stated'
                ELSE coalesce(x.printed || ' on day ' || x.day, g.printed || ' on day ' || g.day, 'no result') END AS compared,
           CASE WHEN NOT s.stated THEN w.starts_at WHEN x.day IS NOT NULL THEN CAST(x.date + 2 AS TIMESTAMPTZ)
                ELSE w.open_until END AS known_from,
           CASE WHEN s.stated THEN coalesce(x.event_ids, g.event_ids, []) ELSE [] END AS event_ids
    FROM followed w CROSS JOIN (VALUES ('ferritin', 1), ('transaminase', 2), ('fibrinogen', 1)) AS c(criterion, items)
    CROSS JOIN (SELECT least($ferritin_uln, $transaminase_uln, $fibrinogen_mg_dl) >= 0 AS stated) s
    LEFT JOIN proven x USING (subject_id, period, criterion) LEFT JOIN gathered g USING (subject_id, period, criterion)
),
combined AS (
    SELECT subject_id, period, bool_or(status = 'met' AND criterion = 'ferritin') AS high,
           bool_or(status = 'not_met' AND criterion = 'ferritin') AS not_high,
           bool_or(status = 'met' AND criterion <> 'ferritin') AS sign,
           bool_and(status = 'not_met' OR criterion = 'ferritin') AS no_sign,
           string_agg(compared, '; ' ORDER BY criterion) AS compared,
           CASE WHEN bool_and(stated) THEN string_agg(criterion || ': ' || reason, '; ' ORDER BY criterion)
                ELSE any_value(reason) END AS reason,
           CASE WHEN count(known_from) = count(*) THEN max(known_from) END AS known_from,
           flatten(list(event_ids)) AS event_ids
    FROM parts GROUP BY subject_id, period
)
SELECT subject_id, period, criterion, status, reason, compared, [] AS flags, known_from, event_ids FROM parts
UNION ALL
SELECT subject_id, period, 'overall',
       CASE WHEN high AND sign THEN 'met' WHEN not_high OR no_sign THEN 'not_met' ELSE 'not_evaluable' END,
       CASE WHEN NOT (high AND sign OR not_high OR no_sign) THEN reason END, compared,
       CASE WHEN high AND sign THEN ['adjudicate'] ELSE [] END, known_from, event_ids
FROM combined
