"""A study folder, opened for reading: `enfold.open(path)`."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from enfold.errors import IntegrityError, UsageError
from enfold.run.manifest import AGAIN
from enfold.serve import layers
from enfold.serve.build import current


class Study:
    """Read-only access to the results that a study serves.

    ```python
    study = enfold.open("STUDY")
    study.sql("SELECT * FROM adsl").to_arrow_table()
    study.table("verdicts")
    ```
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._con = connect(current(self.path))

    def sql(self, query: str, params: Mapping[str, object] | Sequence[object] | None = None) -> duckdb.DuckDBPyRelation:
        """Return the answer as a DuckDB relation; `params` fills `$name`, or `?` by place."""
        refuse_copies(query)
        return self._con.sql(query, params=params)

    def table(self, name: str) -> pa.Table:
        """Return a table or view as Arrow."""
        return self._con.table(name).to_arrow_table()


def connect(file: Path) -> duckdb.DuckDBPyConnection:
    """Open a serving file read-only: no other file can be read or written through it.

    Raises:
        IntegrityError: the file is missing, damaged or altered.
    """
    try:
        con = duckdb.connect(str(file), read_only=True)
    except duckdb.Error as error:
        raise _damaged(file, error) from None
    try:
        # opened twice by one process it is one database, whose settings were made and locked the first time
        if con.execute("SELECT NOT current_setting('lock_configuration')").fetchall()[0][0]:
            layers.attach(con, file)
            con.execute("SET GLOBAL TimeZone = 'UTC'")
            con.execute("SET enable_external_access = false")
            con.execute("SET lock_configuration = true")
    except duckdb.Error as error:
        con.close()
        raise _damaged(file, error) from None
    _with_results(con, kept_results(file))
    return con


def kept_results(file: Path) -> Path:
    """Return where `enfold report` keeps the analysis results of a serving file: beside it."""
    return file.with_suffix(".results.parquet")


def _with_results(con: duckdb.DuckDBPyConnection, kept: Path) -> None:
    """Add what was reported of the run: the rows, and the tables as views of them."""
    if not kept.exists():
        return
    try:
        rows = pq.ParquetFile(kept, page_checksum_verification=True).read()  # read_table would import pandas
    except (pa.ArrowException, OSError):
        msg = f"serve/{kept.name}: damaged or altered"
        raise IntegrityError(msg, remedy="It can be made anew: enfold report STUDY.") from None
    con.register("kept_results", rows)
    con.execute("CREATE TEMP TABLE analysis_results AS FROM kept_results")
    con.unregister("kept_results")
    con.execute("""
        CREATE TEMP VIEW report_tables AS
        SELECT table_key, "row", label, list(printed ORDER BY "column") AS cells, any_value(estimand) AS estimand
        FROM analysis_results WHERE part = 1 GROUP BY table_key, "row", label
    """)


def _damaged(file: Path, error: Exception) -> IntegrityError:
    what = "is missing" if not file.exists() else f"cannot be read: {str(error).partition(chr(10))[0]}"
    return IntegrityError(f"serve/{file.name}: {what}", remedy=AGAIN)


def without_values(error: Exception) -> str:
    """Return the first line of DuckDB's reason; a conversion error quotes data, so only its kind."""
    if isinstance(error, duckdb.ConversionException | duckdb.OutOfRangeException | duckdb.InvalidInputException):
        return f"{type(error).__name__}: a value does not fit"
    return str(error).split("\n", maxsplit=1)[0]


def refuse_copies(query: str) -> None:
    """Refuse the words that write files.

    DuckDB lets a query write over the files of attached databases although no other file is within its reach.

    Raises:
        UsageError: COPY or EXPORT stands in the query as a word of SQL.
    """
    places = [*duckdb.tokenize(query), (len(query.encode()), None)]
    octets = query.encode()
    for (begin, kind), (end, _) in pairwise(places):
        if kind == duckdb.token_type.keyword and octets[begin:end].split()[0].upper() in (b"COPY", b"EXPORT"):
            msg = "the query cannot be answered: it would write a file"
            raise UsageError(
                msg, remedy="enfold sql --output FILE writes an answer; a column of that name goes in quotes."
            )


def answer(folder: Path, query: str) -> pa.Table:
    """Run one user query and return Arrow.

    Raises:
        UsageError: DuckDB refuses the query; the first line of its reason is kept.
        IntegrityError: a block of the serving file is not what was written.
    """
    refuse_copies(query)
    file = current(folder)
    con = connect(file)
    try:
        return con.sql(query).to_arrow_table()
    except (duckdb.Error, AttributeError) as error:
        if "Corrupt database file" in str(error) or type(error) is duckdb.IOException:
            raise _damaged(file, error) from None
        reason = without_values(error)
        msg = f"the query cannot be answered: {reason}"
        raise UsageError(msg, remedy="SHOW TABLES lists what there is; results are read-only.") from None
