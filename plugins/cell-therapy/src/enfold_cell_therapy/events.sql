events AS (
    -- adverse events with the first and last day on which they may have begun; a partial date is a month or a year
    SELECT o.*, coalesce(from_date, CAST(date_trunc(part, middle) AS DATE)) AS first_day,
           coalesce(from_date, CAST(date_trunc(part, middle) + CASE part WHEN 'year' THEN INTERVAL 1 YEAR
                                                                    ELSE INTERVAL 1 MONTH END
                                    - INTERVAL 1 DAY AS DATE)) AS final_day
    FROM (SELECT *, CASE WHEN from_latest - from_at > INTERVAL 40 DAY THEN 'year' ELSE 'month' END AS part,
                 CAST(from_at + CASE WHEN from_latest - from_at > INTERVAL 40 DAY THEN INTERVAL 180 DAY
                                     ELSE INTERVAL 15 DAY END AS DATE) AS middle
          FROM occurrences WHERE kind = 'adverse_event') o
),
