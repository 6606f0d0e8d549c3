-- Clinical time: ISO 8601 text as collected, possibly partial, becomes a half-open UTC interval.
-- A year is a year long, a day a local day (23 to 25 h), a minute a minute.
-- The zone is the text's offset, else its [Area/City], else the study's.

CREATE MACRO when_day(t) AS regexp_extract(t, '^([0-9]{4}(-[0-9]{2}){0,2})', 1);
CREATE MACRO when_clock(t) AS regexp_extract(t, 'T([0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?)', 1);
CREATE MACRO when_offset(t) AS regexp_extract(t, 'T[0-9:.]+(Z|[+-][0-9]{2}:[0-9]{2})', 1);
CREATE MACRO when_zone(t) AS regexp_extract(t, '\[(.+)\]', 1);

CREATE MACRO when_precision(t) AS
    CASE WHEN t IS NULL THEN NULL
         WHEN when_clock(t) <> '' THEN
             CASE length(when_clock(t)) WHEN 5 THEN 'minute' WHEN 8 THEN 'second' ELSE 'fraction' END
         ELSE CASE length(when_day(t)) WHEN 4 THEN 'year' WHEN 7 THEN 'month' ELSE 'day' END END;

CREATE MACRO when_local(t) AS
    CAST(CASE length(when_day(t)) WHEN 4 THEN when_day(t) || '-01-01'
                                  WHEN 7 THEN when_day(t) || '-01' ELSE when_day(t) END
         || ' ' || CASE WHEN when_clock(t) = '' THEN '00:00:00'
                        WHEN length(when_clock(t)) = 5 THEN when_clock(t) || ':00'
                        ELSE when_clock(t) END AS TIMESTAMP);

CREATE MACRO when_local_end(t) AS
    when_local(t) + CASE when_precision(t)
        WHEN 'year' THEN INTERVAL 1 YEAR WHEN 'month' THEN INTERVAL 1 MONTH
        WHEN 'day' THEN INTERVAL 1 DAY WHEN 'minute' THEN INTERVAL 1 MINUTE
        WHEN 'second' THEN INTERVAL 1 SECOND ELSE INTERVAL 1 MICROSECOND END;

CREATE MACRO at_utc(t, local_time) AS
    CASE WHEN t IS NULL THEN NULL
         WHEN when_offset(t) <> '' THEN
             CAST(strftime(local_time, '%Y-%m-%d %H:%M:%S.%f')
                  || replace(when_offset(t), 'Z', '+00:00') AS TIMESTAMPTZ)
         ELSE timezone(CASE WHEN when_zone(t) = '' THEN getvariable('time_zone') ELSE when_zone(t) END,
                       local_time) END;

CREATE MACRO when_from(t) AS at_utc(t, when_local(t));
CREATE MACRO when_until(t) AS at_utc(t, when_local_end(t));
-- local calendar date, only where the day was collected
CREATE MACRO when_date(t) AS CASE WHEN length(when_day(t)) = 10 THEN CAST(when_day(t) AS DATE) END;
-- study day without day 0, and with the infusion on day 0
CREATE MACRO study_day(d, day_one) AS CASE WHEN d >= day_one THEN d - day_one + 1 ELSE d - day_one END;
CREATE MACRO site_date(moment) AS CAST(timezone(getvariable('time_zone'), moment) AS DATE);
CREATE MACRO completed_years(born, later) AS
    CAST(year(later) - year(born)
         - CASE WHEN (month(later), day(later)) < (month(born), day(born)) THEN 1 ELSE 0 END AS BIGINT);
