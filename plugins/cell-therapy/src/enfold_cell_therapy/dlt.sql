-- Dose-limiting toxicity by the rules that the study file declares ([[dose_limiting]]): one criterion a rule. Every question
-- of a rule has three answers; an event is dose-limiting if all are yes, and leaves the rule open if none is no.
WITH
-- {followed}
-- {events}
asked AS (
    SELECT w.*, r.id AS criterion, r.source, r.category, r.grade_from, r.within_days, r.longer_than_days,
           coalesce(r.except_categories, []) AS except_categories, coalesce(r.except_attributions, []) AS except_attributions,
           CAST(least(r.within_days, w.last_day) AS INTEGER) AS end_day,
           w.starts_at + to_days(CAST(r.within_days + 2 AS INTEGER)) AS closes,
           w.seen_day >= least(r.within_days, w.last_day) AS complete
    FROM followed w CROSS JOIN protocol_dose_limiting r
),
dated AS (
    SELECT a.*, e.occurrence_id, e.event_ids, e.category AS event_category, e.attribution,
           CASE WHEN e.scale IS DISTINCT FROM 'severity' THEN e.grade END AS grade,
           e.first_day, e.final_day, e.outcome,
           coalesce(e.until_date, CASE WHEN e.outcome = 'fatal' THEN a.death_date END) AS until_date,
           -- EC-67, EC-82: after this infusion and before the next, within the window; a partial date may not tell
           CASE WHEN e.from_date IS NOT NULL
                THEN e.from_latest > a.starts_at AND (a.ends_at IS NULL OR e.from_latest <= a.ends_at)
                     AND e.from_date - a.starts_date <= a.within_days
                WHEN NOT coalesce(e.treatment_emergent, true) OR e.final_day < a.starts_date
                     OR e.first_day > a.starts_date + CAST(a.within_days AS INTEGER) OR e.first_day >= a.next_date THEN false
                WHEN e.first_day > a.starts_date AND e.final_day <= a.starts_date + CAST(a.within_days AS INTEGER)
                     AND (a.next_date IS NULL OR e.final_day < a.next_date) THEN true END AS inside
    FROM asked a
    JOIN (SELECT *, coalesce(from_date, CAST(first_day + CASE part WHEN 'year' THEN INTERVAL 1 YEAR ELSE INTERVAL 1 MONTH END
                                             - INTERVAL 1 DAY AS DATE)) AS final_day FROM events) e ON e.subject_id = a.subject_id
    WHERE a.source = 'adverse_event' AND a.starts_date IS NOT NULL
),
lasting AS (
    -- an event without an end goes on to the cut, unless its outcome says that it ended
    SELECT *, until_date IS NULL AND coalesce(outcome NOT IN ('recovered', 'recovered_with_sequelae', 'fatal'), true) AS ongoing,
           CASE WHEN longer_than_days IS NULL THEN true
                WHEN until_date IS NOT NULL THEN CASE WHEN until_date - final_day > longer_than_days THEN true
                                                      WHEN until_date - first_day <= longer_than_days THEN false END
                WHEN coalesce(outcome NOT IN ('recovered', 'recovered_with_sequelae', 'fatal'), true)
                     AND seen_day - (final_day - starts_date) > longer_than_days THEN true END AS longer
    FROM dated
),
candidates AS (
    SELECT *, inside AND longer AND grade >= grade_from
              AND CASE WHEN category IS NULL THEN true ELSE event_category = category END
              AND CASE WHEN len(except_categories) = 0 THEN true ELSE NOT list_contains(except_categories, event_category) END
              -- not stated counts, unless the rule excepts `unknown` by name
              AND NOT list_contains(except_attributions, coalesce(attribution, 'unknown')) AS limiting,
           -- the day from which the event is surely dose-limiting; of an event that goes on, the day it has lasted long enough
           CASE WHEN ongoing AND longer_than_days IS NOT NULL THEN final_day + CAST(longer_than_days + 1 AS INTEGER)
                ELSE final_day END AS settled
    FROM lasting
),
proven AS (
    FROM candidates WHERE limiting
    QUALIFY row_number() OVER (PARTITION BY subject_id, period, criterion ORDER BY settled, first_day, occurrence_id) = 1
),
open AS (
    SELECT subject_id, period, criterion, bool_or(ongoing AND longer_than_days IS NOT NULL AND longer IS NULL) AS unsettled,
           max(settled) AS settled,
           CASE WHEN bool_or(inside IS NULL) THEN 'the onset of an adverse event is only partly dated'
                WHEN bool_or(grade IS NULL) THEN 'the grade of an adverse event is not known'
                WHEN bool_or(longer IS NULL) THEN 'how long an adverse event lasted is not known'
                ELSE 'the category of an adverse event is not known' END AS reason,
           count(*) AS events, flatten(list(event_ids)) AS event_ids
    FROM candidates WHERE limiting IS NULL GROUP BY subject_id, period, criterion
),
reviewed AS (
    SELECT a.subject_id, a.period, a.criterion,
           (SELECT flatten(list(r.event_ids)) FROM reviews r WHERE r.subject_id = a.subject_id
            AND (r.data_kind = 'adverse_event' OR r.data_kind = a.category)
            AND r.from_date <= a.starts_date + a.end_day AND r.until_date >= a.starts_date) AS event_ids
    FROM asked a
    WHERE EXISTS (FROM coverage c WHERE c.subject_id = a.subject_id
                  AND (c.data_kind = 'adverse_event' OR c.data_kind = a.category)
                  AND c.from_date <= a.starts_date AND c.until_date >= a.starts_date + a.end_day)
),
by_event AS (
    SELECT a.*, p.occurrence_id AS limiting_event, p.grade, p.first_day - p.starts_date AS day,
           coalesce(p.settled, o.settled) AS settled, o.reason AS open_reason, o.events,
           coalesce(o.unsettled, false) AS unsettled,
           CASE WHEN p.criterion IS NOT NULL THEN 'met'
                WHEN o.criterion IS NOT NULL OR v.criterion IS NULL OR NOT a.complete THEN 'not_evaluable'
                ELSE 'not_met' END AS status,
           len(a.except_attributions) > 0 AND p.criterion IS NOT NULL
               AND coalesce(p.attribution, 'unknown') = 'unknown' AS unattributed,
           CASE WHEN p.criterion IS NOT NULL THEN p.event_ids
                ELSE list_concat(coalesce(o.event_ids, []), coalesce(v.event_ids, [])) END AS event_ids
    FROM (FROM asked WHERE source = 'adverse_event') a
    LEFT JOIN proven p USING (subject_id, period, criterion) LEFT JOIN open o USING (subject_id, period, criterion)
    LEFT JOIN reviewed v USING (subject_id, period, criterion)
),
graded AS (
    SELECT *, 'crs' AS source FROM crs UNION ALL BY NAME SELECT *, 'icans' AS source FROM icans
),
syndromes AS (
    -- times of the worst episode, where the plugin that graded it gives them
    SELECT subject_id, period, source, any_value(grade) FILTER (criterion = 'overall') AS grade,
           any_value(coalesce(grade_upper, grade)) FILTER (criterion = 'overall') AS upper,
           max(known_from) FILTER (criterion = 'overall') AS known_from,
           flatten(list(event_ids) FILTER (criterion = 'overall')) AS event_ids,
           any_value(value_number) FILTER (criterion = 'onset_hours') AS onset_hours,
           any_value(value_number) FILTER (criterion = 'peak_hours') AS peak_hours,
           any_value(value_number) FILTER (criterion = 'duration_days') AS days,
           bool_or(criterion IN ('resolved', 'return_hours') AND status = 'met') AS resolved
    FROM graded GROUP BY subject_id, period, source
),
by_syndrome AS (
    SELECT a.*, s.grade, s.upper, s.event_ids, s.known_from,
           CASE WHEN s.grade >= a.grade_from THEN true WHEN s.upper < a.grade_from THEN false END AS reaches,
           CASE WHEN s.onset_hours >= (a.within_days + 1) * 24 THEN false
                WHEN s.peak_hours IS NULL OR s.peak_hours < (a.within_days + 1) * 24 THEN true END AS inside,
           CASE WHEN a.longer_than_days IS NULL THEN true WHEN s.days - 1 > a.longer_than_days THEN true
                WHEN s.resolved AND s.days IS NOT NULL THEN false END AS longer
    FROM (FROM asked WHERE source <> 'adverse_event') a JOIN syndromes s USING (subject_id, period, source)
),
answers AS (
    SELECT subject_id, period, criterion, status,
           CASE WHEN status <> 'not_evaluable' THEN NULL WHEN open_reason IS NOT NULL THEN open_reason
                WHEN starts_date IS NULL THEN 'the day of the infusion is not known'
                WHEN NOT complete THEN 'the window is still open'
                ELSE 'no review of adverse events covers the window' END AS reason,
           CASE WHEN limiting_event IS NOT NULL THEN 'grade ' || grade || ', begun on day ' || day
                ELSE coalesce(events, 0) || ' events that might be dose-limiting' END
               || '; grade ' || grade_from || ' or more within ' || within_days || ' days'
               || coalesce(', longer than ' || longer_than_days || ' days', '') AS compared,
           CASE WHEN unattributed THEN ['attribution_not_stated'] ELSE [] END AS flags,
           CASE WHEN status = 'met' THEN CAST(settled + 2 AS TIMESTAMPTZ)
                -- how long an event lasts may show after the next infusion
                WHEN unsettled THEN CASE WHEN cutoff IS NOT NULL THEN greatest(closes, CAST(cutoff + 2 AS TIMESTAMPTZ)) END
                WHEN cutoff IS NOT NULL OR complete THEN greatest(closes, CAST(settled + 2 AS TIMESTAMPTZ)) END AS known_from,
           event_ids
    FROM by_event
    UNION ALL
    SELECT subject_id, period, criterion, verdict(reaches AND inside AND longer),
           CASE WHEN (reaches AND inside AND longer) IS NOT NULL THEN NULL
                WHEN reaches IS NULL THEN 'the grade of ' || upper(source) || ' may be lower or higher than the rule asks'
                WHEN inside IS NULL THEN 'the worst episode lies after the window'
                ELSE 'how long the worst episode lasted is not known' END,
           upper(source) || ' grade ' || coalesce(CAST(grade AS VARCHAR), 'unknown') || ', at most '
               || coalesce(CAST(upper AS VARCHAR), 'unknown')
               || '; grade ' || grade_from || ' or more within ' || within_days || ' days'
               || coalesce(', longer than ' || longer_than_days || ' days', ''),
           [], known_from, coalesce(event_ids, [])
    FROM by_syndrome
)
FROM answers
UNION ALL
SELECT w.subject_id, w.period, 'overall',
       CASE WHEN count(a.criterion) = 0 THEN 'not_applicable' WHEN bool_or(a.status = 'met') THEN 'met'
            WHEN bool_or(a.status = 'not_evaluable') THEN 'not_evaluable' ELSE 'not_met' END,
       CASE WHEN count(a.criterion) = 0 THEN 'the protocol declares no dose-limiting toxicity'
            WHEN NOT bool_or(a.status = 'met')
            THEN string_agg(a.criterion || ': ' || a.reason, '; ' ORDER BY a.criterion) FILTER (a.status = 'not_evaluable') END,
       coalesce(string_agg(a.criterion, ', ' ORDER BY a.criterion) FILTER (a.status = 'met'), 'none proven'),
       coalesce(flatten(list(a.flags)), []),
       CASE WHEN count(a.criterion) = 0 THEN any_value(w.starts_at)
            WHEN count(a.known_from) = count(a.criterion) THEN max(a.known_from) END,
       coalesce(CASE WHEN bool_or(a.status = 'met') THEN flatten(list(a.event_ids) FILTER (a.status = 'met'))
                     ELSE flatten(list(a.event_ids)) END, [])
FROM followed w LEFT JOIN answers a USING (subject_id, period) GROUP BY w.subject_id, w.period
