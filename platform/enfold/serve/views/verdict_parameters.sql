-- A code of at most 8 characters for each criterion and measure: first letters of the alias and a number within them.
CREATE VIEW verdict_parameters AS
WITH named AS (
    SELECT DISTINCT 'verdict' AS source, alias, criterion AS part FROM verdicts
    UNION ALL
    SELECT DISTINCT 'measure', alias, measure FROM derived
),
lettered AS (
    SELECT *, upper(left(coalesce(nullif(regexp_replace(alias, '^[^A-Za-z]+|[^A-Za-z0-9]', '', 'g'), ''), 'P'), 5)) AS letters
    FROM named
),
numbered AS (
    SELECT *, CAST(row_number() OVER (PARTITION BY source, letters ORDER BY alias, part <> 'overall', part) AS VARCHAR)
                  AS number
    FROM lettered
)
SELECT source, alias, part, letters || CASE WHEN length(number) = 1 THEN '0' ELSE '' END || number AS PARAMCD,
       alias || ': ' || part AS PARAM
FROM numbered;
