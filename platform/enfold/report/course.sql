-- The course of one subject: one row per thing that was done, seen or judged, with the events that it rests on.
-- Days count from the first infusion (day 0); of somebody never infused, from consent.
WITH who AS (
  SELECT study_id, subject_id, coalesce(infusion_date, consent_date) AS origin FROM subjects
  WHERE subject_id = {subject}),
visit_rows AS (
  SELECT 'visit' AS track, v.visit_id AS item, replace(v.status, '_', ' ') AS status, coalesce(v.date, w.origin + v.target_day::INTEGER) AS from_date,
         NULL AS until_date, NULL AS value, NULL AS lower, NULL AS upper, NULL AS unit,
         CASE WHEN v.date IS NULL THEN 'at its planned day' END AS said, v.event_ids
  FROM visits v JOIN who w USING (study_id, subject_id)),
dose_rows AS (
  SELECT CASE WHEN e.role IN ('study_product', 'lymphodepletion') THEN 'dose'
              WHEN e.prednisone_units_per_dosing_day IS NOT NULL AND e.role <> 'prior_therapy' THEN 'steroid'
              WHEN e.role = 'prior_therapy' THEN 'prior therapy' ELSE 'medication' END,
         e.substance, NULL, coalesce(e.from_date, e.first_day_earliest),
         coalesce(e.until_date, e.last_day_latest,
                  CASE WHEN e.kind = 'infusion' THEN coalesce(e.from_date, e.first_day_earliest) END),
         CASE WHEN e.prednisone_units_per_dosing_day IS NOT NULL AND e.role <> 'prior_therapy'
              THEN (e.prednisone_units_per_dosing_day // 60)::DECIMAL(18, 0) * 0.001 ELSE e.dose END,  -- whole micrograms
         NULL, NULL,
         CASE WHEN e.prednisone_units_per_dosing_day IS NOT NULL AND e.role <> 'prior_therapy'
              THEN 'mg prednisone equivalent a dosing day' ELSE e.unit END,
         concat_ws(', ', replace(e.role, '_', ' '), replace(e.frequency, '_', ' '), replace(e.outcome, '_', ' '),
                   CASE WHEN e.ongoing THEN 'ongoing' END),
         e.event_ids
  FROM exposures e JOIN who USING (study_id, subject_id)),
activity_rows AS (
  SELECT 'activity', CASE WHEN d.measure = 'total' THEN 'SLEDAI-2K'
                          WHEN d.measure = 'clinical' THEN 'clinical SLEDAI-2K' ELSE 'PGA' END,
         NULL, coalesce(v.date, w.origin + v.target_day::INTEGER), NULL, d.value_number, d.lower, d.upper, NULL,
         concat_ws(', ', d.visit_id, d.reason), d.event_ids
  FROM derived d JOIN who w USING (study_id, subject_id) JOIN visits v USING (study_id, subject_id, visit_id)
  WHERE (d.id = 'sledai_2k' AND d.measure IN ('total', 'clinical')) OR (d.id = 'pga' AND d.measure = 'pga')),
level_rows AS (
  SELECT 'level', f.item, NULL, f.date, NULL, f.value_number, NULL, NULL, f.unit, f.comparator, f.event_ids
  FROM findings f JOIN who USING (study_id, subject_id)
  WHERE f.known AND f.value_number IS NOT NULL AND f.instrument IN (
    SELECT instrument FROM findings WHERE item IN (SELECT parameters ->> 'item' FROM rules WHERE id = 'expansion'))),
toxicity_rows AS (
  SELECT 'toxicity', upper(replace(v.id, '_episode', '')), NULL,
         (v.from_at AT TIME ZONE {zone})::DATE,
         (v.until_at AT TIME ZONE {zone})::DATE, v.grade, NULL, v.grade_upper, 'grade', v.compared, v.event_ids
  FROM verdicts v JOIN who USING (study_id, subject_id)
  WHERE v.id IN ('crs_episode', 'icans_episode') AND v.criterion = 'overall' AND v.status = 'met'
  UNION ALL
  SELECT CASE WHEN o.kind = 'adverse_event' THEN 'toxicity' ELSE replace(o.kind, '_', ' ') END,
         replace(o.term, '_', ' '), NULL, o.from_date, o.until_date, o.grade, NULL, NULL,
         CASE WHEN o.grade IS NOT NULL THEN 'grade' END,
         concat_ws(', ', o.severity, CASE WHEN o.serious THEN 'serious' END, replace(o.attribution, '_', ' '),
                   replace(o.outcome, '_', ' ')),
         o.event_ids
  FROM occurrences o JOIN who USING (study_id, subject_id)),
response_rows AS (
  SELECT 'response', v.alias, replace(v.status, '_', ' '), coalesce(p.date, w.origin + p.target_day::INTEGER),
         NULL, NULL, NULL, NULL, NULL, concat_ws(', ', v.visit_id, v.reason), v.event_ids
  FROM verdicts v JOIN who w USING (study_id, subject_id) JOIN visits p USING (study_id, subject_id, visit_id)
  JOIN asked a ON a.alias = v.alias AND a.met_means = 'response'
  WHERE v.grain = 'visit' AND v.criterion = 'overall' AND v.status <> 'not_applicable'),
answer_rows AS (
  SELECT 'answer', v.alias, replace(v.status, '_', ' '), NULL, NULL, coalesce(v.grade, v.value_number), NULL, NULL,
         CASE WHEN v.grade IS NOT NULL THEN 'grade' END, concat_ws(', ', v.compared, v.reason), v.event_ids
  FROM verdicts v JOIN who USING (study_id, subject_id) JOIN asked USING (alias)
  WHERE v.grain IN ('subject', 'period') AND v.criterion = 'overall')
SELECT r.track, r.item, r.status, date_diff('day', w.origin, r.from_date) AS day,
       date_diff('day', w.origin, r.until_date) AS until_day, r.from_date, r.until_date,
       r.value::DECIMAL(28, 9) AS value, r.lower::DECIMAL(28, 9) AS lower, r.upper::DECIMAL(28, 9) AS upper,
       r.unit, nullif(r.said, '') AS said, r.event_ids
FROM (FROM visit_rows UNION ALL FROM dose_rows UNION ALL FROM activity_rows UNION ALL FROM level_rows
      UNION ALL FROM toxicity_rows UNION ALL FROM response_rows UNION ALL FROM answer_rows) r, who w
ORDER BY r.from_date NULLS LAST, r.track, r.item, r.until_date NULLS LAST, r.status, r.said, r.event_ids
