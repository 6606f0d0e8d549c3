"""ADaM out: the analysis views of a run, as `schemas/adam/` specifies them, in files of one format."""

from contextlib import closing
from pathlib import Path

import duckdb

from enfold.errors import UsageError
from enfold.ledger.ledger import Ledger
from enfold.run import manifest
from enfold.serve import build, define, write, write_xpt
from enfold.serve.files import File
from enfold.serve.specification import ARROW, Dataset, adam
from enfold.serve.study import connect

SUBMITTED = ("xpt", "dataset-json", "dataset-ndjson")  # formats that Define-XML goes with


def export(folder: Path, run: str, target: Path, form: str = "parquet") -> dict[str, int]:
    """Write a file for each dataset that has rows, and define.xml beside formats of submission; return rows by file.

    Args:
        folder: the study folder.
        run: the run whose views are written.
        target: a folder that does not exist yet.
        form: one of `write.FORMATS`.

    Raises:
        UsageError: the folder exists, a library is missing, or a value has no place in the format; nothing was written.
    """
    write.is_new(target)
    if form == "xpt":
        write_xpt.libraries()
    if form in SUBMITTED:
        define.libraries()  # what is missing is said before anything is computed
    position = manifest.read(folder, run)["pins"]["position"]
    made, about = write.stamp(Ledger(folder / "ledger"), position)
    with closing(connect(build.build(folder, run, publish=False))) as con:
        files = [found for dataset in adam().values() if (found := _file(con, dataset)).rows.num_rows]
    if not files:
        msg = f"run {run} has no subjects: there is nothing to write"
        raise UsageError(msg, remedy="Land enrolments, run again.")
    beside = {}
    if form in SUBMITTED:
        beside["define.xml"] = define.encoded(about.id, about.title, files, write.FORMATS[form], made)
    return write.write(target, files, form, made, about.id, beside)


def _file(con: duckdb.DuckDBPyConnection, dataset: Dataset) -> File:
    """Return the rows of one view, in the order of its key, with the columns and types of the specification."""
    types = {"text": "VARCHAR", "integer": "BIGINT", "number": "DECIMAL(38, 9)", "date": "DATE"}
    columns = ", ".join(f"CAST({v.name} AS {types[v.kind]}) AS {v.name}" for v in dataset.variables)
    order = [*dataset.key, *(v.name for v in dataset.variables if v.name == "ASEQ")]
    query = f"SELECT {columns} FROM {dataset.name.lower()} ORDER BY {', '.join(f'{k} NULLS FIRST' for k in order)}"
    try:
        rows = con.sql(query).to_arrow_table()
    except (duckdb.CatalogException, duckdb.BinderException):
        msg = (
            f"the serving file's view {dataset.name.lower()} is not as schemas/adam/ has it: an earlier enfold made it"
        )
        raise UsageError(msg, remedy="Run it again: enfold run STUDY makes it anew. Nothing was written.") from None
    for place, variable in enumerate(dataset.variables):  # DuckDB's Arrow may be of a wider type
        rows = rows.set_column(place, variable.name, rows.column(place).cast(ARROW[variable.kind]))
    return File(dataset.name, dataset.label, dataset.variables, rows, dataset.key)
