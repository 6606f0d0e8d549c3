-- What was looked for, and when: reviews merged into maximal half-open intervals.

CREATE TABLE reviews AS
SELECT r.subject_id, r.data_kind, r.from_at, u.until_at,
       site_date(r.from_at) AS from_date, site_date(u.until_at - INTERVAL 1 MICROSECOND) AS until_date,
       r.event_ids
FROM e_review r
JOIN moments o ON o.text = r.occurred
JOIN moments u ON u.text = r."until"
WHERE NOT r.contested AND u.until_at > r.from_at
  AND o.precision NOT IN ('year', 'month') AND u.precision NOT IN ('year', 'month');

CREATE TABLE islands AS
SELECT *, sum(CASE WHEN from_at <= reached THEN 0 ELSE 1 END) OVER (
              PARTITION BY subject_id, data_kind ORDER BY from_at, until_at ROWS UNBOUNDED PRECEDING) AS island
FROM (SELECT *, max(until_at) OVER (
                 PARTITION BY subject_id, data_kind ORDER BY from_at, until_at
                 ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached
      FROM reviews);

SELECT subject_id, data_kind, min(from_at) AS from_at, max(until_at) AS until_at,
       site_date(min(from_at)) AS from_date,
       site_date(max(until_at) - INTERVAL 1 MICROSECOND) AS until_date,
       list_sort(list_distinct(flatten(list(event_ids)))) AS event_ids
FROM islands GROUP BY subject_id, data_kind, island;
