-- Dose intervals. Prednisone equivalents are whole sixtieths of a microgram, so that every published
-- factor (5/4, 20/3, 25/3, 5/6, 1/4, 1/5) stays exact for doses given to the microgram.

CREATE TABLE prednisone_factor (substance VARCHAR, units_per_mg BIGINT);
INSERT INTO prednisone_factor VALUES
    ('prednisone', 60000), ('prednisolone', 60000),  -- 5 mg
    ('methylprednisolone', 75000),                   -- 4 mg
    ('triamcinolone', 75000),                        -- 4 mg
    ('hydrocortisone', 15000),                       -- 20 mg
    ('cortisone', 12000),                            -- 25 mg
    ('dexamethasone', 400000),                       -- 0.75 mg
    ('betamethasone', 500000),                       -- 0.6 mg
    ('deflazacort', 50000);                          -- 6 mg

CREATE TABLE frequencies (frequency VARCHAR, every_n_days BIGINT, doses_per_dosing_day BIGINT);
INSERT INTO frequencies VALUES
    ('once', NULL, 1), ('daily', 1, 1), ('twice_daily', 1, 2), ('three_times_daily', 1, 3),
    ('four_times_daily', 1, 4), ('every_2_days', 2, 1), ('every_3_days', 3, 1), ('weekly', 7, 1),
    ('every_2_weeks', 14, 1), ('every_4_weeks', 28, 1);

CREATE TABLE courses AS
SELECT subject_id, fact_id AS exposure_id, 'infusion' AS kind, product AS substance,
       CASE role WHEN 'lymphodepletion' THEN 'lymphodepletion' ELSE 'study_product' END AS drug_class,
       role, NULL AS indication, NULL AS outcome, NULL AS change_reason,
       dose, unit, frequency, route, ended, NULL AS ongoing, occurred, from_at, from_latest, from_date,
       contested, event_ids
FROM e_infusion
UNION ALL
SELECT subject_id, fact_id, 'medication', substance, drug_class, role, indication, outcome, change_reason,
       dose, unit, frequency, route, ended, ongoing, occurred, from_at, from_latest, from_date,
       contested, event_ids
FROM e_medication;

CREATE TABLE in_units AS
SELECT c.*, f.every_n_days, f.doses_per_dosing_day,
       CASE WHEN c.drug_class <> 'glucocorticoid' OR c.route IS NULL
              OR c.route NOT IN ('oral', 'intravenous', 'intramuscular', 'subcutaneous', 'rectal') THEN NULL
            WHEN c.dose = 0 THEN 0
            WHEN c.unit IN ('mg', 'g', 'ug') THEN
                c.dose * p.units_per_mg * f.doses_per_dosing_day
                * CASE c.unit WHEN 'g' THEN 1000 ELSE 1 END
            END AS thousandfold,
       CASE c.unit WHEN 'ug' THEN 1000 ELSE 1 END AS divisor
FROM courses c
LEFT JOIN frequencies f USING (frequency)
LEFT JOIN prednisone_factor p USING (substance);

SELECT u.subject_id, CASE WHEN s.infusion_at IS NOT NULL THEN coalesce(q.period, 1) END AS period,
       u.exposure_id, u.kind, u.substance, u.drug_class, u.role, u.indication, u.outcome, u.change_reason,
       u.dose, u.unit, u.frequency, u.every_n_days, u.doses_per_dosing_day, u.route,
       u.from_at, u.from_latest, u.from_date,
       CASE WHEN e.precision NOT IN ('year', 'month') THEN e.until_at
            WHEN u.frequency = 'once' THEN u.from_latest END AS until_at,
       CASE WHEN u.ended IS NOT NULL THEN e.date
            WHEN u.frequency = 'once' THEN u.from_date END AS until_date,
       u.ongoing,
       CAST(o.local_from AS DATE) AS first_day_earliest,
       CAST(o.local_until - INTERVAL 1 MICROSECOND AS DATE) AS first_day_latest,
       CASE WHEN u.ended IS NOT NULL THEN CAST(e.local_from AS DATE)
            WHEN u.frequency = 'once' THEN CAST(o.local_from AS DATE) END AS last_day_earliest,
       CASE WHEN u.ended IS NOT NULL THEN CAST(e.local_until - INTERVAL 1 MICROSECOND AS DATE)
            WHEN u.frequency = 'once' THEN CAST(o.local_until - INTERVAL 1 MICROSECOND AS DATE)
            END AS last_day_latest,
       CASE WHEN u.thousandfold IS NULL THEN NULL
            WHEN u.thousandfold = 0 THEN 0
            WHEN u.thousandfold % u.divisor = 0 AND trunc(u.thousandfold) = u.thousandfold
                THEN CAST(u.thousandfold AS BIGINT) // u.divisor END AS prednisone_units_per_dosing_day,
       u.contested, u.event_ids
FROM in_units u
JOIN subjects s USING (subject_id)
LEFT JOIN moments o ON o.text = u.occurred
LEFT JOIN moments e ON e.text = u.ended
ASOF LEFT JOIN periods q ON q.subject_id = u.subject_id AND u.from_at >= q.starts_at;
