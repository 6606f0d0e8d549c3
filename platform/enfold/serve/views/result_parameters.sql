-- A code of at most 8 characters for each item and unit of the laboratory and of cell kinetics: the item where it fits
-- and is the only one of its name, else its first letters and a number within them.
CREATE VIEW result_parameters AS
WITH units AS (
    SELECT DISTINCT instrument, item, unit FROM findings WHERE instrument IN ('LABORATORY', 'SDTM_LB', 'CELL_KINETICS')
),
known AS ( -- a result without a unit goes with the first unit of its item
    SELECT DISTINCT instrument, item, coalesce(unit, min(unit) OVER (PARTITION BY instrument, item)) AS unit FROM units
),
plain AS ( -- the same item in the same unit is one parameter, whichever instrument holds it
    SELECT DISTINCT item, unit,
           upper(coalesce(nullif(regexp_replace(item, '^[^A-Za-z]+|[^A-Za-z0-9_]', '', 'g'), ''), 'P')) AS letters
    FROM known
),
numbered AS (
    SELECT *, count(*) OVER (PARTITION BY letters) AS namesakes,
           CAST(row_number() OVER (PARTITION BY left(letters, 5) ORDER BY letters, item, unit) AS VARCHAR) AS number
    FROM plain
)
SELECT k.instrument, k.item, k.unit,
       CASE WHEN length(n.letters) <= 8 AND n.namesakes = 1 THEN n.letters
            ELSE left(n.letters, 5) || CASE WHEN length(n.number) = 1 THEN '0' ELSE '' END || n.number END AS PARAMCD,
       k.item || coalesce(' (' || k.unit || ')', '') AS PARAM,
       k.unit IS NOT DISTINCT FROM min(k.unit) OVER (PARTITION BY k.instrument, k.item) AS first_unit
FROM known k JOIN numbered n ON n.item = k.item AND n.unit IS NOT DISTINCT FROM k.unit;
