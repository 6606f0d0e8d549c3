"""What a picture is before it is drawn: a statement, and a pure function from the statement's rows to a specification.

Nothing but those rows is drawn, so whoever runs the statement has what the picture shows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import duckdb

from enfold.errors import UsageError
from enfold.report.model import Figure
from enfold.report.plots import svg
from enfold.report.plots.style import plain, titled
from enfold.study import StudyFile

Row = dict[str, Any]


@dataclass(frozen=True)
class Drawn:
    """A drawing without its title.

    Args:
        spec: Vega-Lite, without title, config and `$schema`; or one sentence where there is nothing to draw.
        alt: what it shows, in words and counts.
        footnotes: conventions of the drawing.
    """

    spec: dict[str, Any] | str
    alt: str
    footnotes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A picture that can be drawn from a serving file.

    Args:
        key: stable id, used as anchor and file name.
        title: what it shows, with the population in words.
        sql: the statement; it orders its rows fully.
        draw: from the rows to the drawing.
        command: the command line that writes it alone; as `enfold report` writes it where it is empty.
    """

    key: str
    title: str
    sql: str
    draw: Callable[[list[Row]], Drawn]
    command: str = ""


def rows(con: duckdb.DuckDBPyConnection, sql: str) -> list[Row]:
    """Return the rows of a statement as dicts."""
    found = con.execute(sql)
    names = [d[0] for d in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def figure(con: duckdb.DuckDBPyConnection, study: StudyFile, plan: Plan) -> Figure:
    """Return the picture of a plan."""
    return drawn(plan, rows(con, plan.sql), study)


def drawn(plan: Plan, found: list[Row], study: StudyFile) -> Figure:
    """Return the picture of a plan from the rows of its statement."""
    drawing = plan.draw(found)
    spec = plain(drawing.spec) if isinstance(drawing.spec, str) else drawing.spec
    whole = titled(spec, plan.title, synthetic=study.synthetic)
    alt = f"{'Synthetic data. ' if study.synthetic else ''}{drawing.alt}"
    return Figure(
        key=plan.key,
        title=plan.title,
        svg=svg.from_spec(whole, title=plan.title, description=alt),
        alt=alt,
        footnotes=drawing.footnotes,
        sql=plan.sql,
        command=plan.command or f"enfold report STUDY --figure {plan.key}",
    )


def only(plans: list[Plan], key: str) -> Plan:
    """Return the plan of a key.

    Raises:
        UsageError: no picture has this key.
    """
    for plan in plans:
        if plan.key == key:
            return plan
    msg = f"no figure is called `{key}`"
    raise UsageError(msg, remedy=f"Figures of this run: {', '.join(p.key for p in plans)}.")
