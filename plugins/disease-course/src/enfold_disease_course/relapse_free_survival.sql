-- Treatment-free relapse-free survival: days from $origin to relapse (a new treatment for SLE or a second infusion included) or
-- death, whichever is first; else to the last contact, censored. Where a second infusion is no relapse, time ends there.
WITH facts AS (
    SELECT s.subject_id, s.infusion_date, s.status = 'died' AS died, s.event_ids AS subject_ids,
           s.death_date - s.infusion_date AS death_day, s.last_contact_date - s.infusion_date AS contact_day,
           o.status AS relapse_status, o.reason AS relapse_reason, o.value_number AS relapse_day, o.event_ids AS relapse_ids,
           r.value_number AS response_day, r.event_ids AS response_ids,
           CASE WHEN x.status = 'not_applicable' THEN x.value_number END AS stop_day,
           CASE WHEN $origin = 'infusion' THEN 0 ELSE r.value_number END AS start_day
    FROM subjects s
    JOIN (FROM relapse WHERE criterion = 'overall') o USING (subject_id)
    LEFT JOIN (FROM relapse WHERE criterion = 'response') r USING (subject_id)
    LEFT JOIN (FROM relapse WHERE criterion = 'reinfusion') x USING (subject_id)
),
timed AS (
    SELECT *, CASE WHEN relapse_status = 'met' THEN CASE WHEN relapse_day IS NOT NULL THEN least(relapse_day, death_day) END
                   WHEN death_day <= coalesce(stop_day, death_day) THEN death_day END AS event_day,
           least(contact_day, stop_day) AS end_day
    FROM facts
),
judged AS (
    SELECT *, CASE WHEN infusion_date IS NULL OR start_day IS NULL THEN 'not_applicable'
                   WHEN relapse_status = 'met' OR event_day IS NOT NULL
                        OR (died AND death_day IS NULL AND stop_day IS NULL) THEN 'met'
                   WHEN relapse_status = 'not_evaluable' THEN 'not_evaluable' ELSE 'not_met' END AS status
    FROM timed
),
answers AS (
    SELECT *, CASE status WHEN 'met' THEN event_day WHEN 'not_met' THEN end_day END - start_day AS days,
           list_concat(list_concat(
               CASE WHEN status = 'not_met' THEN ['censored'] ELSE [] END,
               CASE WHEN status = 'not_met' AND stop_day IS NOT NULL THEN ['censored_at_reinfusion'] ELSE [] END),
               list_concat(
               -- who never responded cannot relapse: an analysis may set them aside
               CASE WHEN status <> 'not_applicable' AND response_day IS NULL THEN ['no_response'] ELSE [] END,
               -- death is proven, an earlier relapse is not excluded
               CASE WHEN status = 'met' AND relapse_status = 'not_evaluable' THEN ['may_be_earlier'] ELSE [] END)) AS flags,
           CASE WHEN status = 'met' AND relapse_status = 'met' AND event_day IS NOT DISTINCT FROM relapse_day THEN relapse_ids
                WHEN status = 'met' THEN subject_ids
                ELSE list_concat(coalesce(relapse_ids, []), subject_ids) END AS used_ids
    FROM judged
)
SELECT subject_id, 'overall' AS criterion, status, days AS value_number,
       CASE WHEN infusion_date IS NULL THEN 'not infused'
            WHEN status = 'not_applicable' THEN 'no LLDAS or DORIS at a planned visit to count from'
            WHEN status = 'not_evaluable' THEN relapse_reason
            WHEN status = 'not_met' THEN 'alive without relapse up to the last contact' END AS reason,
       CASE WHEN status IN ('met', 'not_met') THEN 'from ' || $origin || ' on day ' || shown(start_day) || ': '
            || CASE WHEN status = 'not_met' THEN 'last contact on day ' || shown(end_day)
                    WHEN relapse_status = 'met' AND event_day IS NOT DISTINCT FROM relapse_day
                        THEN 'relapse on day ' || coalesce(shown(relapse_day), 'unknown')
                    ELSE 'death on day ' || coalesce(shown(death_day), 'unknown') END END AS compared,
       flags, (SELECT CAST(cutoff + 2 AS TIMESTAMPTZ) FROM cut) AS known_from, used_ids AS event_ids
FROM answers
UNION ALL
SELECT subject_id, 'time', CASE WHEN status IN ('met', 'not_met') THEN verdict(days IS NOT NULL OR NULL) ELSE status END, days,
       CASE WHEN status = 'not_applicable' THEN 'no origin to count from' WHEN status = 'not_evaluable' THEN relapse_reason
            WHEN days IS NULL THEN 'the date of the event is not known to the day' END,
       CASE WHEN days IS NOT NULL THEN shown(days) || ' days from ' || $origin END,
       flags, (SELECT CAST(cutoff + 2 AS TIMESTAMPTZ) FROM cut),
       list_concat(used_ids, CASE WHEN $origin = 'response' THEN coalesce(response_ids, []) ELSE [] END)
FROM answers
