"""The course of one subject: what was done, seen and judged, in order of time, each row with its events."""

from typing import Any

import duckdb

from enfold.errors import UsageError
from enfold.report.plots.plan import literal, rows
from enfold.shipped import package_file
from enfold.study import StudyFile


def statement(study: StudyFile, subject: str) -> str:
    """Return the statement whose rows are the course; days are local days of the study's time zone."""
    text = package_file("report/course.sql")
    return text.format(subject=literal(subject), zone=literal(study.time_zone)).rstrip("\n")


def course(con: duckdb.DuckDBPyConnection, study: StudyFile, subject: str) -> list[dict[str, Any]]:
    """Return the rows of the course.

    Raises:
        UsageError: the run knows no such subject.
    """
    known(con, subject)
    return rows(con, statement(study, subject))


def known(con: duckdb.DuckDBPyConnection, subject: str) -> dict[str, Any]:
    """Return the row of a subject.

    Raises:
        UsageError: the run knows no such subject.
    """
    found = rows(con, f"SELECT * FROM subjects WHERE subject_id = {literal(subject)}")
    if not found:
        msg = "this run knows no such subject"
        raise UsageError(msg, remedy='enfold sql STUDY "SELECT subject_id FROM subjects"')
    return found[0]
