-- Items on forms: which record of an item stands, which form speaks for a visit, and baseline.

CREATE TABLE checked AS -- its `rowid` names a row in the joins below, nothing else
SELECT a.subject_id, coalesce(a.occasion_id, a.fact_id) AS form_id, a.instrument, a.item, a.fact_id,
       a.from_at, a.from_latest, a.from_date, a.value_number, a.value_code, a.value_text, a.comparator, a.unit,
       a.range_low, a.range_high, a.attribution, a.method, a.evaluator, a.contested, a.event_ids, i.both_stand,
       CASE WHEN a.contested AND a.value_number IS NULL AND a.value_code IS NULL AND a.value_text IS NULL
                THEN 'contested'
            WHEN coalesce(a.not_done, false) THEN 'not_done'
            WHEN a.value_code = 'unknown' THEN 'stated_unknown'
            WHEN len(i.codes) > 0 AND (a.value_code IS NULL OR NOT list_contains(i.codes, a.value_code))
                THEN 'outside'
            WHEN len(i.codes) = 0 AND a.value_number IS NOT NULL AND (
                a.value_number < i.low OR a.value_number > i.high
                OR (i.whole AND a.value_number <> trunc(a.value_number))
                OR (len(i.units) > 0 AND a.unit IS NOT NULL AND NOT list_contains(i.units, a.unit)))
                THEN 'outside'
            WHEN len(i.codes) = 0 AND a.value_number IS NULL THEN 'no_number'
            END AS doubt
FROM e_assessment a LEFT JOIN items i ON i.instrument = a.instrument AND i.item = a.item
WHERE a.instrument IS NOT NULL AND a.item IS NOT NULL;

-- DC-15: on one form the last record with a value wins; different values at that instant: unknown.
-- Most items stand once on a form; only those that do not are ranked.
CREATE TABLE repeated AS
SELECT subject_id, form_id, instrument, item FROM checked
GROUP BY subject_id, form_id, instrument, item HAVING count(*) > 1;

CREATE TABLE ranked AS
SELECT rowid AS record, *, row_number() OVER (
              PARTITION BY subject_id, form_id, instrument, item
              ORDER BY doubt IS NULL DESC, from_at DESC NULLS LAST, fact_id) AS place
FROM checked SEMI JOIN repeated USING (subject_id, form_id, instrument, item);

CREATE TABLE clashes AS
SELECT r.subject_id, r.form_id, r.instrument, r.item,
       list_sort(list_distinct(flatten(list(r.event_ids)))) AS event_ids
FROM ranked r
JOIN (FROM ranked WHERE place = 1 AND doubt IS NULL) f
  ON f.subject_id = r.subject_id AND f.form_id = r.form_id AND f.instrument = r.instrument
 AND f.item = r.item AND r.from_at IS NOT DISTINCT FROM f.from_at AND r.doubt IS NULL
GROUP BY r.subject_id, r.form_id, r.instrument, r.item
HAVING count(DISTINCT concat_ws('|', coalesce(CAST(r.value_number AS VARCHAR), '~'),
                                coalesce(r.value_code, '~'), coalesce(r.value_text, '~'),
                                coalesce(r.comparator, '~'), coalesce(r.unit, '~'))) > 1;

CREATE VIEW standing AS
SELECT rowid AS record, *, 1 AS place, false AS clashing, doubt IS NULL AS known_here
FROM checked c WHERE NOT EXISTS (FROM ranked r WHERE r.record = c.rowid)
UNION ALL BY NAME
-- where an instrument lets both stand, rules of safety take the worse; the doubt is raised all the same
SELECT r.*, c.item IS NOT NULL AND NOT coalesce(r.both_stand, false) AS clashing,
       r.place = 1 AND r.doubt IS NULL AND (c.item IS NULL OR r.both_stand) AS known_here
FROM ranked r LEFT JOIN clashes c USING (subject_id, form_id, instrument, item);

