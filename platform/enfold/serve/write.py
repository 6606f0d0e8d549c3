"""Write labelled tables as Parquet, CSV, SAS transport version 5 or Dataset-JSON 1.1: a whole folder, or none.

What would not come back the same is found before anything is written (write_check.py). The same tables and the same
instant give the same bytes.
"""

import csv
import datetime as dt
import io
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from enfold import study as study_file
from enfold.errors import UsageError
from enfold.ledger import storage
from enfold.ledger.ledger import Ledger
from enfold.serve import write_check
from enfold.serve.files import File, plain
from enfold.serve.specification import ARROW
from enfold.study import StudyFile

FORMATS = {"parquet": ".parquet", "csv": ".csv", "xpt": ".xpt", "dataset-json": ".json", "dataset-ndjson": ".ndjson"}


def write(
    target: Path,
    files: Sequence[File],
    form: str,
    made: dt.datetime,
    study: str,
    beside: dict[str, bytes] | None = None,
) -> dict[str, int]:
    """Write a new folder with one file for each table; return rows by file name.

    Args:
        target: a folder that does not exist yet.
        files: the tables.
        form: one of `FORMATS`.
        made: what a format that states its time of creation states, in UTC.
        study: identifier of the study.
        beside: further files by name, Define-XML for example.

    Raises:
        UsageError: the folder exists, a library is missing, or a value has no place in the format; nothing was written.
    """
    is_new(target)
    write_check.check(files, form)
    aside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    storage.make_folder(aside)
    try:
        for file in files:
            storage.create(aside / f"{file.name.lower()}{FORMATS[form]}", encoded(file, form, made, study))
        for name, data in (beside or {}).items():
            storage.create(aside / name, data)
        aside.rename(target)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    storage.sync_folder(target.parent)
    return {f"{f.name.lower()}{FORMATS[form]}": f.rows.num_rows for f in files}


def is_new(target: Path) -> None:
    """Refuse a folder that exists.

    Raises:
        UsageError: it does.
    """
    if target.exists():
        msg = f"{target} exists"
        raise UsageError(msg, remedy="Name a new folder.")


def stamp(ledger: Ledger, position: int) -> tuple[dt.datetime, StudyFile]:
    """Return what files of a run state: when the last commit that it saw was made, in UTC, and the study."""
    made = dt.datetime.fromisoformat(ledger.commits.stored[position - 1].commit.committed_at)
    return made.astimezone(dt.UTC), study_file.parse(ledger.study_text(position))


def encoded(file: File, form: str, made: dt.datetime, study: str) -> bytes:
    """Return the content of one file; that it fits the format was checked before."""
    if form == "parquet":
        return _parquet(file)
    if form == "csv":
        return _csv(file)
    if form == "xpt":
        from enfold.serve import write_xpt

        return write_xpt.encoded(file, made)
    from enfold.serve import write_json

    return write_json.encoded(file, made, study, lines=form == "dataset-ndjson")


def _parquet(file: File) -> bytes:
    """Return Parquet with the label of each column in its metadata."""
    fields = [pa.field(v.name, ARROW[v.kind], metadata={"label": v.label} if v.label else None) for v in file.variables]
    schema = pa.schema(fields, metadata={"label": file.label, "name": file.name})
    sink = io.BytesIO()
    pq.write_table(file.rows.cast(schema).replace_schema_metadata(schema.metadata), sink, write_page_checksum=True)
    return sink.getvalue()


def _csv(file: File) -> bytes:
    """Return UTF-8 with a header; nothing between commas is null, `""` an empty text."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(v.name for v in file.variables)
    for row in zip(*(c.to_pylist() for c in file.rows.columns), strict=True):
        out.write(",".join("" if v is None else _quoted(plain(v)) for v in row) + "\n")
    return out.getvalue().encode()


def _quoted(text: str) -> str:
    if text == "" or text != text.strip() or any(c in text for c in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text
