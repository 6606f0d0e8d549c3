"""MEDS out: the effective events of a run as a Medical Event Data Standard 0.4 dataset.

One row an event (serve/meds.sql says its code), and every field of the event beside the standard's five columns, exact
and as collected; `numeric_value` alone is a 32-bit float, as the standard demands. MEDS wants whole numbers for
subjects: 60 bits of SHA-256 over study, NUL and subject, so that a subject keeps its number; `subject` holds the
identifier itself. `schemas/mappings/meds/enfold.toml` lands the rows again.
"""

import io
import json
import re
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from enfold import __version__, extras, schema, study
from enfold.errors import ConflictError, UsageError
from enfold.fold.fold import define_times
from enfold.ledger import engine, storage
from enfold.ledger.ledger import Ledger
from enfold.run import manifest
from enfold.serve.effective import effective
from enfold.shipped import package_file

_CORE = """
    ('0x' || substr(sha256(study_id || chr(0) || subject_id), 1, 15))::BIGINT AS subject_id,
    timezone('UTC', when_from(occurred)) AS time, code, number::FLOAT AS numeric_value, text AS text_value,
    study_id AS study, subject_id AS subject
"""
_SAID = {"study_id", "subject_id", "code", "number", "text"}  # by _CORE


def export(folder: Path, run: str, target: Path) -> dict[str, int]:
    """Write `data/0.parquet`, `metadata/codes.parquet` and `metadata/dataset.json`; return rows by file.

    Args:
        folder: the study folder.
        run: the run whose effective events are written.
        target: a folder that does not exist yet.

    Raises:
        UsageError: the folder exists, a fact is contested, or the library `meds` is not installed.
        ConflictError: two subjects would get the same number.
    """
    (meds,) = extras.load("writing MEDS", "meds")
    if target.exists():
        msg = f"{target} exists"
        raise UsageError(msg, remedy="Name a new folder.")
    found = manifest.read(folder, run)
    file = study.parse(Ledger(folder / "ledger").study_text(found["pins"]["position"]))
    data = meds.DataSchema.align(_data(effective(folder, run), file.time_zone))
    codes = _codes(data)
    meds.CodeMetadataSchema.validate(codes)
    about = {
        "dataset_name": file.id,
        "dataset_version": found["run"],
        "etl_name": "enfold",
        "etl_version": __version__,
        "meds_version": meds.__version__,
        "raw_source_id_columns": ["subject", "event_id", "source_file"],
        "code_modifier_columns": ["event_type", "unit", "comparator"],
    }
    meds.DatasetMetadataSchema.validate(about)
    files = {
        meds.dataset_metadata_filepath: json.dumps(about, indent=1, sort_keys=True).encode(),
        meds.code_metadata_filepath: _parquet(codes),
        f"{meds.data_subdirectory}/0.parquet": _parquet(data),
    }
    try:
        for name, content in files.items():
            storage.create(target / name, content)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    return {f"{meds.data_subdirectory}/0.parquet": data.num_rows, meds.code_metadata_filepath: codes.num_rows}


def _data(events: dict[str, pa.Table], time_zone: str) -> pa.Table:
    """Return the rows of every event, in the standard's order: by subject, then time."""
    con = engine.connect(threads=engine.cores())
    define_times(con, time_zone)
    asked = dict(re.findall(r"-- (\w+)\n(.*?);", package_file("serve/meds.sql"), re.S))
    shape = _shape()
    con.register("shape", shape.empty_table())
    # the links as text: plain columns are what every reader takes
    fields = "array_to_string(supersedes, ' ') AS supersedes, source_row AS file_row, " + ", ".join(
        f'"{n}"' for n in shape.names if n not in {*_SAID, "supersedes", "source_row", "retracts", "schema_version"}
    )
    for event_type, rows in events.items():
        con.register(event_type, rows.select(schema.event_arrow(event_type).names))
        # a type that a plugin brought has no code but its name
        query = asked.get(event_type, f"SELECT *, upper('{event_type}') AS code FROM \"{event_type}\"")
        con.execute(
            f"CREATE TABLE rows_{event_type} AS SELECT {_CORE}, CASE WHEN restates IS NULL THEN '{event_type}' END"
            f" AS event_type, {fields} FROM (FROM shape UNION ALL BY NAME ({query}))"
        )
    every = " UNION ALL ".join(f"FROM rows_{t}" for t in events)
    rows = con.sql(f"FROM ({every}) ORDER BY subject_id, time NULLS FIRST, code, event_id, restates").to_arrow_table()
    numbers, names = (len(pc.unique(rows.column(c))) for c in ("subject_id", "subject"))
    if numbers != names:
        msg = f"{names} subjects would get {numbers} numbers"
        raise ConflictError(msg, remedy="Nothing was written; report this chance of one in a trillion.")
    return rows


def _shape() -> pa.Schema:
    """Return every field of every event type once, then what serve/meds.sql adds."""
    fields = {f.name: f.with_nullable(True) for t in schema.events() for f in schema.event_arrow(t)}
    added = {"restates": pa.string(), "code": pa.string(), "number": schema.NUMBER, "text": pa.string()}
    return pa.schema([*fields.values(), *(pa.field(n, t) for n, t in added.items())])


def _codes(data: pa.Table) -> pa.Table:
    """Return each code once, with what the instrument says that it means."""
    about = {(i.name, it.code): it.about for i in schema.instruments().values() for it in i.items}
    codes = sorted(pc.unique(data.column("code")).to_pylist())
    parts = [tuple(code.split("//")[:2]) for code in codes]
    described = [about.get(part) for part in parts]
    return pa.table(
        {
            "code": pa.array(codes, pa.string()),
            "description": pa.array(described, pa.string()),
            "parent_codes": pa.nulls(len(codes), pa.list_(pa.string())),
        }
    )


def _parquet(rows: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(rows, sink, compression="zstd", write_page_checksum=True)
    return sink.getvalue()