CREATE TABLE completeness AS
SELECT f.subject_id, f.occasion_id, f.instrument,
       CASE WHEN any_value(i.complete) = 'any' THEN count(s.item) > 0
            ELSE count(s.item) FILTER (NOT i.optional) = count(*) FILTER (NOT i.optional) END AS complete,
       CASE WHEN any_value(i.complete) = 'any' THEN []
            ELSE list_sort(coalesce(list(i.item) FILTER (s.item IS NULL AND NOT i.optional), [])) END
           AS missing_items
FROM forms f
JOIN items i ON i.instrument = f.instrument
LEFT JOIN (FROM standing WHERE known_here) s
  ON s.subject_id = f.subject_id AND s.form_id = f.occasion_id AND s.instrument = f.instrument
 AND s.item = i.item
GROUP BY f.subject_id, f.occasion_id, f.instrument;

-- EC-26: nearest the target; at equal distance the later; of one day the last.
CREATE TABLE chosen AS
SELECT subject_id, occasion_id, instrument,
       count(*) OVER (PARTITION BY subject_id, visit_id, instrument) AS forms_of_visit,
       row_number() OVER (
           PARTITION BY subject_id, visit_id, instrument
           ORDER BY abs(date - target_date), date DESC, from_at DESC, occasion_id) AS place,
       count(*) OVER (PARTITION BY subject_id, visit_id, instrument, date) AS forms_of_day,
       count(*) OVER (PARTITION BY subject_id, visit_id, instrument, abs(date - target_date)) AS equally_near
FROM placed WHERE visit_id IS NOT NULL;

-- DC-14 and EC-31: the efficacy baseline is one visit strictly before treatment, lymphodepletion
-- included; a form of the anchor's own day counts if it was done before, or was labelled baseline.
CREATE TABLE before_treatment AS
SELECT p.*, c.complete, a.efficacy_anchor_at, a.safety_anchor_at,
       coalesce(p.until_at <= a.efficacy_anchor_at
                OR (p.date = a.efficacy_anchor_date AND p.collected_visit_id IN
                    (SELECT visit_id FROM planned_visits WHERE baseline)), false) AS for_efficacy,
       coalesce(p.until_at <= a.safety_anchor_at
                OR (p.date = a.starts_date AND p.collected_visit_id IN
                    (SELECT visit_id FROM planned_visits WHERE baseline)), false) AS for_safety
FROM placed p
JOIN (FROM periods WHERE period = 1) a USING (subject_id)
JOIN completeness c USING (subject_id, occasion_id, instrument)
WHERE p.date IS NOT NULL;

CREATE TABLE baseline_visit AS
SELECT subject_id, date FROM (
    SELECT subject_id, date,
           count(DISTINCT instrument) FILTER (complete) AS parts
    FROM before_treatment
    WHERE for_efficacy AND instrument IN (SELECT instrument FROM baseline_instruments)
    GROUP BY subject_id, date)
QUALIFY row_number() OVER (
    PARTITION BY subject_id
    ORDER BY parts = (SELECT count(*) FROM baseline_instruments) DESC, date DESC) = 1;

CREATE TABLE baselines AS
SELECT subject_id, occasion_id, instrument, 'efficacy' AS anchor
FROM before_treatment b LEFT JOIN baseline_visit v USING (subject_id)
WHERE b.for_efficacy
  AND (b.instrument NOT IN (SELECT instrument FROM baseline_instruments) OR b.date = v.date)
QUALIFY row_number() OVER (PARTITION BY subject_id, instrument
                           ORDER BY b.date DESC, from_at DESC, occasion_id) = 1
UNION ALL
SELECT subject_id, occasion_id, instrument, 'safety' FROM before_treatment WHERE for_safety
QUALIFY row_number() OVER (PARTITION BY subject_id, instrument
                           ORDER BY date DESC, from_at DESC, occasion_id) = 1;

