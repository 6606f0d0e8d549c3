"""The report of the run in force: its tables, the numbers of its abstract, and both as files."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from enfold.errors import UsageError
from enfold.report import layout
from enfold.report.abstract import figures_of
from enfold.report.model import Table
from enfold.report.question import source
from enfold.report.tables import tables
from enfold.serve.build import current
from enfold.serve.study import connect

FORMATS = {"text": layout.as_text, "markdown": layout.as_markdown, "csv": layout.as_csv}
SUFFIXES = {"text": ".txt", "markdown": ".md", "csv": ".csv", "json": ".json"}


def report(folder: Path, key: str | None = None) -> dict[str, Any]:
    """Return the report of the run in force: `run`, `figures` (numbers of the abstract), `tables`.

    Raises:
        UsageError: nothing has been run yet, or there is no table of that key.
    """
    con = connect(current(folder))
    ((run,),) = con.execute("SELECT run FROM served").fetchall()
    made = tables(con, source(con).study)
    if key is not None:
        made = [_named(made, key)]
    return {"run": run, "figures": figures_of(con) if key is None else None, "tables": made}


def as_json(found: dict[str, Any]) -> dict[str, Any]:
    """Return a report as JSON holds it; the shape is stable: a field a figure, and `run` and `tables`."""
    return {**(found["figures"] or {}), "run": found["run"], "tables": [asdict(t) for t in found["tables"]]}


def printed(found: dict[str, Any], form: str) -> str:
    """Return a report in one of the formats."""
    if form == "json":
        return json.dumps(as_json(found), sort_keys=True, indent=1)
    blocks = [FORMATS[form](t).rstrip("\n") for t in found["tables"]]
    return "\n\n".join(blocks)


def _named(made: list[Table], key: str) -> Table:
    for table in made:
        if table.key == key:
            return table
    msg = f"there is no table `{key}`"
    raise UsageError(msg, remedy=f"Tables of this run: {', '.join(t.key for t in made)}")
