-- Quartile q (1, 2, 3) of sorted values, exactly: definition 2 or 7 of Hyndman and Fan (Am Stat 1996;50:361).
-- The macros below take a list of decimals in rising order; of an empty list the answer is empty.
CREATE MACRO quartile_2(v, q) AS
    CASE WHEN len(v) = 0 THEN NULL
         WHEN len(v) * q % 4 = 0 THEN (v[len(v) * q // 4] + v[len(v) * q // 4 + 1]) * 0.5
         ELSE v[len(v) * q // 4 + 1] * 1.0 END;
CREATE MACRO quartile_7(v, q) AS
    CASE WHEN len(v) = 0 THEN NULL
         WHEN (len(v) - 1) * q % 4 = 0 THEN v[(len(v) - 1) * q // 4 + 1] * 1.00
         ELSE v[(len(v) - 1) * q // 4 + 1]
              + (v[(len(v) - 1) * q // 4 + 2] - v[(len(v) - 1) * q // 4 + 1]) * ((len(v) - 1) * q % 4) * 0.25 END;
