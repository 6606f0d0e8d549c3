-- One row per criterion of eligibility and conduct that is not met, with the events that show it.
CREATE VIEW deviations AS
SELECT study_id, subject_id, period, visit_id, alias, criterion, reason, compared, flags, event_ids
FROM verdicts
WHERE id IN ('eligibility', 'conduct', 'visit_timing') AND status = 'not_met' AND criterion <> 'overall';
