"""The tables of a report, each from one statement on the serving file.

A table knows its estimand, prints every choice of the study file that it rests on, and carries the statement and the
command that give its numbers again.
"""

import duckdb

from enfold.report.model import Table
from enfold.report.question import Source
from enfold.report.sheet import Sheet
from enfold.report.tables.disposition import analysis_sets, disposition
from enfold.study import StudyFile

# in the order of a report; each makes no table, one, or one an endpoint
MAKERS = (disposition, analysis_sets)


def sheets(con: duckdb.DuckDBPyConnection, study: StudyFile) -> list[Sheet]:
    """Return every table with its numbers, in the order of a report."""
    source = Source(con, study)
    return [sheet for make in MAKERS for sheet in make(source)]


def tables(con: duckdb.DuckDBPyConnection, study: StudyFile) -> list[Table]:
    """Return every table as printed."""
    return [sheet.table() for sheet in sheets(con, study)]
