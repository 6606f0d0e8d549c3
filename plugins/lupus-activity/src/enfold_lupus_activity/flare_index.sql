-- SELENA Flare Index at each visit held, against the previous complete SLEDAI form, scheduled or not (measures
-- `any_previous`, `severe_previous`) and against the efficacy baseline (`…_baseline`).
--   any      SLEDAI +$sledai_rise or more; PGA +$pga_rise or more; a manifestation of the FLARE form; a prednisone
--            equivalent above that of the reference; a new antimalarial or NSAID for SLE
--   severe   SLEDAI risen above $severe_sledai; PGA risen above $severe_pga; a severe manifestation of the FLARE form;
--            prednisone risen above $severe_mg_per_kg mg/kg/day; a new immunosuppressant for SLE; hospitalised for SLE
-- A severe flare is also a flare. Unknown stays unknown unless another trigger decides.
WITH forms AS (
    -- every form with its total, unscheduled ones included
    SELECT t.subject_id, t.visit_id, t.occasion_id, o.date, o.baseline_for, t.value_number AS total, t.event_ids, t.known_from
    FROM (FROM sledai_2k WHERE measure = 'total') t JOIN occasions o USING (subject_id, occasion_id)
    WHERE o.instrument = 'SLEDAI2K'
),
pgas AS (
    SELECT g.subject_id, g.visit_id, o.date, o.baseline_for, g.value_number AS pga, g.event_ids
    FROM (FROM pga WHERE value_number IS NOT NULL) g JOIN occasions o USING (subject_id, occasion_id)
    WHERE o.instrument = 'PGA'
),
doses AS (
    SELECT v.subject_id, v.visit_id, v.date, any_value(p.value_number) FILTER (p.measure = 'units') AS units,
           any_value(p.value_number) FILTER (p.measure = 'days') AS days,
           flatten(list(p.event_ids) FILTER (p.measure = 'units')) AS event_ids
    FROM prednisone p JOIN visits v USING (subject_id, visit_id)
    WHERE p.measure IN ('units', 'days') GROUP BY v.subject_id, v.visit_id, v.date
),
points AS (
    SELECT v.subject_id, v.visit_id, v.date, v.infusion_day, s.total, s.event_ids AS total_ids, s.known_from,
           g.pga, g.event_ids AS pga_ids, d.units, d.days, d.event_ids AS dose_ids,
           w.value_number AS kg, w.event_ids AS weight_ids
    FROM visits v
    LEFT JOIN forms s USING (subject_id, visit_id)
    LEFT JOIN pgas g USING (subject_id, visit_id)
    JOIN doses d USING (subject_id, visit_id)
    JOIN weight w USING (subject_id, visit_id)
    WHERE v.status = 'held'
),
form_before AS (
    SELECT n.subject_id, n.visit_id, 'previous' AS suffix, f.date, f.total, f.event_ids
    FROM points n JOIN forms f ON f.subject_id = n.subject_id AND f.date < n.date AND f.total IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY n.subject_id, n.visit_id ORDER BY f.date DESC, f.occasion_id) = 1
    UNION ALL
    SELECT n.subject_id, n.visit_id, 'baseline', f.date, f.total, f.event_ids
    FROM points n JOIN forms f ON f.subject_id = n.subject_id AND f.baseline_for IN ('efficacy', 'both')
    WHERE n.infusion_day >= 0 AND f.date < n.date
),
pga_before AS (
    SELECT n.subject_id, n.visit_id, 'previous' AS suffix, g.pga, g.event_ids
    FROM points n JOIN pgas g ON g.subject_id = n.subject_id AND g.date < n.date
    QUALIFY row_number() OVER (PARTITION BY n.subject_id, n.visit_id ORDER BY g.date DESC, g.event_ids) = 1
    UNION ALL
    SELECT n.subject_id, n.visit_id, 'baseline', g.pga, g.event_ids
    FROM points n JOIN pgas g ON g.subject_id = n.subject_id AND g.baseline_for IN ('efficacy', 'both') AND g.date < n.date
),
dose_before AS (
    -- the dose at the last visit up to the reference form
    SELECT f.subject_id, f.visit_id, f.suffix, d.units, d.days, d.event_ids
    FROM form_before f JOIN doses d ON d.subject_id = f.subject_id AND d.date <= f.date
    QUALIFY row_number() OVER (PARTITION BY f.subject_id, f.visit_id, f.suffix ORDER BY d.date DESC, d.visit_id) = 1
),
compared AS (
    SELECT n.subject_id, n.visit_id, f.suffix, n.date, f.date AS since, n.total, f.total AS total_was, n.pga, g.pga AS pga_was,
           n.units, n.days, n.kg, n.units * d.days > d.units * n.days AS dose_rose,
           list_concat(list_concat(coalesce(n.total_ids, []), f.event_ids),
                       list_concat(coalesce(n.pga_ids, []), coalesce(g.event_ids, []))) AS score_ids,
           list_concat(list_concat(coalesce(n.dose_ids, []), coalesce(d.event_ids, [])), coalesce(n.weight_ids, [])) AS dose_ids,
           n.known_from
    FROM points n
    JOIN form_before f USING (subject_id, visit_id)
    LEFT JOIN pga_before g USING (subject_id, visit_id, suffix)
    LEFT JOIN dose_before d USING (subject_id, visit_id, suffix)
),
manifestations AS (
    -- an item recorded as unknown may have been present: no review says otherwise
    SELECT subject_id, visit_id, suffix, bool_or(present) AS mild, bool_or(present AND grave) AS severe,
           bool_or(open) AS open, bool_or(open AND grave) AS open_severe,
           count(DISTINCT item) FILTER (known AND here) AS items, flatten(list(event_ids)) AS event_ids
    FROM (SELECT c.subject_id, c.visit_id, c.suffix, f.item, f.known, c.visit_id = f.visit_id AS here, f.event_ids,
                 f.known AND f.value_code = 'present' AND f.attribution IS DISTINCT FROM 'not_disease' AS present,
                 NOT f.known AND f.doubt <> 'not_done' AS open,
                 f.item IN ('CNS', 'VASCULITIS', 'NEPHRITIS', 'MYOSITIS', 'PLT_BELOW_60', 'HAEMOLYTIC_ANAEMIA', 'HOSPITALISATION') AS grave
          FROM compared c JOIN findings f ON f.subject_id = c.subject_id AND f.instrument = 'FLARE'
              AND f.date > c.since AND f.date <= c.date AND (f.chosen OR NOT f.known))
    GROUP BY subject_id, visit_id, suffix
),
looked AS (
    -- absence of manifestations: the whole form at this visit, or a review of flares since the reference
    SELECT c.subject_id, c.visit_id, c.suffix,
           (SELECT flatten(list(s.event_ids)) FROM reviews s WHERE s.subject_id = c.subject_id AND s.data_kind = 'flare'
            AND s.from_date <= c.date AND s.until_date > c.since) AS event_ids
    FROM compared c JOIN coverage r ON r.subject_id = c.subject_id AND r.data_kind = 'flare'
        AND r.from_date <= c.since + 1 AND r.until_date >= c.date
),
begun AS (
    -- new drugs for SLE since the reference; `sure` says that dates, indication and earlier use leave no doubt
    SELECT c.subject_id, c.visit_id, c.suffix, e.drug_class, e.event_ids,
           e.first_day_earliest > c.since AND e.first_day_latest <= c.date AND coalesce(e.indication = 'sle', false) AND NOT e.contested
               AND NOT EXISTS (
                   FROM exposures p WHERE p.subject_id = e.subject_id AND p.substance = e.substance AND p.exposure_id <> e.exposure_id
                   AND p.kind = 'medication' AND p.first_day_earliest < e.first_day_latest
                   AND coalesce(p.last_day_latest, DATE '9999-12-31') >= e.first_day_earliest - 1) AS sure
    FROM compared c JOIN exposures e ON e.subject_id = c.subject_id AND e.kind = 'medication'
        AND e.drug_class IN ('antimalarial', 'nsaid', 'immunosuppressant') AND coalesce(e.indication, 'sle') = 'sle'
        AND coalesce(e.role, 'background') NOT IN ('toxicity_treatment', 'prior_therapy')
        AND e.first_day_latest > c.since AND e.first_day_earliest <= c.date
    WHERE NOT EXISTS (
        FROM exposures p WHERE p.subject_id = e.subject_id AND p.substance = e.substance AND p.exposure_id <> e.exposure_id
        AND p.kind = 'medication' AND p.first_day_latest < e.first_day_earliest
        AND coalesce(p.last_day_earliest, CASE WHEN p.ongoing THEN DATE '9999-12-31' END) >= e.first_day_latest - 1)
),
drugs AS (
    SELECT subject_id, visit_id, suffix, bool_or(sure) AS mild, bool_or(sure AND drug_class = 'immunosuppressant') AS severe,
           bool_or(NOT sure) AS open, bool_or(NOT sure AND drug_class = 'immunosuppressant') AS open_severe,
           flatten(list(event_ids)) AS event_ids
    FROM begun GROUP BY subject_id, visit_id, suffix
),
reviewed AS (
    SELECT c.subject_id, c.visit_id, c.suffix,
           (SELECT flatten(list(s.event_ids)) FROM reviews s WHERE s.subject_id = c.subject_id
            AND s.data_kind = 'background_medication' AND s.from_date <= c.date AND s.until_date > c.since) AS event_ids
    FROM compared c JOIN coverage r ON r.subject_id = c.subject_id AND r.data_kind = 'background_medication'
        AND r.from_date <= c.since + 1 AND r.until_date >= c.date
),
triggers AS (
    SELECT c.*,
           c.total - c.total_was >= $sledai_rise AS t_sledai,
           c.total > c.total_was AND c.total > $severe_sledai AS s_sledai,
           c.pga - c.pga_was >= $pga_rise AS t_pga,
           c.pga > c.pga_was AND c.pga > $severe_pga AS s_pga,
           CASE WHEN m.mild THEN true WHEN m.open THEN NULL WHEN l.visit_id IS NOT NULL OR m.items = $flare_items THEN false END AS t_manifest,
           CASE WHEN m.severe THEN true WHEN m.open_severe THEN NULL WHEN l.visit_id IS NOT NULL OR m.items = $flare_items THEN false END AS s_manifest,
           c.dose_rose AS t_dose,
           c.dose_rose AND c.units > $severe_mg_per_kg * c.kg * 60000 * c.days AS s_dose,
           CASE WHEN d.mild THEN true WHEN d.open THEN NULL WHEN r.visit_id IS NOT NULL THEN false END AS t_drug,
           CASE WHEN d.severe THEN true WHEN d.open_severe THEN NULL WHEN r.visit_id IS NOT NULL THEN false END AS s_drug,
           coalesce(m.event_ids, l.event_ids, []) AS manifest_ids,
           coalesce(d.event_ids, r.event_ids, []) AS drug_ids
    FROM compared c
    LEFT JOIN manifestations m USING (subject_id, visit_id, suffix)
    LEFT JOIN looked l USING (subject_id, visit_id, suffix)
    LEFT JOIN drugs d USING (subject_id, visit_id, suffix)
    LEFT JOIN reviewed r USING (subject_id, visit_id, suffix)
),
long AS (
    SELECT *, 'severe' AS severity, [
        {'name': 'sledai', 'hit': s_sledai, 'ids': score_ids}, {'name': 'pga', 'hit': s_pga, 'ids': score_ids},
        {'name': 'manifestation', 'hit': s_manifest, 'ids': manifest_ids},
        {'name': 'prednisone', 'hit': s_dose, 'ids': dose_ids}, {'name': 'new_drug', 'hit': s_drug, 'ids': drug_ids}] AS parts
    FROM triggers
    UNION ALL
    SELECT *, 'any', [
        {'name': 'sledai', 'hit': t_sledai OR s_sledai, 'ids': score_ids}, {'name': 'pga', 'hit': t_pga OR s_pga, 'ids': score_ids},
        {'name': 'manifestation', 'hit': t_manifest, 'ids': manifest_ids},
        {'name': 'prednisone', 'hit': t_dose, 'ids': dose_ids}, {'name': 'new_drug', 'hit': t_drug, 'ids': drug_ids}]
    FROM triggers
),
parts AS (
    SELECT subject_id, visit_id, severity || '_' || suffix AS measure, known_from, date, unnest(parts) AS part FROM long
)
SELECT subject_id, 1 AS period, visit_id, measure,
       CASE WHEN bool_or(part.hit) THEN true WHEN bool_and(part.hit IS NOT NULL) THEN false END AS value_flag,
       string_agg(CASE WHEN part.hit THEN part.name END, ', ' ORDER BY part.name) AS value_code,
       CASE WHEN NOT coalesce(bool_or(part.hit), false)
            THEN string_agg(CASE WHEN part.hit IS NULL THEN part.name END, ', ' ORDER BY part.name) || ' unknown' END AS reason,
       greatest(max(known_from), CAST(max(date) + 2 AS TIMESTAMPTZ)) AS known_from,
       -- what proves it; for its absence, everything looked at
       CASE WHEN bool_or(part.hit) THEN flatten(list(part.ids) FILTER (part.hit)) ELSE flatten(list(part.ids)) END AS event_ids
FROM parts GROUP BY subject_id, visit_id, measure
