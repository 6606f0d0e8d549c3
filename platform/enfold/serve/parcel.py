"""A parcel: one archive with a run and all that it rests on, to be read and checked without enfold.

Everything in it is text. Rows are JSON lines in which every value is its canonical text
(ledger/canonical.py), so that roots and digests can be computed from what is written there. The
same run gives the same bytes, whatever the ledger's files, the shards or the runner.
"""

import json
import zipfile
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa

from enfold import schema
from enfold.errors import ConflictError
from enfold.evaluate.discover import files_of
from enfold.evaluate.trust import code_hash
from enfold.ledger import canonical, engine, segments, storage
from enfold.ledger.bundles import schema_bundle
from enfold.ledger.commits import Segment, to_json
from enfold.ledger.ledger import Ledger
from enfold.run import manifest as manifest_file
from enfold.run.run import not_redacted
from enfold.schema import Field
from enfold.shipped import lock_file, package_file, shipped

BATCH = 20_000
FROM_MANIFEST = (
    "run", "pins", "cut_digest", "state_digest", "verdicts_digest", "digests", "rows", "subjects", "events",
    "failures", "asked", "rules",
)  # fmt: skip


def write(folder: Path, run: str, target: Path) -> int:
    """Write the parcel of a finished run to a new file; return its size in octets.

    Raises:
        FileExistsError: `target` exists.
        IntegrityError: the run is not finished, or a file is damaged.
        DeniedError: events that the run saw were redacted since.
        ConflictError: schemas, lock or a plugin are no longer those of the run.
    """
    found = manifest_file.read(folder, run)
    ledger = Ledger(folder / "ledger")
    position = found["pins"]["position"]
    not_redacted(ledger, position)
    with (
        schema.using(ledger.added_at(position)),
        storage.creating(target) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        sums = []
        for name, parts in _files(folder, run, found, ledger, position):
            sums.append(f"{_add(archive, name, parts)}  {name}\n")
        _add(archive, "SHA256SUMS", [line.encode() for line in sums])
    return target.stat().st_size


def _add(archive: zipfile.ZipFile, name: str, parts: Iterable[bytes]) -> str:
    """Add a file, piece by piece, and return its SHA-256."""
    import hashlib

    entry = zipfile.ZipInfo(name)  # of 1 January 1980, whenever it is written
    entry.compress_type, entry.external_attr, entry.create_system = zipfile.ZIP_DEFLATED, 0o644 << 16, 3
    digest = hashlib.sha256()
    with archive.open(entry, "w", force_zip64=True) as file:
        for part in parts:
            file.write(part)
            digest.update(part)
    return digest.hexdigest()


def _files(
    folder: Path, run: str, found: dict[str, Any], ledger: Ledger, position: int
) -> Iterator[tuple[str, Iterable[bytes]]]:
    """Yield name and content of every file of the parcel."""
    stored = ledger.commits.stored[:position]
    yield "README.txt", [package_file("serve/parcel_readme.txt").encode()]
    yield "__main__.py", [package_file("serve/verify_parcel.py").encode()]
    yield "run.json", [json.dumps({k: found[k] for k in FROM_MANIFEST}, sort_keys=True, indent=1).encode()]
    yield "study.toml", [ledger.study_text(position).encode()]
    yield "requirements.lock", [_same(lock_file(), found["pins"]["lock"], "the lock of libraries")]
    yield from _rules(folder, found["pins"]["tasks"])
    _same(schema_bundle(schema.added()), found["pins"]["schemas"], "the schemas")
    tables = schema.tables()
    yield "tables.json", [to_json(_tables())]
    for digest in sorted({s.commit.schemas for s in stored} | {found["pins"]["schemas"]}):
        yield f"schemas/{digest[:16]}.json", [ledger.bundle(digest)]
    yield "commits.ndjson", [s.record + b"\n" for s in stored]
    gone = [r for r in ledger.generation.redacted if r.position <= position]
    yield "redacted.ndjson", [to_json(vars(r)) + b"\n" for r in gone]
    kinds = sorted(ledger.segments, key=lambda s: (s.event_type, s.schemas))
    for (event_type, schemas), group in groupby(kinds, key=lambda s: (s.event_type, s.schemas)):
        own = [s for s in group if s.first_position <= position]
        if own:
            yield f"events/{event_type}.{schemas[:16]}.ndjson", _events(ledger, own, position)
    for name, table in tables.items():
        place = "results" if name in schema.results() else "state"
        rows = pa.concat_tables(manifest_file.parts(folder, run, found, name))
        order = dict.fromkeys((*table.key, *table.names))  # that of digests
        yield f"{place}/{name}.ndjson", (to_json(r) + b"\n" for r in _texts(rows, table.fields, order))


def _rules(folder: Path, tasks: list[list[Any]]) -> Iterator[tuple[str, list[bytes]]]:
    """Yield the source files of every plugin that computed something, as they are installed.

    Raises:
        ConflictError: they are not the files that computed it.
    """
    for plugin, version, code in sorted({(t[4], t[5], t[6]) for t in tasks}):
        files = files_of(plugin, folder)
        if code_hash(files) != code:
            msg = f"plugin {plugin} is no longer the one that the run used"
            raise ConflictError(msg, remedy=f"Install its version {version} of that time, or run the cut again.")
        for name, data in files:
            yield f"rules/{plugin}/{name}", [data]


def _same(data: bytes, digest: str, what: str) -> bytes:
    if storage.sha256(data) != digest:
        msg = f"{what}: no longer what the run used"
        raise ConflictError(msg, remedy="Use the enfold that made the run, or run the cut again.")
    return data


def _tables() -> dict[str, str]:
    """Return the schema files of state and results, by table: as they ship, and as they follow for added events."""
    names = dict.fromkeys(schema.shipped_tables("state"), "state") | dict.fromkeys(schema.results(), "results")
    texts = {n: (shipped("schemas") / place / f"{n}.toml").read_text("utf-8") for n, place in names.items()}
    return texts | {n: schema.to_toml(t) for n, t in schema.state().items() if n not in texts}


def _events(ledger: Ledger, own: list[Segment], position: int) -> Iterator[bytes]:
    """Yield the lines of one event type in the shape it was landed in, in order of position and id."""
    shape = ledger.shape(own[0])
    fields = (*shape.envelope, *shape.body)
    parts = [segments.decode(storage.read_verified(ledger.path / s.path, s.sha256, s.blocks)) for s in own]
    rows = pa.concat_tables(parts)
    salted = (*fields, Field("position", "count", ""), Field("salt", "salt", ""))
    for row in _texts(rows, salted, ("position", "event_id", "source_row", "salt"), position):
        head = {"position": int(row.pop("position")), "salt": row.pop("salt")}
        yield to_json({**head, "event": row}) + b"\n"


_TEXT = {
    **canonical.TEXT,
    "instant": "strftime({c}, '%Y-%m-%dT%H:%M:%S.%fZ')",  # the one kind that is written readably, not canonically
    "ids": "list_sort({c})",
    "salt": "lower(hex({c}))",
}


def _texts(
    rows: pa.Table, fields: Iterable[Field], order: Iterable[str], upto: int | None = None
) -> Iterator[dict[str, Any]]:
    """Yield rows as dicts of texts, absent values left out."""
    con = engine.connect(threads=engine.cores())
    con.register("rows", rows)
    what = ", ".join(
        f'{_TEXT.get(f.kind, "CAST({c} AS VARCHAR)").format(c=f"{chr(34)}{f.name}{chr(34)}")} AS "{f.name}"'
        for f in fields
    )
    by = ", ".join(f'"{n}"' for n in order)
    where = "" if upto is None else f"WHERE position <= {upto:d}"
    reader = con.sql(f"SELECT {what} FROM (FROM rows {where}) ORDER BY {by}").to_arrow_reader(BATCH)
    for batch in reader:
        for row in batch.to_pylist():
            yield {k: v for k, v in row.items() if v is not None}
