-- One row per item of each SLEDAI-2K form: does it count towards the score?
-- Present and attributed to SLE counts. Attribution not stated counts too, except cytopenia, fever
-- and the CNS items from day 0 to $guarded_until_day after infusion, which the cell therapy and
-- lymphodepletion explain as well: there only a stated attribution to the disease counts.
WITH expected AS (
    SELECT o.*, i.item, i.system
    FROM (FROM occasions WHERE instrument = 'SLEDAI2K') o
    CROSS JOIN (FROM instrument_items WHERE instrument = 'SLEDAI2K') i
),
standing AS (
    -- the record of the item that stands on the form
    SELECT * FROM findings WHERE instrument = 'SLEDAI2K'
    QUALIFY row_number() OVER (PARTITION BY subject_id, occasion_id, item
                               ORDER BY known DESC, until_at DESC, finding_id) = 1
)
SELECT e.subject_id, 1 AS period,
       CASE WHEN e.chosen THEN e.visit_id END AS visit_id, e.occasion_id,
       e.item AS measure,
       f.value_code AS value_code,
       CASE WHEN NOT coalesce(f.known, false) THEN NULL
            WHEN f.value_code = 'absent' THEN false
            WHEN f.attribution = 'disease' THEN true
            WHEN f.attribution = 'not_disease' THEN false
            WHEN e.infusion_day BETWEEN 0 AND $guarded_until_day
                 AND (e.system IN ('cns', 'haematological', 'constitutional')) THEN false
            ELSE true END AS value_flag,
       CASE WHEN f.item IS NULL THEN e.item || ' was not recorded'
            WHEN NOT f.known THEN e.item || ' is unknown' END AS reason,
       coalesce(f.until_at, e.until_at) AS known_from,
       coalesce(f.event_ids, []) AS event_ids
FROM expected e
LEFT JOIN standing f ON f.subject_id = e.subject_id AND f.occasion_id = e.occasion_id AND f.item = e.item
