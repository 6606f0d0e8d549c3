"""Rules that analysis datasets keep, after CDISC's conformance rules for ADaM: each a query whose answer must be empty."""

BASIC = ("adrs", "adeff", "adtte", "adlb", "adpc")

RULES = {
    "ADSL holds each subject once": "SELECT USUBJID FROM adsl GROUP BY ALL HAVING count(*) > 1",
    "no reason to discontinue where the study was completed": "FROM adsl WHERE EOSSTT = 'COMPLETED' AND DCSREAS IS NOT NULL",
    "an end of study has its date": "FROM adsl WHERE EOSSTT IN ('COMPLETED', 'DISCONTINUED') AND EOSDT IS NULL",
    "who goes on has no end": "FROM adsl WHERE EOSSTT = 'ONGOING' AND EOSDT IS NOT NULL",
    "treatment ends after it began": "FROM adsl WHERE TRTEDT < TRTSDT OR TRTDURD <> TRTEDT - TRTSDT + 1",
    "treated and in the safety population are one": "FROM adsl WHERE (TRTSDT IS NOT NULL) <> (SAFFL = 'Y')",
    "nobody is last known alive after death": "FROM adsl WHERE LSTALVDT > DTHDT",
    "an age has a unit": "FROM adsl WHERE (AGE IS NULL) <> (AGEU IS NULL)",
    "dead and flagged are one": "FROM adsl WHERE DTHDT IS NOT NULL AND DTHFL IS NULL",
    "no study day 0 in ADAE": "FROM adae WHERE ASTDY = 0 OR AENDY = 0",
    "days of ADAE follow from dates": """
        FROM adae WHERE ASTDY <> ASTDT - TRTSDT + CASE WHEN ASTDT >= TRTSDT THEN 1 ELSE 0 END
            OR AENDY <> AENDT - TRTSDT + CASE WHEN AENDT >= TRTSDT THEN 1 ELSE 0 END OR ADURN <> AENDT - ASTDT + 1""",
    "a treatment-emergent event does not begin before treatment": "FROM adae WHERE TRTEMFL = 'Y' AND ASTDT < TRTSDT",
    "one first event for each subject with any": """
        SELECT USUBJID FROM adae GROUP BY ALL
        HAVING count(*) FILTER (AOCCFL = 'Y') <> CASE WHEN count(*) FILTER (TRTEMFL = 'Y') > 0 THEN 1 ELSE 0 END""",
    "one first event for each system with any": """
        SELECT USUBJID, AEBODSYS FROM adae GROUP BY ALL
        HAVING count(*) FILTER (AOCCSFL = 'Y') <> CASE WHEN count(*) FILTER (TRTEMFL = 'Y') > 0 THEN 1 ELSE 0 END""",
    "one first event for each term with any": """
        SELECT USUBJID, AEBODSYS, AETERM FROM adae GROUP BY ALL
        HAVING count(*) FILTER (AOCCPFL = 'Y') <> CASE WHEN count(*) FILTER (TRTEMFL = 'Y') > 0 THEN 1 ELSE 0 END""",
    "AVAL of a verdict follows from AVALC": """
        FROM adrs WHERE AVAL IS DISTINCT FROM CASE AVALC WHEN 'MET' THEN 1 WHEN 'NOT MET' THEN 0 END""",
    "imputation changes nothing but the unknown": "FROM adrs WHERE AVALCI <> AVALC AND AVALC <> 'NOT EVALUABLE'",
    "bounds hold the value": "FROM adeff WHERE AVAL < LOWER OR AVAL > UPPER",
    "censored or not": "FROM adtte WHERE (AVAL IS NULL) <> (CNSR IS NULL) OR (AVAL IS NULL) <> (AVALU IS NULL)",
    "no time to event before its origin": "FROM adtte WHERE AVAL < 0 OR ADT < STARTDT",
    "a limit is no number": "FROM adlb WHERE AVAL IS NOT NULL AND (AVALC LIKE '<%' OR AVALC LIKE '>%')",
    "range indicators follow": """
        FROM adlb WHERE ANRIND IS DISTINCT FROM CASE WHEN AVAL < ANRLO THEN 'LOW' WHEN AVAL > ANRHI THEN 'HIGH'
                                                WHEN AVAL BETWEEN ANRLO AND ANRHI THEN 'NORMAL' END""",
    **{
        f"{name.upper()}: a parameter has one code": f"""
            SELECT PARAMCD FROM {name} GROUP BY PARAMCD HAVING count(DISTINCT PARAM) > 1
            UNION ALL SELECT PARAM FROM {name} GROUP BY PARAM HAVING count(DISTINCT PARAMCD) > 1"""
        for name in BASIC
    },
    **{
        f"{name.upper()}: a code has 1 to 8 characters and begins with a letter": f"""
            FROM {name} WHERE NOT regexp_full_match(PARAMCD, '[A-Z][A-Z0-9_]{{0,7}}')"""
        for name in BASIC
    },
    **{
        f"{name.upper()}: one baseline, and the change from it": f"""
            SELECT USUBJID FROM {name} GROUP BY USUBJID, PARAMCD
            HAVING count(*) FILTER (ABLFL = 'Y') > 1 OR count(DISTINCT BASE) > 1
                OR count(*) FILTER (CHG <> AVAL - BASE) > 0 OR count(*) FILTER (ABLFL = 'Y' AND BASE <> AVAL) > 0
                OR count(*) FILTER (CHG IS NOT NULL AND (AVAL IS NULL OR BASE IS NULL)) > 0"""
        for name in ("adeff", "adlb")
    },
    **{
        f"{name.upper()}: who is in it is in ADSL, with the same arm and dates": f"""
            SELECT a.USUBJID FROM {name} a LEFT JOIN adsl s USING (STUDYID, USUBJID)
            WHERE s.USUBJID IS NULL OR a.TRTP IS DISTINCT FROM s.TRT01P OR a.TRTSDT IS DISTINCT FROM s.TRTSDT
               OR a.AGE IS DISTINCT FROM s.AGE OR a.SEX IS DISTINCT FROM s.SEX OR a.SAFFL IS DISTINCT FROM s.SAFFL"""
        for name in ("adae", *BASIC)
    },
    **{
        f"{name.upper()}: ASEQ counts from 1 within the subject": f"""
            SELECT USUBJID FROM {name} GROUP BY USUBJID
            HAVING min(ASEQ) <> 1 OR max(ASEQ) <> count(*) OR count(DISTINCT ASEQ) <> count(*)"""
        for name in ("adae", *BASIC)
    },
}
