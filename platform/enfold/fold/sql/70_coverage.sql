-- What was looked for, and when: reviews merged into maximal half-open intervals.

CREATE TABLE reviews AS
SELECT subject_id, data_kind, from_at, when_until("until") AS until_at,
       site_date(from_at) AS from_date, site_date(when_until("until") - INTERVAL 1 MICROSECOND) AS until_date,
       event_ids
FROM e_review
WHERE NOT contested AND from_at IS NOT NULL AND when_until("until") > from_at
  AND when_precision(occurred) NOT IN ('year', 'month')
  AND when_precision("until") NOT IN ('year', 'month');

CREATE TABLE islands AS
SELECT *, sum(CASE WHEN from_at <= reached THEN 0 ELSE 1 END) OVER (
              PARTITION BY subject_id, data_kind ORDER BY from_at, until_at ROWS UNBOUNDED PRECEDING) AS island
FROM (SELECT *, max(until_at) OVER (
                 PARTITION BY subject_id, data_kind ORDER BY from_at, until_at
                 ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached
      FROM reviews);

CREATE TABLE coverage AS
SELECT subject_id, data_kind, min(from_at) AS from_at, max(until_at) AS until_at,
       site_date(min(from_at)) AS from_date,
       site_date(max(until_at) - INTERVAL 1 MICROSECOND) AS until_date,
       list_sort(list_distinct(flatten(list(event_ids)))) AS event_ids
FROM islands GROUP BY subject_id, data_kind, island;