CREATE TABLE occasions AS
SELECT p.subject_id,
       CASE WHEN s.infusion_at IS NOT NULL THEN coalesce(q.period, 1) END AS period,
       p.occasion_id, p.instrument, p.collected_visit_id, p.visit_id,
       coalesce(c.place = 1, false) AS chosen,
       CASE WHEN c.place IS NULL THEN 'outside_windows' WHEN c.place > 1 THEN 'passed_over'
            WHEN c.forms_of_visit = 1 THEN 'only' WHEN c.forms_of_day > 1 THEN 'last_of_day'
            WHEN c.equally_near > 1 THEN 'later_at_equal_distance' ELSE 'nearest_target' END AS chosen_rule,
       p.from_at, p.until_at, p.date,
       study_day(p.date, s.infusion_date) AS study_day, p.date - s.infusion_date AS infusion_day,
       coalesce(k.complete, false) AS complete, coalesce(k.missing_items, []) AS missing_items,
       b.baseline_for, p.event_ids
FROM placed p
JOIN subjects s USING (subject_id)
LEFT JOIN chosen c USING (subject_id, occasion_id, instrument)
LEFT JOIN completeness k USING (subject_id, occasion_id, instrument)
LEFT JOIN (SELECT subject_id, occasion_id, instrument,
                  CASE WHEN count(*) = 2 THEN 'both' ELSE min(anchor) END AS baseline_for
           FROM baselines GROUP BY subject_id, occasion_id, instrument) b
       USING (subject_id, occasion_id, instrument)
ASOF LEFT JOIN periods q ON q.subject_id = p.subject_id AND p.from_at >= q.starts_at;

WITH valued AS NOT MATERIALIZED ( -- its readers need few of its columns
    SELECT *, CASE WHEN known_here OR (doubt IS NULL AND NOT clashing) THEN true ELSE false END AS has_value
    FROM standing),
base AS (
    SELECT v.subject_id, v.instrument, v.item, v.value_number, v.value_code
    FROM valued v JOIN baselines b
      ON b.subject_id = v.subject_id AND b.occasion_id = v.form_id AND b.instrument = v.instrument
    WHERE v.known_here AND b.anchor = 'efficacy'),
lagged AS (
    SELECT record,
           lag(value_number) OVER w AS previous_number, lag(value_code) OVER w AS previous_code
    FROM valued v WHERE known_here
    WINDOW w AS (PARTITION BY subject_id, instrument, item ORDER BY from_at, form_id))
SELECT v.subject_id, o.period, v.form_id AS occasion_id, v.instrument, v.item, v.fact_id AS finding_id,
       o.visit_id, coalesce(o.chosen AND v.place = 1, false) AS chosen,
       v.from_at, v.from_latest AS until_at, v.from_date AS date, o.study_day, o.infusion_day,
       CASE WHEN has_value THEN v.value_number END AS value_number,
       CASE WHEN has_value THEN v.value_code END AS value_code,
       CASE WHEN has_value OR v.doubt = 'no_number' THEN v.value_text END AS value_text,
       v.comparator, v.unit, v.range_low, v.range_high, v.attribution, v.method, v.evaluator,
       has_value AS known, CASE WHEN NOT has_value THEN coalesce(v.doubt, 'clash') END AS doubt, v.contested,
       b.value_number AS baseline_number, b.value_code AS baseline_code,
       CASE WHEN has_value THEN v.value_number - b.value_number END AS change_number,
       CASE WHEN v.known_here THEN l.previous_number END AS previous_number,
       CASE WHEN v.known_here THEN l.previous_code END AS previous_code,
       CASE WHEN v.clashing AND v.place = 1 THEN c.event_ids ELSE v.event_ids END AS event_ids
FROM valued v
JOIN occasions o ON o.subject_id = v.subject_id AND o.occasion_id = v.form_id AND o.instrument = v.instrument
LEFT JOIN base b ON b.subject_id = v.subject_id AND b.instrument = v.instrument AND b.item = v.item
LEFT JOIN lagged l USING (record)
LEFT JOIN clashes c ON c.subject_id = v.subject_id AND c.form_id = v.form_id
    AND c.instrument = v.instrument AND c.item = v.item;
