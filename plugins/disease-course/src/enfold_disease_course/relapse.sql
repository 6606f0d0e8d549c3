-- Relapse: after the first LLDAS (childhood form below $adult_age years at infusion) or DORIS at a planned visit, the earliest of
--   flare         SELENA Flare Index against the previous visit, mild, moderate or severe
--   sledai_rise   SLEDAI-2K $sledai_rise or more above the nadir, with a clinical item that was absent there (DC-23)
--   bilag_flare   one new BILAG A, or $new_b new B, against the previous form
--   re_treatment  for SLE: a glucocorticoid started or raised, an immunosuppressant or biologic that is new, any rescue
--                 (DC-24, EC-81: at its own date, with or without a SLEDAI)
--   reinfusion    a second treatment with the study product (EC-87); where it is no relapse, follow-up ends there
-- Each trigger is yes, no or unknown, and the answer is their three-valued OR. Death competes; B-cell return is never read.
WITH re_infused AS (
    SELECT p.subject_id, min(p.starts_date) AS date, first(p.event_ids ORDER BY p.starts_date, p.period) AS event_ids
    FROM periods p JOIN subjects s USING (subject_id)
    WHERE p.starts_date > s.infusion_date + CAST($split_dose_days AS INTEGER)
    GROUP BY p.subject_id
),
people AS (
    SELECT s.*, x.date AS reinfusion_date, x.event_ids AS reinfusion_ids,
           coalesce(x.date, DATE '9999-12-31') AS horizon,
           -- an age that is not known is read as a child's: the stricter form
           CASE WHEN $lldas_variant = 'adult' OR s.age_years >= $adult_age THEN 'lldas' ELSE 'clldas' END AS variant
    FROM subjects s LEFT JOIN re_infused x USING (subject_id)
    WHERE s.infusion_date IS NOT NULL
),
targets AS (
    SELECT p.subject_id, v.date, t.target, t.status, t.event_ids
    FROM (SELECT 'lldas' AS target, subject_id, visit_id, status, event_ids FROM lldas WHERE criterion = 'overall'
          UNION ALL SELECT 'clldas', subject_id, visit_id, status, event_ids FROM clldas WHERE criterion = 'overall'
          UNION ALL SELECT 'doris', subject_id, visit_id, status, event_ids FROM doris WHERE criterion = 'overall') t
    JOIN people p ON p.subject_id = t.subject_id AND t.target IN (p.variant, 'doris')
    JOIN visits v ON v.subject_id = t.subject_id AND v.visit_id = t.visit_id AND v.scheduled
    WHERE v.date IS NULL OR v.date <= p.horizon
),
first_response AS (
    -- EC-86: two targets on one date share it
    SELECT subject_id, date, string_agg(target, ', ' ORDER BY target) AS by_target, flatten(list(event_ids)) AS event_ids
    FROM (FROM targets WHERE status = 'met' QUALIFY rank() OVER (PARTITION BY subject_id ORDER BY date) = 1)
    GROUP BY subject_id, date
),
last_visit AS (
    SELECT v.subject_id, max(v.date) AS date FROM visits v JOIN people p USING (subject_id)
    WHERE v.scheduled AND v.status = 'held' AND v.date <= p.horizon GROUP BY v.subject_id
),
after AS (
    -- visits at which a relapse could show: forms are expected at planned ones, at others they count where they are (EC-25)
    SELECT v.subject_id, v.visit_id, v.date, v.scheduled
    FROM visits v JOIN first_response r USING (subject_id) JOIN people p USING (subject_id)
    WHERE v.status = 'held' AND v.date > r.date AND v.date <= p.horizon
),
scores AS (
    SELECT t.subject_id, t.visit_id, t.occasion_id, v.date, t.value_number AS total, t.lower, t.event_ids
    FROM sledai_2k t JOIN visits v USING (subject_id, visit_id)
    WHERE t.measure = 'total' AND t.visit_id IS NOT NULL
),
nadirs AS (
    -- lowest total since infusion up to the visit before; of equal ones the latest
    SELECT a.subject_id, a.visit_id, n.occasion_id, n.total, n.event_ids
    FROM after a JOIN people p USING (subject_id)
    JOIN scores n ON n.subject_id = a.subject_id AND n.date < a.date AND n.date > p.infusion_date AND n.total IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY a.subject_id, a.visit_id ORDER BY n.total, n.date DESC, n.visit_id) = 1
),
new_clinical AS (
    SELECT n.subject_id, n.visit_id, bool_or(i.value_flag AND NOT j.value_flag) AS any_new
    FROM nadirs n
    JOIN sledai_items i ON i.subject_id = n.subject_id AND i.visit_id = n.visit_id
    JOIN sledai_items j ON j.subject_id = n.subject_id AND j.occasion_id = n.occasion_id AND j.measure = i.measure
    JOIN instrument_items m ON m.item = i.measure AND m.instrument = 'SLEDAI2K' AND m.clinical
    GROUP BY n.subject_id, n.visit_id
),
bilag AS (
    SELECT subject_id, visit_id, any_value(lower) FILTER (measure = 'new_a_previous') AS a,
           any_value(lower) FILTER (measure = 'new_b_previous') AS b, count(value_number) = 2 AS complete,
           flatten(list(event_ids)) AS event_ids
    FROM bilag_change WHERE visit_id IS NOT NULL AND measure IN ('new_a_previous', 'new_b_previous')
    GROUP BY subject_id, visit_id
),
asked AS (
    -- manifestations on the FLARE form that were asked for without a usable answer
    SELECT DISTINCT subject_id, visit_id FROM findings WHERE instrument = 'FLARE' AND chosen AND NOT known
),
seen AS (
    SELECT a.*, a.scheduled OR s.visit_id IS NOT NULL AS score_expected, s.total, s.lower, s.event_ids AS score_ids,
           n.total AS nadir, n.event_ids AS nadir_ids, c.any_new,
           a.scheduled OR g.visit_id IS NOT NULL AS pga_expected, g.value_number AS pga,
           a.scheduled OR b.visit_id IS NOT NULL AS bilag_expected, b.a, b.b, b.complete, b.event_ids AS bilag_ids,
           f.value_flag AS flared, f.event_ids AS flare_ids, k.visit_id IS NOT NULL AS unanswered
    FROM after a
    LEFT JOIN scores s USING (subject_id, visit_id)
    LEFT JOIN nadirs n USING (subject_id, visit_id)
    LEFT JOIN new_clinical c USING (subject_id, visit_id)
    LEFT JOIN (FROM pga WHERE visit_id IS NOT NULL) g USING (subject_id, visit_id)
    LEFT JOIN bilag b USING (subject_id, visit_id)
    LEFT JOIN (FROM flare_index WHERE measure = 'any_previous') f USING (subject_id, visit_id)
    LEFT JOIN asked k USING (subject_id, visit_id)
),
medicines AS (
    -- what the trial gives for toxicity, replacement or prophylaxis treats no lupus; without an indication it may.
    -- Starts and ends known to the month or year lie in intervals; an end not given is open unless stated as ongoing
    SELECT e.subject_id, e.exposure_id, e.substance, e.drug_class, e.role, e.contested, e.from_date, e.event_ids,
           e.first_day_earliest AS earliest, e.first_day_latest AS latest,
           coalesce(e.last_day_latest, DATE '9999-12-31') AS last_day,
           coalesce(e.last_day_earliest, CASE WHEN e.ongoing THEN DATE '9999-12-31' ELSE e.first_day_latest END) AS surely_until,
           CASE WHEN e.indication IS NOT NULL OR e.role = 'rescue' THEN true END AS for_sle,
           -- per 84 days: every interval between doses divides them
           e.prednisone_units_per_dosing_day * (84 // coalesce(e.every_n_days, 1)) AS rate
    FROM exposures e
    WHERE e.kind = 'medication' AND coalesce(e.indication, 'sle') = 'sle'
      AND coalesce(e.role NOT IN
          ('prior_therapy', 'toxicity_treatment', 'replacement', 'replacement_glucocorticoid', 'prophylaxis'), true)
      AND (e.drug_class IN ('immunosuppressant', 'biologic') OR e.role = 'rescue'
           OR (e.drug_class = 'glucocorticoid' AND coalesce(e.route, '?')
               NOT IN ('topical', 'inhaled', 'intranasal', 'ophthalmic', 'intra_articular')))
),
starts AS (
    SELECT m.*, m.earliest > r.date AND m.latest <= p.horizon AS surely_after
    FROM medicines m JOIN first_response r USING (subject_id) JOIN people p USING (subject_id)
    WHERE m.latest > r.date AND m.earliest <= p.horizon
),
dosed AS (
    -- glucocorticoids in force on the first day of a course and on the day before, for sure and at most; a course whose last
    -- day that is has given way
    SELECT s.subject_id, s.exposure_id,
           coalesce(sum(g.rate) FILTER (g.exposure_id = s.exposure_id
                                        OR (g.latest <= s.earliest AND g.surely_until > s.latest)), 0) AS now_sure,
           coalesce(sum(g.rate) FILTER (g.exposure_id = s.exposure_id
                                        OR (g.earliest <= s.latest AND (g.last_day > s.earliest OR g.latest >= s.earliest))), 0)
               AS now_most,
           coalesce(sum(g.rate) FILTER (g.exposure_id <> s.exposure_id AND g.latest < s.earliest
                                        AND g.surely_until >= s.latest - 1), 0) AS before_sure,
           coalesce(sum(g.rate) FILTER (g.exposure_id <> s.exposure_id AND g.earliest < s.latest), 0) AS before_most,
           bool_or(g.rate IS NULL OR g.contested) AS doubtful, flatten(list(g.event_ids)) AS event_ids
    FROM starts s JOIN medicines g ON g.subject_id = s.subject_id AND g.drug_class = 'glucocorticoid'
        AND g.earliest <= s.latest AND g.last_day >= s.earliest - 1
    WHERE s.drug_class = 'glucocorticoid'
    GROUP BY s.subject_id, s.exposure_id
),
in_use AS (
    -- the same drug on the day before, for sure or perhaps
    SELECT s.subject_id, s.exposure_id,
           bool_or(p.first_day_latest < s.earliest AND NOT p.contested
                   AND coalesce(p.last_day_earliest, CASE WHEN p.ongoing THEN DATE '9999-12-31' ELSE p.first_day_latest END)
                       >= s.latest - 1) AS certain,
           flatten(list(p.event_ids)) AS event_ids
    FROM starts s JOIN exposures p ON p.subject_id = s.subject_id AND p.substance = s.substance AND p.exposure_id <> s.exposure_id
        AND p.first_day_earliest < s.latest AND coalesce(p.last_day_latest, DATE '9999-12-31') >= s.earliest - 1
        AND p.kind = 'medication' AND coalesce(p.role NOT IN ('prior_therapy', 'toxicity_treatment'), true)
    GROUP BY s.subject_id, s.exposure_id
),
judged_starts AS (
    SELECT s.*, list_concat(s.event_ids, coalesce(d.event_ids, u.event_ids, [])) AS used_ids,
           CASE WHEN s.role = 'rescue' THEN s.for_sle
                WHEN s.drug_class = 'glucocorticoid' THEN
                    CASE WHEN d.doubtful THEN NULL WHEN d.now_most <= d.before_sure THEN false
                         WHEN d.now_sure > d.before_most THEN s.for_sle END
                WHEN u.certain THEN false
                WHEN u.exposure_id IS NULL THEN s.for_sle END AS treats
    FROM starts s LEFT JOIN dosed d USING (subject_id, exposure_id) LEFT JOIN in_use u USING (subject_id, exposure_id)
),
treatments AS (
    SELECT subject_id, 're_treatment' AS criterion, from_date AS date, earliest,
           CASE WHEN contested THEN NULL WHEN NOT treats THEN false WHEN surely_after THEN treats END AS hit,
           used_ids AS event_ids
    FROM judged_starts
),
moments AS (
    FROM treatments
    UNION ALL
    -- where a study does not collect the FLARE form, the triggers that it does collect decide, unless it says otherwise
    SELECT subject_id, 'flare', date, date,
           CASE WHEN flared IS NOT NULL THEN flared
                WHEN $flare_form_required OR unanswered OR (score_expected AND total IS NULL) OR (pga_expected AND pga IS NULL)
                    THEN NULL ELSE false END,
           coalesce(flare_ids, [])
    FROM seen
    UNION ALL
    -- what is known may prove the rise; that there is none needs the whole form
    SELECT subject_id, 'sledai_rise', date, date,
           CASE WHEN lower - nadir >= $sledai_rise AND any_new THEN true
                WHEN total IS NOT NULL THEN total - nadir >= $sledai_rise AND any_new END,
           list_concat(coalesce(score_ids, []), coalesce(nadir_ids, []))
    FROM seen WHERE score_expected
    UNION ALL
    SELECT subject_id, 'bilag_flare', date, date, CASE WHEN a > 0 OR b >= $new_b THEN true WHEN complete THEN false END,
           coalesce(bilag_ids, [])
    FROM seen WHERE bilag_expected
    UNION ALL
    SELECT p.subject_id, 'reinfusion', p.reinfusion_date, p.reinfusion_date, true, p.reinfusion_ids
    FROM people p JOIN first_response r USING (subject_id) WHERE p.reinfusion_date > r.date
),
found AS (
    SELECT subject_id, criterion, bool_or(hit) AS hit, bool_or(hit IS NULL) AS open, min(date) FILTER (hit) AS date,
           -- EC-73: a relapse is never dated by imputation; what lies before the date, or may, is flagged
           min(earliest) FILTER (hit IS NULL OR (hit AND date IS NULL)) AS doubt_from, flatten(list(event_ids)) AS looked_ids
    FROM moments GROUP BY subject_id, criterion
),
proof AS (
    SELECT m.subject_id, m.criterion, flatten(list(m.event_ids)) AS event_ids
    FROM moments m JOIN found f USING (subject_id, criterion) WHERE m.hit AND m.date IS NOT DISTINCT FROM f.date
    GROUP BY m.subject_id, m.criterion
),
watched AS (
    SELECT r.subject_id, count(DISTINCT c.data_kind) = 2 AS whole
    FROM first_response r JOIN last_visit l USING (subject_id)
    JOIN coverage c ON c.subject_id = r.subject_id AND c.data_kind IN ('glucocorticoid', 'background_medication')
        AND c.from_date <= r.date AND c.until_date >= l.date
    GROUP BY r.subject_id
),
reviewed AS (
    SELECT r.subject_id, flatten(list(w.event_ids)) AS event_ids
    FROM first_response r JOIN last_visit l USING (subject_id)
    JOIN reviews w ON w.subject_id = r.subject_id AND w.data_kind IN ('glucocorticoid', 'background_medication')
        AND w.from_date <= l.date AND w.until_date >= r.date
    GROUP BY r.subject_id
),
triggers AS (
    SELECT r.subject_id, k.criterion, f.date, p.infusion_date,
           CASE WHEN k.criterion = 'reinfusion' AND NOT $reinfusion_is_relapse THEN 'not_applicable'
                WHEN f.hit THEN 'met'
                WHEN f.open OR (k.criterion = 're_treatment' AND w.whole IS NOT true) THEN 'not_evaluable'
                ELSE 'not_met' END AS status,
           CASE WHEN k.criterion = 'reinfusion' AND NOT $reinfusion_is_relapse
                    THEN 'the study does not count a second infusion as relapse'
                WHEN f.hit AND f.date IS NULL THEN 'its date is not known to the day'
                WHEN f.hit THEN NULL
                WHEN k.criterion = 're_treatment' AND f.open THEN 'a treatment has no certain date, dose, end or indication'
                WHEN k.criterion = 're_treatment' AND w.whole IS NOT true
                    THEN 'no review of medication covers the time from response to the last visit'
                WHEN f.open THEN 'an assessment after the response is missing or incomplete' END AS reason,
           CASE WHEN f.hit AND f.date IS NULL THEN ['date_not_known'] WHEN f.doubt_from < f.date THEN ['may_be_earlier']
                ELSE [] END AS flags,
           -- what proves it, else what was looked at
           coalesce(e.event_ids, list_concat(coalesce(f.looked_ids, []),
                                             CASE WHEN k.criterion = 're_treatment' THEN coalesce(q.event_ids, []) ELSE [] END))
               AS event_ids
    FROM first_response r JOIN people p USING (subject_id)
    CROSS JOIN (VALUES ('flare'), ('sledai_rise'), ('bilag_flare'), ('re_treatment'), ('reinfusion')) k(criterion)
    LEFT JOIN found f ON f.subject_id = r.subject_id AND f.criterion = k.criterion
    LEFT JOIN proof e ON e.subject_id = r.subject_id AND e.criterion = k.criterion
    LEFT JOIN watched w ON w.subject_id = r.subject_id
    JOIN reviewed q ON q.subject_id = r.subject_id  -- a response rests on reviews that reach its visit
),
relapsed AS (
    SELECT subject_id, bool_or(status = 'met') AS relapsed, min(date) FILTER (status = 'met') AS date,
           bool_or(status = 'not_evaluable') AS open,
           string_agg(CASE WHEN status = 'not_evaluable' THEN criterion || ': ' || reason END, '; ' ORDER BY criterion) AS why,
           flatten(list(event_ids)) AS looked_ids
    FROM triggers GROUP BY subject_id
),
earliest AS (
    SELECT t.subject_id, string_agg(t.criterion, ', ' ORDER BY t.criterion) AS by_trigger, flatten(list(t.event_ids)) AS event_ids
    FROM triggers t JOIN relapsed x ON x.subject_id = t.subject_id AND x.date IS NOT DISTINCT FROM t.date
    WHERE t.status = 'met' GROUP BY t.subject_id
),
doubts AS (
    -- over all triggers: an open one, or one without a date, that may lie before the earliest
    SELECT x.subject_id, bool_or(m.earliest < x.date) AS may_be_earlier
    FROM relapsed x JOIN moments m ON m.subject_id = x.subject_id AND (m.hit IS NULL OR (m.hit AND m.date IS NULL))
    GROUP BY x.subject_id
),
answers AS (
    SELECT s.subject_id, s.infusion_date, s.death_date, r.date AS response_date, r.by_target, r.event_ids AS response_ids,
           x.relapsed, x.date AS relapse_date, x.open, x.why, x.looked_ids, e.by_trigger, e.event_ids, l.date AS last_date,
           coalesce(d.may_be_earlier, false) AS may_be_earlier,
           p.reinfusion_date > r.date AND NOT $reinfusion_is_relapse AS ended,
           s.subject_id IN (SELECT subject_id FROM targets WHERE status = 'not_evaluable') AS target_open
    FROM subjects s
    LEFT JOIN people p USING (subject_id)
    LEFT JOIN first_response r USING (subject_id)
    LEFT JOIN relapsed x USING (subject_id)
    LEFT JOIN earliest e USING (subject_id)
    LEFT JOIN doubts d USING (subject_id)
    LEFT JOIN last_visit l USING (subject_id)
)
-- an earlier response or relapse may still be entered: every row is known at the cut only
SELECT subject_id, 'overall' AS criterion,
       CASE WHEN response_date IS NULL THEN 'not_applicable' WHEN relapsed THEN 'met'
            WHEN open THEN 'not_evaluable' ELSE 'not_met' END AS status,
       relapse_date - infusion_date AS value_number,
       CASE WHEN infusion_date IS NULL THEN 'not infused'
            WHEN response_date IS NULL THEN 'no LLDAS or DORIS at a planned visit to relapse from'
            WHEN relapsed AND relapse_date IS NULL THEN 'its date is not known to the day'
            WHEN relapsed THEN NULL WHEN open THEN why
            ELSE 'none up to the last planned visit attended' END AS reason,
       CASE WHEN response_date IS NULL THEN NULL
            WHEN relapsed THEN 'response on day ' || (response_date - infusion_date) || ' by ' || by_target
                || coalesce('; relapse on day ' || (relapse_date - infusion_date), '; relapse') || ' by ' || by_trigger
            ELSE 'response on day ' || (response_date - infusion_date) || ' by ' || by_target
                || '; no relapse proven up to day ' || (last_date - infusion_date) END AS compared,
       CASE WHEN relapsed AND relapse_date IS NULL THEN ['date_not_known']
            WHEN relapsed AND may_be_earlier THEN ['may_be_earlier']
            WHEN relapsed THEN []
            ELSE list_concat(CASE WHEN response_date IS NULL OR death_date IS NULL THEN []
                                  WHEN open THEN ['died'] ELSE ['died_without_relapse'] END,
                             CASE WHEN ended THEN ['censored_at_reinfusion'] ELSE [] END) END AS flags,
       (SELECT CAST(cutoff + 2 AS TIMESTAMPTZ) FROM cut) AS known_from,
       list_concat(coalesce(response_ids, []), coalesce(event_ids, looked_ids, [])) AS event_ids
FROM answers
UNION ALL
SELECT subject_id, criterion, status, date - infusion_date, reason,
       'first on day ' || (date - infusion_date), flags,
       (SELECT CAST(cutoff + 2 AS TIMESTAMPTZ) FROM cut), event_ids
FROM triggers
UNION ALL
SELECT subject_id, 'response',
       CASE WHEN response_date IS NOT NULL THEN 'met' WHEN target_open THEN 'not_evaluable' ELSE 'not_met' END,
       response_date - infusion_date,
       CASE WHEN response_date IS NULL AND target_open THEN 'no planned visit meets a target, and some could not be judged' END,
       'day ' || (response_date - infusion_date) || ' by ' || by_target, [],
       (SELECT CAST(cutoff + 2 AS TIMESTAMPTZ) FROM cut), coalesce(response_ids, [])
FROM answers WHERE infusion_date IS NOT NULL
