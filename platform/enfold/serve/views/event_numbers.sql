-- The events that stand, numbered within subject and type by event id: what SRCDOM and SRCSEQ of analysis rows refer to.
CREATE VIEW event_numbers AS
SELECT study_id, subject_id, event_id, upper(event_type) AS SRCDOM,
       row_number() OVER (PARTITION BY study_id, subject_id, event_type ORDER BY event_id) AS SRCSEQ
FROM (SELECT DISTINCT study_id, subject_id, event_type, event_id FROM events WHERE effective);
