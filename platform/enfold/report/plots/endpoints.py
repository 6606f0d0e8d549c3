"""Which endpoints the pictures show: those that the study asks for, in the study file's order."""

import duckdb

from enfold.study import StudyFile


def responses(con: duckdb.DuckDBPyConnection, study: StudyFile) -> list[str]:
    """Return the aliases of responses judged at visits; the first is the study's leading one."""
    found = con.execute(
        "SELECT alias FROM asked WHERE met_means = 'response'"
        " AND alias IN (SELECT alias FROM verdicts WHERE grain = 'visit') ORDER BY alias"
    ).fetchall()
    place = {e.alias: i for i, e in enumerate(study.endpoints)}
    return sorted((a for (a,) in found), key=lambda a: place.get(a, len(place)))


def levels(study: StudyFile, found: set[str]) -> list[str]:
    """Return the dose levels that occur, in the study file's order, others after them."""
    declared = [level.id for level in study.dose_levels]
    return [d for d in declared if d in found] + sorted(found - set(declared))


def level_title(study: StudyFile) -> dict[str, str]:
    """Return the words for each dose level."""
    return {level.id: level.label for level in study.dose_levels}
