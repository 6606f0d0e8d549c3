-- The falls of the curve between quantified levels, for the logarithmic trapezoid.
WITH
-- {samples}
falls AS (FROM curve WHERE next_level > 0 AND next_level < level)
SELECT subject_id, period, next_day - day AS days, level AS high, next_level AS low FROM falls
ORDER BY subject_id, period, day
