"""MEDS 0.4: a dataset is a folder of shards with their metadata; its rows are those of all shards, in order of names.

`time` is empty for what has no time (static rows). A number is a 32-bit float: its shortest text is what was meant.
"""

import tempfile
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from enfold import extras
from enfold.errors import UsageError
from enfold.land import from_json, from_parquet, limits, readers
from enfold.land.readers import Source
from enfold.ledger.storage import sha256
from enfold.quoting import literal

CODES, DATASET, SPLITS = "metadata/codes.parquet", "metadata/dataset.json", "metadata/subject_splits.parquet"
MEND = (
    "Nothing was landed. Give the folder of a MEDS 0.4 dataset: data/*.parquet, metadata/codes.parquet, dataset.json."
)
MAX_SHARDS = 10_000


def read(path: Path) -> Source:
    """Return the rows of a dataset.

    Codes need not all be described in the metadata: datasets that were worked on often drop descriptions.

    Raises:
        UsageError: not a dataset of MEDS 0.4, another file in it, a subject in two shards, or beyond a limit.
    """
    name = limits.source_name(path.resolve().name)
    if not path.is_dir():
        raise UsageError(f"{name}: not a folder", remedy=MEND)
    shards = _files(path, name)
    _check_version(path / DATASET, name)
    tables, joined = [], [_codes(path / CODES, name)]
    rows = octets = 0
    for shard in shards:
        table, digest, size = _shard(path, shard, name)
        rows += table.num_rows
        octets += size
        limits.shape(name, rows, table.num_columns)
        if octets > limits.MAX_BYTES:
            raise limits.over(name, "the shards are too long", limits.MAX_BYTES)
        tables.append(table)
        joined.append((shard, digest, table.num_rows))
    _check_subjects(tables, name)
    table = pa.concat_tables(tables, promote_options="permissive")
    limits.column_names(name, table.column_names)
    limits.shape(name, table.num_rows, table.num_columns)
    digest = sha256("\n".join(f"{n} {d}" for n, d, _ in joined).encode())
    return Source(name, digest, readers.as_text(table), tuple(joined))


def _files(path: Path, name: str) -> list[str]:
    """Return the shards; every other file must be one of the standard's."""
    found = []
    for file in sorted(path.rglob("*")):
        relative = file.relative_to(path)
        if file.is_dir() or any(part.startswith(".") for part in relative.parts):
            continue
        found.append(relative.as_posix())
        if len(found) > MAX_SHARDS:
            raise limits.over(name, "too many files", MAX_SHARDS, "files", MEND)
    shards = [f for f in found if f.startswith("data/") and f.endswith(".parquet")]
    lacking = [f for f in (CODES, DATASET) if f not in found]
    others = sorted(set(found) - {*shards, CODES, DATASET, SPLITS})
    if lacking or others or not shards:
        what = f"holds {others[0][:100]}" if others else f"has no {lacking[0]}" if lacking else "has no shard"
        raise UsageError(f"{name}: {what}: not MEDS 0.4", remedy=MEND)
    return shards


def _check_version(path: Path, name: str) -> None:
    try:
        found = from_json.document(readers.octets(path, name), name)
    except UnicodeDecodeError:
        found = None
    version = found.get("meds_version", "0.4") if isinstance(found, dict) else None
    if not isinstance(version, str) or not (version == "0.4" or version.startswith("0.4.")):
        raise UsageError(f"{name}: {DATASET} is not that of MEDS 0.4", remedy=MEND)


def _codes(path: Path, name: str) -> tuple[str, str, int]:
    """Return the name, digest and rows of the codes' descriptions; DuckDB reads their column of lists."""
    data = readers.octets(path, name)
    with tempfile.TemporaryDirectory(prefix="enfold-") as folder, duckdb.connect(":memory:") as con:
        copy = Path(folder) / "codes.parquet"
        copy.write_bytes(data)
        try:
            con.execute("SET memory_limit = '1GiB'")
            described = con.execute(
                f"SELECT column_name, column_type FROM (DESCRIBE FROM {literal(str(copy))})"
            ).fetchall()
            counted = con.execute(f"SELECT count(code) FROM {literal(str(copy))}").fetchall() if described else []
        except duckdb.Error:
            raise UsageError(f"{name}: {CODES} is not readable, or has no column `code`", remedy=MEND) from None
    if ("code", "VARCHAR") not in described:
        raise UsageError(f"{name}: {CODES} has no text column `code`", remedy=MEND)
    return CODES, sha256(data), int(counted[0][0])


def _shard(path: Path, shard: str, name: str) -> tuple[pa.Table, str, int]:
    """Return a shard that follows the standard's schema, its digest and its octets."""
    meds, flexible_schema = extras.load("reading MEDS", "meds", "flexible_schema")
    data = readers.octets(path / shard, name)
    try:
        table = from_parquet.read(data, name)
        table = table.cast(pa.schema([(f.name, _plain(f)) for f in table.schema]))
        meds.DataSchema.validate(table)
    except flexible_schema.SchemaValidationError:
        msg = f"{name}: {shard} does not follow the data schema of MEDS 0.4"
        raise UsageError(msg, remedy=MEND) from None
    except (pa.ArrowException, OSError, duckdb.Error):
        raise UsageError(f"{name}: {shard} is not readable as Parquet", remedy=MEND) from None
    return table, sha256(data), len(data)


def _plain(field: pa.Field) -> pa.DataType:
    """Return a column's type as the standard has it: no dictionary, and long texts."""
    if field.name == "text_value" and limits.is_text(field.type):
        return pa.large_string()
    return field.type.value_type if pa.types.is_dictionary(field.type) else field.type


def _check_subjects(tables: list[pa.Table], name: str) -> None:
    seen = 0
    for table in tables:
        seen += pc.count_distinct(table.column("subject_id")).as_py()
    whole = pa.chunked_array([c for t in tables for c in t.column("subject_id").chunks], pa.int64())
    if pc.count_distinct(whole).as_py() != seen:
        msg = f"{name}: a subject stands in two shards, which MEDS does not allow"
        raise UsageError(msg, remedy="Look for a shard that is there twice. " + MEND)
