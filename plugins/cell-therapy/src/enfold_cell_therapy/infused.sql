followed AS (
    -- each infusion; answers that stay open until its period ends are known then, or at the cut
    SELECT p.subject_id, p.period, p.starts_at, p.ends_at, p.starts_date, p.efficacy_anchor_at,
           coalesce(p.ends_at, CAST(c.cutoff + 2 AS TIMESTAMPTZ)) AS open_until
    FROM periods p CROSS JOIN cut c
),
