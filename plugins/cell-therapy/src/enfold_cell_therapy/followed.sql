followed AS (
    -- each infusion with the days (infusion = 0) that bound what it can answer: the day before the next infusion or the
    -- day of death, the cut, and the last contact; `seen_day` is the cut, or without one the last contact
    SELECT p.subject_id, p.period, p.starts_at, p.ends_at, p.starts_date, p.efficacy_anchor_at, c.cutoff,
           coalesce(n.starts_date, CAST(n.starts_at AS DATE)) AS next_date,
           least(coalesce(n.starts_date, CAST(n.starts_at AS DATE)) - p.starts_date - 1,
                 s.death_date - p.starts_date) AS last_day,
           s.death_date, s.death_date - p.starts_date AS death_day,
           coalesce(c.cutoff, s.last_contact_date) - p.starts_date AS seen_day,
           least(c.cutoff, s.last_contact_date) - p.starts_date AS contact_day,
           -- answers that stay open until the period ends are known then, or at the cut
           coalesce(p.ends_at, CAST(c.cutoff + 2 AS TIMESTAMPTZ)) AS open_until
    FROM periods p JOIN subjects s USING (subject_id) CROSS JOIN cut c
    LEFT JOIN periods n ON n.subject_id = p.subject_id AND n.period = p.period + 1
),
