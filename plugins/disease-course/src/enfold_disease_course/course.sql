-- Shared by endpoints on the course of one target: its planned visits of the first treatment, in order, each an assessment that
-- met or failed the target or could not be judged. EC-45: unscheduled visits never count. EC-87: a second infusion ends the first
-- treatment; a visit that was not held before it, or before death, and was not due by then, is left out. EC-46, EC-47: what an
-- endpoint says of a visit that was not held (death, discontinuation) is no assessment of the target.
re_infused AS (
    SELECT p.subject_id, min(p.starts_date) AS date
    FROM periods p JOIN subjects s USING (subject_id)
    WHERE p.starts_date > s.infusion_date + CAST($split_dose_days AS INTEGER)
    GROUP BY p.subject_id
),
people AS (
    SELECT s.subject_id, s.infusion_date, s.death_date, x.date AS reinfusion_date, s.event_ids AS subject_ids,
           least(coalesce(s.death_date, DATE '9999-12-31'), coalesce(x.date, DATE '9999-12-31')) AS horizon
    FROM subjects s LEFT JOIN re_infused x USING (subject_id)
),
planned AS (
    SELECT v.subject_id, v.visit_id, v.ordinal, v.date, v.date - p.infusion_date AS day, a.status AS judged,
           a.known_from, a.event_ids,
           CASE WHEN v.status = 'held' AND a.status IN ('met', 'not_met') THEN a.status ELSE 'not_evaluable' END AS status
    FROM visits v JOIN people p USING (subject_id) JOIN answered a USING (subject_id, visit_id)
    WHERE v.status <> 'not_due'
      AND CASE WHEN v.date IS NOT NULL THEN v.date <= p.horizon ELSE v.window_until <= p.horizon END
),
marked AS (
    SELECT *, count(*) FILTER (status = 'met') OVER w AS mets, count(*) FILTER (status = 'not_met') OVER w AS failures,
           count(*) FILTER (status = 'not_evaluable') OVER w AS gaps,
           -- all that a statement up to this visit rests on is known from here
           max(known_from) OVER w AS settled_at
    FROM planned WINDOW w AS (PARTITION BY subject_id ORDER BY ordinal ROWS UNBOUNDED PRECEDING)
),
first_met AS (
    FROM marked WHERE status = 'met' QUALIFY row_number() OVER (PARTITION BY subject_id ORDER BY ordinal) = 1
),
last_seen AS (
    -- the last assessment that could be judged: where time is censored
    FROM marked WHERE status <> 'not_evaluable' QUALIFY row_number() OVER (PARTITION BY subject_id ORDER BY ordinal DESC) = 1
),
