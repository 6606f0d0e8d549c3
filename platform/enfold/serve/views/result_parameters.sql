-- A code of at most 8 characters for each item and unit of the laboratory and of cell kinetics: the item where it fits
-- and is the only one of its name, else its first letters and a number within them.
CREATE VIEW result_parameters AS
WITH units AS (
    SELECT DISTINCT instrument, item, unit FROM findings WHERE instrument IN ('LABORATORY', 'SDTM_LB', 'CELL_KINETICS')
),
known AS ( -- a result without a unit goes with the first unit of its item
    SELECT DISTINCT instrument, item, coalesce(unit, min(unit) OVER (PARTITION BY instrument, item)) AS unit FROM units
),
plain AS (
    SELECT *, upper(regexp_replace(item, '^[^A-Za-z]+|[^A-Za-z0-9_]', '', 'g')) AS letters FROM known
),
numbered AS (
    SELECT *, count(*) OVER (PARTITION BY letters) AS namesakes,
           CAST(row_number() OVER (PARTITION BY left(letters, 5) ORDER BY letters, instrument, item, unit) AS VARCHAR) AS number
    FROM plain
)
SELECT instrument, item, unit,
       CASE WHEN length(letters) BETWEEN 1 AND 8 AND namesakes = 1 THEN letters
            ELSE left(letters, 5) || CASE WHEN length(number) = 1 THEN '0' ELSE '' END || number END AS PARAMCD,
       item || coalesce(' (' || unit || ')', '') AS PARAM,
       unit IS NOT DISTINCT FROM min(unit) OVER (PARTITION BY instrument, item) AS first_unit
FROM numbered;
