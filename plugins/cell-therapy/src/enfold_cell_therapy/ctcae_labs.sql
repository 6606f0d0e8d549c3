-- CTCAE v5.0 grades of laboratory results. Each step says "at least this grade if the value is below (above) a limit": a
-- fixed number, or per cent of the laboratory's lower or upper limit of normal, or of baseline. A value, a limit or a
-- baseline that is not known makes steps possible without proving them: `lower` is the highest grade proven, `upper` the
-- highest possible. Nothing is divided: value x 100 is compared with limit x per cent.
WITH steps(item, grade, branch, relation, anchor, percent, fixed, abnormal_only) AS (
    -- the number at the end of a printed range belongs to the milder grade: `<1.5 - 1.0` is 1.0 <= value < 1.5;
    -- a branch holds for normal or for abnormal baselines, none for any
    VALUES ('NEUT', 1, NULL, '<', 'lln', 100, NULL, false), ('NEUT', 2, NULL, '<', 'fixed', 100, 1.5, false),
           ('NEUT', 3, NULL, '<', 'fixed', 100, 1.0, false), ('NEUT', 4, NULL, '<', 'fixed', 100, 0.5, false),
           ('PLAT', 1, NULL, '<', 'lln', 100, NULL, false), ('PLAT', 2, NULL, '<', 'fixed', 100, 75, false),
           ('PLAT', 3, NULL, '<', 'fixed', 100, 50, false), ('PLAT', 4, NULL, '<', 'fixed', 100, 25, false),
           -- grade 4 anaemia is a clinical judgement and never given here
           ('HGB', 1, NULL, '<', 'lln', 100, NULL, false), ('HGB', 2, NULL, '<', 'fixed', 100, 100, false),
           ('HGB', 3, NULL, '<', 'fixed', 100, 80, false),
           ('WBC', 1, NULL, '<', 'lln', 100, NULL, false), ('WBC', 2, NULL, '<', 'fixed', 100, 3, false),
           ('WBC', 3, NULL, '<', 'fixed', 100, 2, false), ('WBC', 4, NULL, '<', 'fixed', 100, 1, false),
           ('LYM', 1, NULL, '<', 'lln', 100, NULL, false), ('LYM', 2, NULL, '<', 'fixed', 100, 0.8, false),
           ('LYM', 3, NULL, '<', 'fixed', 100, 0.5, false), ('LYM', 4, NULL, '<', 'fixed', 100, 0.2, false),
           -- above either limit: of normal, or (grades 2 and 3) of baseline
           ('CREAT', 1, NULL, '>', 'uln', 100, NULL, false), ('CREAT', 2, NULL, '>', 'uln', 150, NULL, false),
           ('CREAT', 3, NULL, '>', 'uln', 300, NULL, false), ('CREAT', 4, NULL, '>', 'uln', 600, NULL, false),
           ('CREAT', 2, NULL, '>', 'base', 150, NULL, false), ('CREAT', 3, NULL, '>', 'base', 300, NULL, false),
           -- below a share of the lower limit; falls from baseline count only where the value itself is abnormal
           ('FIBRINO', 1, NULL, '<', 'lln', 100, NULL, false), ('FIBRINO', 2, NULL, '<', 'lln', 75, NULL, false),
           ('FIBRINO', 3, NULL, '<', 'lln', 50, NULL, false), ('FIBRINO', 4, NULL, '<', 'lln', 25, NULL, false),
           ('FIBRINO', 4, NULL, '<', 'fixed', 100, 0.5, false),
           ('FIBRINO', 2, NULL, '<=', 'base', 75, NULL, true), ('FIBRINO', 3, NULL, '<=', 'base', 50, NULL, true),
           ('FIBRINO', 4, NULL, '<=', 'base', 25, NULL, true)
    UNION ALL
    -- multiples of the upper limit from a normal baseline, of the baseline from an abnormal one
    SELECT item, grade, branch, relation, CASE branch WHEN 'normal' THEN 'uln' ELSE 'base' END, percent, NULL, false
    FROM (VALUES ('ALT'), ('AST')) AS i(item),
         (VALUES (1, 'normal', '>', 100), (1, 'abnormal', '>=', 150), (2, 'normal', '>', 300), (2, 'abnormal', '>', 300),
                 (3, 'normal', '>', 500), (3, 'abnormal', '>', 500), (4, 'normal', '>', 2000), (4, 'abnormal', '>', 2000))
             AS s(grade, branch, relation, percent)
    UNION ALL
    SELECT 'BILI', grade, branch, '>', CASE branch WHEN 'normal' THEN 'uln' ELSE 'base' END, percent, NULL, false
    FROM (VALUES ('normal'), ('abnormal')) AS b(branch), (VALUES (1, 100), (2, 150), (3, 300), (4, 1000)) AS s(grade, percent)
),
results AS (
    -- EC-78: what a result says of the value; a result below a limit of the assay has no `low` end
    SELECT subject_id, occasion_id, item, visit_id, from_at, until_at, date, finding_id, event_ids,
           CASE WHEN known AND coalesce(comparator, '>=') IN ('>', '>=') THEN value_number END AS low,
           CASE WHEN known AND coalesce(comparator, '<=') IN ('<', '<=') THEN value_number END AS high,
           coalesce(comparator = '>', false) AS low_open, coalesce(comparator = '<', false) AS high_open,
           known, comparator IS NOT NULL AS bounded, CASE WHEN known THEN value_number END AS value_number,
           range_low AS lln, range_high AS uln
    FROM findings WHERE instrument = 'LABORATORY' AND item IN (SELECT item FROM steps)
),
labelled AS (
    SELECT DISTINCT subject_id, occasion_id FROM occasions
    WHERE instrument = 'LABORATORY' AND baseline_for IN ('safety', 'both')
),
bases AS (
    -- EC-31: the last known result before the infusion; on its day only if it was earlier or labelled baseline. Of two
    -- at one instant the one that makes later results worse
    SELECT p.subject_id, p.period, r.item, CASE WHEN NOT r.bounded THEN r.value_number END AS base, r.until_at, r.event_ids,
           CASE WHEN r.high <= r.uln THEN true WHEN r.low > r.uln OR (r.low = r.uln AND r.low_open) THEN false END AS normal
    FROM periods p JOIN results r USING (subject_id) LEFT JOIN labelled l USING (subject_id, occasion_id)
    WHERE r.known AND r.date IS NOT NULL AND (r.until_at <= p.starts_at OR (p.period = 1 AND l.occasion_id IS NOT NULL))
      AND r.item IN (SELECT item FROM steps WHERE anchor = 'base')
    QUALIFY row_number() OVER (PARTITION BY p.subject_id, p.period, r.item
                               ORDER BY r.date DESC, r.from_at DESC,
                               CASE r.item WHEN 'FIBRINO' THEN -r.value_number ELSE r.value_number END,
                                        r.finding_id) = 1
),
placed AS (
    -- a result belongs to the latest infusion before its end; before the first infusion, to the first
    SELECT r.*, coalesce(p.period, f.period) AS period, p.period IS NOT NULL AS after,
           coalesce(p.starts_at, f.starts_at) AS starts_at
    FROM results r
    LEFT JOIN periods p ON p.subject_id = r.subject_id AND r.until_at > p.starts_at
        AND (p.ends_at IS NULL OR r.until_at <= p.ends_at)
    LEFT JOIN (FROM periods WHERE period = 1) f ON f.subject_id = r.subject_id
),
judged AS (
    SELECT r.*, s.grade, s.branch, s.anchor, b.base, b.normal, b.until_at AS base_until, b.event_ids AS base_ids,
           s.relation, s.abnormal_only, r.low * 100 AS low_100, r.high * 100 AS high_100,
           s.percent * CASE s.anchor WHEN 'fixed' THEN s.fixed WHEN 'lln' THEN r.lln WHEN 'uln' THEN r.uln
                            WHEN 'base' THEN b.base END AS proves,
           -- an abnormal baseline is above the upper limit of normal, so what exceeds a multiple of it exceeds that of the limit
           s.percent * CASE s.anchor WHEN 'fixed' THEN s.fixed WHEN 'lln' THEN r.lln WHEN 'uln' THEN r.uln
                                     WHEN 'base' THEN coalesce(b.base, CASE WHEN s.branch = 'abnormal' THEN r.uln END) END AS permits
    FROM placed r JOIN steps s USING (item)
    LEFT JOIN bases b ON b.subject_id = r.subject_id AND b.period = r.period AND b.item = r.item
),
stepped AS (
    SELECT * EXCLUDE (low_100, high_100, proves, permits),
           coalesce(CASE relation WHEN '<' THEN high_100 < proves OR (high_100 = proves AND high_open)
                                  WHEN '<=' THEN high_100 <= proves
                                  WHEN '>' THEN low_100 > proves OR (low_100 = proves AND low_open)
                                  ELSE low_100 >= proves END, false)
               AND (NOT abnormal_only OR coalesce(high < lln OR (high = lln AND high_open), false)) AS sure,
           coalesce(CASE relation WHEN '<' THEN low_100 < permits
                                  WHEN '<=' THEN low_100 < permits OR (low_100 = permits AND NOT low_open)
                                  WHEN '>' THEN high_100 > permits
                                  ELSE high_100 > permits OR (high_100 = permits AND NOT high_open) END, true)
               AND (NOT abnormal_only OR coalesce(low < lln, true)) AS possible
    FROM judged
),
graded AS (
    SELECT subject_id, occasion_id, item, from_at, finding_id, any_value(period) AS period, any_value(visit_id) AS visit_id,
           max(until_at) AS until_at, bool_and(known) AS known, bool_or(bounded) AS bounded, bool_or(after) AS after,
           any_value(starts_at) AS starts_at, any_value(normal) AS normal, any_value(base) AS base,
           any_value(base_until) AS base_until,
           any_value(lln) AS lln, any_value(uln) AS uln,
           bool_or(branch IS NOT NULL) AS branched, bool_or(anchor = 'lln') AS needs_lln, bool_or(anchor = 'uln') AS needs_uln,
           bool_or(anchor = 'base') AS needs_base,
           coalesce(max(grade) FILTER (sure AND branch IS DISTINCT FROM 'abnormal'), 0) AS low_normal,
           coalesce(max(grade) FILTER (sure AND branch IS DISTINCT FROM 'normal'), 0) AS low_abnormal,
           coalesce(max(grade) FILTER (possible AND branch IS DISTINCT FROM 'abnormal'), 0) AS high_normal,
           coalesce(max(grade) FILTER (possible AND branch IS DISTINCT FROM 'normal'), 0) AS high_abnormal,
           any_value(event_ids) AS event_ids, any_value(base_ids) FILTER (anchor = 'base') AS base_ids
    FROM stepped GROUP BY subject_id, occasion_id, item, from_at, finding_id
),
bounded AS (
    SELECT *, CASE WHEN normal THEN low_normal WHEN NOT normal THEN low_abnormal
                   ELSE least(low_normal, low_abnormal) END AS lower_grade,
           CASE WHEN normal THEN high_normal WHEN NOT normal THEN high_abnormal
                ELSE greatest(high_normal, high_abnormal) END AS upper_grade,
           CASE WHEN NOT known THEN 'the result is not known'
                WHEN bounded THEN 'the result is a bound of the assay that does not decide'
                WHEN needs_lln AND lln IS NULL THEN 'the laboratory''s lower limit of normal is missing'
                WHEN needs_uln AND uln IS NULL THEN 'the laboratory''s upper limit of normal is missing'
                WHEN branched AND normal IS NULL THEN 'whether the baseline was normal is not known'
                WHEN needs_base AND base IS NULL THEN 'no baseline result' END AS why,
           CASE WHEN starts_at IS NULL THEN (SELECT CAST(cutoff + 2 AS TIMESTAMPTZ) FROM cut)
                WHEN NOT after THEN greatest(until_at, starts_at + INTERVAL 2 DAY)
                ELSE greatest(until_at, base_until) END AS known_from
    FROM graded
)
-- DC-15, EC-77: of two results at one instant the worse stands
SELECT subject_id, any_value(period) AS period, any_value(visit_id) AS visit_id, occasion_id, from_at, max(until_at) AS until_at,
       item AS measure,
       CASE WHEN max(lower_grade) = max(upper_grade) THEN max(lower_grade) END AS value_number,
       max(lower_grade) AS lower, max(upper_grade) AS upper,
       CASE WHEN max(lower_grade) < max(upper_grade) THEN max(why) FILTER (lower_grade < upper_grade) END AS reason,
       max(known_from) AS known_from, list_concat(flatten(list(event_ids)), coalesce(flatten(list(base_ids)), [])) AS event_ids
FROM bounded GROUP BY subject_id, occasion_id, item, from_at
