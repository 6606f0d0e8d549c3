-- CAR-T expansion after each infusion: peak, time of peak, last quantified level and day, and the area under the curve
-- to day $until_day. Areas stay exact: twice the area is whole until the end. With the method `lin_up_log_down` the
-- falls between quantified levels are added by the rule in Python (falls.sql), in decimals.
WITH
-- {samples}
areas AS (
    SELECT subject_id, period, sum((next_day - day) * (level + next_level)) AS doubled
    FROM curve WHERE NOT ($auc_method = 'lin_up_log_down' AND next_level > 0 AND next_level < level)
    GROUP BY subject_id, period
),
answers AS (
    SELECT p.subject_id, p.period, k.* EXCLUDE (subject_id, period, event_ids),
           CAST(coalesce(a.doubled, 0) * 0.5 AS DECIMAL(38, 9)) AS area,
           p.starts_at + to_days(CAST($until_day + 2 AS INTEGER)) AS known_from, coalesce(k.event_ids, []) AS event_ids,
           CASE WHEN k.sampled IS NULL THEN 'no sample of the CAR T cells'
                WHEN k.above THEN 'a sample is above the range of the assay' END AS why,
           CASE WHEN k.cmax = 0 THEN 'never above quantification' END AS never, u.subject_id IS NOT NULL AS sample_unknown
    FROM periods p LEFT JOIN peaks k USING (subject_id, period) LEFT JOIN areas a USING (subject_id, period)
    LEFT JOIN unknown u USING (subject_id, period)
),
long AS (
    SELECT *, 'cmax' AS criterion, cmax AS answer, why AS reason FROM answers
    UNION ALL SELECT *, 'tmax', tmax, coalesce(why, never) FROM answers
    UNION ALL SELECT *, 'clast', clast, coalesce(why, never) FROM answers
    UNION ALL SELECT *, 'tlast', tlast, CASE WHEN sampled IS NULL THEN why ELSE never END FROM answers
    UNION ALL SELECT *, 'auc', area, coalesce(why, CASE WHEN sampled < $last_sample_from_day
                                                        THEN 'sampling ended too early for the area' END) FROM answers
    UNION ALL SELECT *, 'overall', cmax, why FROM answers
)
SELECT subject_id, period, criterion, CASE WHEN reason IS NULL THEN 'met' ELSE 'not_evaluable' END AS status,
       CASE WHEN reason IS NULL THEN answer END AS value_number, reason,
       $item || ': peak ' || coalesce(shown(cmax) || ' on day ' || tmax, 'unknown') || ', last quantified '
           || coalesce(shown(clast) || ' on day ' || tlast, 'never') || ', last sample '
           || coalesce('on day ' || sampled, 'none')
           || CASE WHEN criterion = 'auc' THEN '; area by ' || $auc_method ELSE '' END AS compared,
       list_concat(CASE WHEN first_day > 0 THEN ['no_sample_on_infusion_day'] ELSE [] END,
                   CASE WHEN sample_unknown THEN ['unknown_sample'] ELSE [] END) AS flags, known_from, event_ids
FROM long
