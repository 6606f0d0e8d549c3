"""The tables of a report, each from one statement on the serving file.

A table knows its estimand, prints every choice of the study file that it rests on, and carries the statement and the
command that give its numbers again.
"""

import duckdb

from enfold.report.model import Table
from enfold.report.published import Published
from enfold.report.question import Source
from enfold.report.sheet import Sheet
from enfold.report.tables.abstract import abstract
from enfold.report.tables.association import expansion, expansion_associations, response_associations
from enfold.report.tables.baseline import baseline
from enfold.report.tables.course import follow_up, relapse_times, relapses, times
from enfold.report.tables.disposition import analysis_sets, disposition
from enfold.report.tables.estimands import estimands
from enfold.report.tables.events import adverse_events, deviations
from enfold.report.tables.response import responses
from enfold.report.tables.toxicity import courses, grades, limiting
from enfold.study import StudyFile

# in the order of a report; each makes no table, one, or one an endpoint
MAKERS = (
    disposition, analysis_sets, baseline, responses, times, relapses, relapse_times, follow_up, grades, courses,
    limiting, adverse_events, expansion, response_associations, expansion_associations, deviations,
)  # fmt: skip
OF_OTHERS = ("abstract", "estimand-tables")  # made from the other tables


def sheets(
    con: duckdb.DuckDBPyConnection, study: StudyFile, published: Published | None = None, only: str | None = None
) -> list[Sheet]:
    """Return every table with its numbers, in the order of a report; or the one of a key, if there is one."""
    source = Source(con, study, None if only in OF_OTHERS else only)
    made = [sheet for make in MAKERS for sheet in make(source)]
    if only is None or only in OF_OTHERS:
        made = [*abstract(source, made, published), *estimands(source, made), *made]
    return made if only is None else [s for s in made if s.key == only]


def tables(con: duckdb.DuckDBPyConnection, study: StudyFile) -> list[Table]:
    """Return every table as printed."""
    return [sheet.table() for sheet in sheets(con, study)]
