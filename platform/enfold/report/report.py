"""The report of a run: its tables, the numbers of its abstract, its analysis results; as text, and as files."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from enfold.errors import UsageError
from enfold.ledger import storage
from enfold.report import layout
from enfold.report.abstract import figures_of
from enfold.report.published import Published
from enfold.report.question import source
from enfold.report.results import compare, results, write
from enfold.report.tables import sheets
from enfold.serve.build import current
from enfold.serve.study import connect, kept_results

FORMATS = {"text": layout.as_text, "markdown": layout.as_markdown, "csv": layout.as_csv}


def report(
    folder: Path, key: str | None = None, published: Published | None = None, *, figures: bool = False
) -> dict[str, Any]:
    """Return the report of the run in force: `run`, `figures` (numbers of the abstract), `tables`, `results`.

    Figures are those that JSON holds beside the tables; without `figures`, or of one table alone, there are none.

    The results of a whole report are kept beside the serving file, for `enfold sql`; of a study folder that may not be
    written to they are not.

    Raises:
        UsageError: nothing has been run yet, or there is no table of that key.
    """
    file = current(folder)
    found = _of(file, published, key, figures=figures and key is None)
    if key is not None and not found["tables"]:
        keys = [t.key for t in _of(file, None)["tables"]]
        raise UsageError(f"there is no table `{key}`", remedy=f"Tables of this run: {', '.join(keys)}")
    if key is None and published is None and os.access(file.parent, os.W_OK):
        write(kept_results(file), found["results"])
    return found


def moved(folder: Path, before: Path) -> list[dict[str, Any]]:
    """Return every number that differs from the report of an earlier serving file to that of the run in force."""
    was, now = (_of(file, None)["results"] for file in (before, current(folder)))
    return compare(was, now)


def _of(file: Path, published: Published | None, key: str | None = None, *, figures: bool = False) -> dict[str, Any]:
    con = connect(file)
    made = sheets(con, source(con).study, published, key)
    ((run,),) = con.execute("SELECT run FROM served").fetchall()
    return {
        "run": run,
        "figures": figures_of(con) if figures else None,
        "tables": [s.table() for s in made],
        "results": results(run, made),
    }


def as_json(found: dict[str, Any]) -> dict[str, Any]:
    """Return a report as JSON holds it; the shape is stable: a field a figure, and `run` and `tables`."""
    return {**(found["figures"] or {}), "run": found["run"], "tables": [asdict(t) for t in found["tables"]]}


def printed(found: dict[str, Any], form: str) -> str:
    """Return a report in one of the formats."""
    if form == "json":
        return json.dumps(as_json(found), sort_keys=True, indent=1)
    return "\n\n".join(FORMATS[form](t).rstrip("\n") for t in found["tables"])


def write_files(found: dict[str, Any], target: Path) -> list[str]:
    """Write a report into a folder, and return the names of the files: all that is printed, and the results.

    Raises:
        FileExistsError: one of them is there already; nothing is written then.
    """
    files = {f"{t.key}.csv": layout.as_csv(t).encode() for t in found["tables"]}
    files["report.md"] = (printed(found, "markdown") + "\n").encode()
    files["report.json"] = (printed(found, "json") + "\n").encode()
    names = sorted([*files, "analysis_results.parquet"])
    for name in names:
        if (target / name).exists():
            raise FileExistsError(name)
    target.mkdir(parents=True, exist_ok=True)
    for name, data in sorted(files.items()):
        storage.create(target / name, data)
    write(target / "analysis_results.parquet", found["results"])
    return names
