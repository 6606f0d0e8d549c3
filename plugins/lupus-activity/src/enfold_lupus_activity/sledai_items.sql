-- One row per item of each SLEDAI form: does it count towards the score?
-- Present and attributed to SLE counts. Attribution not stated counts too, except cytopenia, fever
-- and the CNS items from day 0 to $guarded_until_day after infusion, which the cell therapy and
-- lymphodepletion explain as well: there only a stated attribution to the disease counts.
WITH forms AS (
    SELECT * FROM occasions WHERE instrument = 'SLEDAI2K'
),
expected AS (
    SELECT o.*, i.item, i.system
    FROM forms o CROSS JOIN (FROM instrument_items WHERE instrument = 'SLEDAI2K' AND weight IS NOT NULL) i
),
standing AS (
    -- the record of the item that stands on the form
    SELECT * FROM findings WHERE instrument = 'SLEDAI2K'
    QUALIFY row_number() OVER (PARTITION BY subject_id, occasion_id, item
                               ORDER BY known DESC, from_at DESC, finding_id) = 1
),
recorded AS (
    SELECT e.*, f.item IS NOT NULL AS seen, coalesce(f.known, false) AS known, f.value_code, f.attribution,
           f.until_at AS read_at, f.event_ids, false AS loose
    FROM expected e
    LEFT JOIN standing f ON f.subject_id = e.subject_id AND f.occasion_id = e.occasion_id AND f.item = e.item
    UNION ALL
    -- DC-16: with source `window` a finding of another form within the window adds what the form lacks
    SELECT e.*, true, true, f.value_code, f.attribution, f.until_at, f.event_ids, true
    FROM expected e
    JOIN standing f ON f.subject_id = e.subject_id AND f.occasion_id <> e.occasion_id AND f.item = e.item
        AND f.known AND f.value_code = 'present'
        AND f.date BETWEEN e.date - CAST($window_days AS INTEGER) AND e.date
    WHERE $source = 'window'
),
details AS (
    -- beside the tick box: the joint count, and whether proteinuria is new or has risen
    SELECT o.subject_id, o.occasion_id,
           any_value(f.value_number) FILTER (f.item = 'ARTHR_JOINTS') AS joints,
           any_value(f.value_code) FILTER (f.item = 'PROT_NEW') AS proteinuria_new,
           max(f.until_at) AS until_at,
           flatten(list(f.event_ids) FILTER (f.item = 'ARTHR_JOINTS')) AS joint_ids,
           flatten(list(f.event_ids) FILTER (f.item = 'PROT_NEW')) AS proteinuria_ids
    FROM forms o JOIN standing f USING (subject_id, occasion_id)
    WHERE f.known AND f.item IN ('ARTHR_JOINTS', 'PROT_NEW')
    GROUP BY o.subject_id, o.occasion_id
),
judged AS (
    SELECT r.*, d.joint_ids, d.proteinuria_ids, d.until_at AS detail_at,
           CASE WHEN NOT r.known THEN NULL
                WHEN r.value_code = 'absent' THEN false
                WHEN r.attribution = 'disease' THEN true
                WHEN r.attribution = 'not_disease' THEN false
                WHEN r.infusion_day BETWEEN 0 AND $guarded_until_day
                     AND r.system IN ('cns', 'haematological', 'constitutional') THEN false
                ELSE true END AS attributed,
           -- a joint count below the variant's minimum overrules the tick box (2K: 2, SELENA: 3)
           r.item = 'ARTHR' AND d.joints < CASE WHEN $index_variant = 'SLEDAI_2K' THEN 2 ELSE 3 END AS few_joints,
           r.item = 'PROT' AND $index_variant = 'SELENA' AS only_new,
           d.proteinuria_new
    FROM recorded r LEFT JOIN details d USING (subject_id, occasion_id)
),
answers AS (
    SELECT *, CASE WHEN attributed AND few_joints THEN false
                   WHEN attributed AND only_new THEN
                       CASE proteinuria_new WHEN 'present' THEN true WHEN 'absent' THEN false END
                   ELSE attributed END AS counts
    FROM judged
)
SELECT subject_id, 1 AS period, any_value(CASE WHEN chosen THEN visit_id END) AS visit_id, occasion_id, item AS measure,
       any_value(value_code) FILTER (NOT loose) AS value_code,
       -- what another form adds can only make the item count; else the form itself speaks
       CASE WHEN bool_or(counts) THEN true ELSE any_value(counts) FILTER (NOT loose) END AS value_flag,
       CASE WHEN bool_or(counts) OR any_value(counts) FILTER (NOT loose) IS NOT NULL THEN NULL
            WHEN bool_or(NOT seen) THEN item || ' was not recorded'
            WHEN bool_or(known) FILTER (NOT loose) THEN item || ': whether it is new was not recorded'
            ELSE item || ' is unknown' END AS reason,
       greatest(max(coalesce(read_at, until_at)), max(detail_at) FILTER (few_joints OR only_new)) AS known_from,
       list_concat(coalesce(flatten(list(event_ids)), []),
                   list_concat(coalesce(flatten(list(joint_ids) FILTER (few_joints)), []),
                               coalesce(flatten(list(proteinuria_ids) FILTER (only_new)), []))) AS event_ids
FROM answers
GROUP BY subject_id, occasion_id, item
