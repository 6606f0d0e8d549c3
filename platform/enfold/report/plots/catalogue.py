"""Every picture of a run, in the order in which a report shows them."""

import duckdb

from enfold.report.model import Figure
from enfold.report.plots import components, expansion, kaplan_meier, responders, spider, swimmer
from enfold.report.plots.plan import Plan, figure, only
from enfold.study import StudyFile

MODULES = (swimmer, responders, components, spider, kaplan_meier, expansion)


def plans(con: duckdb.DuckDBPyConnection, study: StudyFile) -> list[Plan]:
    """Return every picture that this study's endpoints give, not yet drawn."""
    return [plan for module in MODULES for plan in module.plans(con, study)]


def figures(con: duckdb.DuckDBPyConnection, study: StudyFile) -> list[Figure]:
    """Return every picture."""
    return [figure(con, study, plan) for plan in plans(con, study)]


def figure_of(con: duckdb.DuckDBPyConnection, study: StudyFile, key: str) -> Figure:
    """Return one picture by its key.

    Raises:
        UsageError: no picture has it; the message lists those that there are.
    """
    return figure(con, study, only(plans(con, study), key))
