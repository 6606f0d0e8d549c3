-- Every event that every analysis row rests on: from a number to its source row.
CREATE VIEW adsrc AS
WITH used AS (
    SELECT STUDYID, USUBJID, 'ADSL' AS ADSET, 1::BIGINT AS ASEQ, unnest(event_ids) AS event_id FROM adsl
    UNION ALL SELECT STUDYID, USUBJID, 'ADAE', ASEQ, unnest(event_ids) FROM adae
    UNION ALL SELECT STUDYID, USUBJID, 'ADRS', ASEQ, unnest(event_ids) FROM adrs
    UNION ALL SELECT STUDYID, USUBJID, 'ADEFF', ASEQ, unnest(event_ids) FROM adeff
    UNION ALL SELECT STUDYID, USUBJID, 'ADTTE', ASEQ, unnest(event_ids) FROM adtte
    UNION ALL SELECT STUDYID, USUBJID, 'ADLB', ASEQ, unnest(event_ids) FROM adlb
    UNION ALL SELECT STUDYID, USUBJID, 'ADPC', ASEQ, unnest(event_ids) FROM adpc
)
SELECT u.STUDYID, u.USUBJID, u.ADSET, u.ASEQ, n.SRCDOM, n.SRCSEQ, u.event_id AS EVENTID, e.SRCSYS, e.SRCFILE, e.SRCROW
FROM used u
LEFT JOIN event_numbers n ON n.study_id = u.STUDYID AND n.subject_id = u.USUBJID AND n.event_id = u.event_id
LEFT JOIN ( -- of a contested fact, the first version that was landed
    SELECT study_id, subject_id, event_id, source_system AS SRCSYS, source_file AS SRCFILE, source_row AS SRCROW
    FROM events WHERE effective
    QUALIFY row_number() OVER (PARTITION BY study_id, subject_id, event_id ORDER BY position, content) = 1
) e ON e.study_id = u.STUDYID AND e.subject_id = u.USUBJID AND e.event_id = u.event_id;
