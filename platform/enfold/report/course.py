"""The course of one subject: what was done, seen and judged, in order of time, each row with its events."""

from decimal import Decimal
from typing import Any

import duckdb

from enfold.errors import UsageError
from enfold.quoting import literal
from enfold.report.plots.plan import rows
from enfold.shipped import package_file
from enfold.study import StudyFile

Row = dict[str, Any]

FINDINGS = """\
SELECT instrument, date, infusion_day AS day, visit_id, item, comparator, value_number, value_code, value_text, unit,
       doubt, event_ids
FROM findings WHERE subject_id = {subject}
ORDER BY instrument, from_at, occasion_id, item, finding_id"""


def statement(study: StudyFile, subject: str) -> str:
    """Return the statement whose rows are the course; days are local days of the study's time zone."""
    text = package_file("report/course.sql")
    return text.format(subject=literal(subject), zone=literal(study.time_zone)).rstrip("\n")


def course(con: duckdb.DuckDBPyConnection, study: StudyFile, subject: str) -> dict[str, Any]:
    """Return `subject` (who it is), `course` (rows of course.sql) and `findings` (every item observed).

    Raises:
        UsageError: the run knows no such subject.
    """
    who = rows(con, f"SELECT * FROM subjects WHERE subject_id = {literal(subject)}")
    if not who:
        msg = "this run knows no such subject"
        raise UsageError(msg, remedy='enfold sql STUDY "SELECT subject_id FROM subjects"')
    return {
        "subject": who[0],
        "course": rows(con, statement(study, subject)),
        "findings": rows(con, FINDINGS.format(subject=literal(subject))),
    }


def facts(who: Row) -> dict[str, str]:
    """Return who a subject is, in words; what is not known is left out."""
    named = {
        "Sex": who["sex"],
        "Age": None if who["age_years"] is None else f"{who['age_years']} years",
        "Site": who["site"],
        "Arm": who["arm"],
        "Dose level": who["dose_level"],
        "Lymphodepletion": who["conditioning"],
        "Consent": who["consent_date"],
        "First infusion (day 0)": who["infusion_date"],
        "Last contact": who["last_contact_date"],
        "Discontinued": who["discontinued_date"],
        "Died": who["death_date"],
        "Status": who["status"].replace("_", " "),
    }
    return {k: str(v) for k, v in named.items() if v is not None}


def value(row: Row) -> str:
    """Return the value of a row of the course in words, bounds where it is not known exactly."""
    unit = f" {row['unit']}" if row["unit"] else ""
    if row["value"] is not None:
        if row["unit"] == "grade":
            upper = row["upper"]
            open_ = f" (at most {number(upper)})" if upper not in (None, row["value"]) else ""
            return f"grade {number(row['value'])}{open_}"
        comparator = f"{row['said']} " if row["track"] == "level" and row["said"] else ""
        return f"{comparator}{number(row['value'])}{unit}"
    if row["lower"] is not None and row["upper"] is not None:
        return f"between {number(row['lower'])} and {number(row['upper'])}{unit}"
    return ""


def said(row: Row) -> str:
    """Return what a row of the course says beside its value."""
    if row["track"] == "level":
        return ""
    return ", ".join(str(part) for part in (row["status"], row["said"]) if part)


def observed(row: Row) -> str:
    """Return what a finding says in words, or why nothing is known."""
    parts = (row["value_code"], row["value_text"], row["doubt"] and f"not known: {row['doubt'].replace('_', ' ')}")
    words = [str(p) for p in parts if p]
    if row["value_number"] is not None:
        exact = " ".join(filter(None, (row["comparator"], number(row["value_number"]), row["unit"])))
        words.insert(0, exact)
    return ", ".join(words)


def number(exact: Decimal) -> str:
    """Return a decimal without needless digits."""
    return f"{exact.normalize():f}"
