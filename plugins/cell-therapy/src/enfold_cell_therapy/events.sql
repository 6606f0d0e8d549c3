events AS (
    -- adverse events with the first day on which they may have begun; a partial date is a month or a year, and 15 days
    -- after its first instant lie in it wherever the site is
    SELECT *, coalesce(from_date, CAST(date_trunc(part, from_at + INTERVAL 15 DAY) AS DATE)) AS first_day
    FROM (SELECT *, CASE WHEN from_latest - from_at > INTERVAL 40 DAY THEN 'year' ELSE 'month' END AS part
          FROM occurrences WHERE kind = 'adverse_event')
),
