"""Build the serving file of a run: written aside, renamed into place, opened read-only."""

import contextlib
import json
import re
import secrets
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from enfold import schema, study
from enfold.errors import IntegrityError, UsageError
from enfold.evaluate.graph import ordered
from enfold.ledger import storage
from enfold.ledger.bundles import added_in
from enfold.ledger.ledger import Ledger
from enfold.run import manifest
from enfold.serve import layers
from enfold.shipped import package_file, shipped_names

BLOCK = "16384"  # octets; the tables of a serving file are small, and in larger blocks it would take five times as many
_ASKED = pa.schema([(n, pa.string()) for n in ("alias", "id", "imputation", "met_means")])
_SETS = pa.schema([("set", pa.string()), ("alias", pa.string())])
_LEVELS = pa.schema(
    [("factor", pa.string()), ("level", pa.string()), ("label", pa.string()), ("ordinal", pa.int64()),
     ("dose", pa.decimal128(38, 9)), ("unit", pa.string())]
)  # fmt: skip
_RULES = pa.schema(
    [(n, pa.string()) for n in ("alias", "id", "definition_version", "citation", "parameters", "criterion", "rule")]
)


def build(folder: Path, run: str, *, publish: bool = True, anew: bool = False) -> Path:
    """Build `serve/<run>.duckdb` and the layers beside it from the run's files, and point `serve/current.json` at it.

    Layers of the file in force, or of an earlier build, are taken over as far as their slots did not change
    (serve/layers.py). With `publish` false the file in force stays what it was, and one that is there is not built
    again; with `anew` no layer is taken over.
    """
    target = folder / "serve" / f"{run}.duckdb"
    if not publish and target.exists():
        return target
    found = manifest.read(folder, run)
    with schema.using(added_in(folder, found["pins"]["position"])), storage.writing(target.parent) as unfinished:
        if unfinished:  # a build that was killed left files aside
            layers.sweep(target.parent)
        parts = _parts(target, folder, run, found, anew=anew)
        files = _write(target, folder, run, found, parts)
        storage.sync_folder(target.parent)
        for path in target.parent.glob(f"{run}-*.duckdb"):
            if path not in {layers.file_of(target, x.id) for x in files}:  # of an earlier build
                storage.remove(path)
        if publish:
            pointer = json.dumps({"run": run, "file": target.name}).encode()
            storage.replace(target.parent / "current.json", pointer)
    return target


@dataclass(frozen=True)
class _Parts:
    """What a serving file is made of: layers taken over, what a new one is to hold, and the serving file in force.

    The last only if the layers are its own.
    """

    kept: list[layers.Layer]
    new: dict[int, layers.Content]
    before: Path | None


def _parts(target: Path, folder: Path, run: str, found: dict[str, Any], *, anew: bool) -> _Parts:
    """Plan the layers of a serving file, and put those that are taken over in their place."""
    have: list[layers.Layer] = []
    source = target
    if not anew and target.exists():
        have = layers.of(target, intact=True)  # nothing may have changed but a bit: this is how that is mended
    elif not anew:
        with contextlib.suppress(UsageError, IntegrityError):
            source = current(folder)
            have = layers.of(source)
    wanted = layers.wanted(folder, run, found, have)
    kept, new = layers.plan(wanted, have)
    if source != target:
        try:
            for layer in kept:
                storage.share(layers.file_of(source, layer.id), layers.file_of(target, layer.id))
        except FileNotFoundError:
            kept, new = [], set(wanted)
    return _Parts(kept, {s: wanted[s] for s in new}, source if kept and source != target else None)


def _write(target: Path, folder: Path, run: str, found: dict[str, Any], parts: _Parts) -> list[layers.Layer]:
    """Write the serving file, and meanwhile its new layer; return all its layers.

    What differs from the file before is a few small tables, and over which layers its tables are views. So that one
    is copied, if it has the views of today: to create them takes as long as to write a small layer.
    """
    made, aside = _digest(found), _aside(target)
    with ThreadPoolExecutor(1) as beside:  # in a context of its own: the definitions in force are the caller's
        begun = beside.submit(copy_context().run, _begun, aside, folder, found, parts.before, made)
        files = parts.kept
        if parts.new:
            files = [*files, layers.write(target, _aside(target), folder, run, found, parts.new)]
        con, same = begun.result()
    layers.record(con, target, files, made)
    if not same:
        layers.views(con, files[:1])  # what is created over a view is bound through it: over one layer is enough
        create_views(con)
    if same or files[1:]:
        layers.views(con, files)
    con.commit()
    con.close()
    aside.replace(target)
    return files


def _aside(target: Path) -> Path:
    return target.with_name(f".{secrets.token_hex(8)}.duckdb")


def _begun(
    aside: Path, folder: Path, found: dict[str, Any], before: Path | None, made: str
) -> tuple[duckdb.DuckDBPyConnection, bool]:
    """Begin a serving file: all but layers and views. Also say whether it is a copy of the one `before`."""
    con, same = _opened(aside, before, made)
    con.execute("SET TimeZone = 'UTC'")
    con.begin()  # one transaction: each of its own would be synced to the disk
    con.register(
        "info", pa.table({"key": list(found["pins"]), "value": [json.dumps(v) for v in found["pins"].values()]})
    )
    con.execute("CREATE OR REPLACE TABLE run_pins AS SELECT * FROM info")
    con.register("rule_rows", pa.Table.from_pylist(found["rules"], schema=_RULES))
    con.execute("CREATE OR REPLACE TABLE rules AS FROM rule_rows ORDER BY alias, criterion")
    con.execute(
        "COMMENT ON TABLE rules IS 'Each rule in force in words, by alias and criterion, with source and parameters.'"
    )
    con.register("asked_rows", pa.Table.from_pylist(found["asked"], schema=_ASKED))
    con.execute("CREATE OR REPLACE TABLE asked AS FROM asked_rows ORDER BY alias")
    con.execute("COMMENT ON TABLE asked IS 'Endpoints that the study file asks for, and how it imputes them.'")
    text = Ledger(folder / "ledger").study_text(found["pins"]["position"])
    _protocol(con, found, text)
    return con, same


def _opened(aside: Path, before: Path | None, made: str) -> tuple[duckdb.DuckDBPyConnection, bool]:
    """Open a new serving file, and say whether it is a copy of the one `before`."""
    if before:
        shutil.copyfile(before, aside)
        con = duckdb.connect(str(aside))
        if layers.made_by(con) == made:
            return con, True
        con.close()
        aside.unlink()
    return duckdb.connect(str(aside), config={"default_block_size": BLOCK}), False


def _protocol(con: duckdb.DuckDBPyConnection, found: dict[str, Any], text: str) -> None:
    """Write what views and reports need of the study file, and the file itself."""
    con.register("sets", pa.Table.from_pylist(found.get("analysis_sets", []), schema=_SETS))
    con.register("level_rows", pa.Table.from_pylist(_levels(study.parse(text)), schema=_LEVELS))
    for table, query, about in (
        ("analysis_set_rules", "FROM sets ORDER BY set, alias", "Endpoints that decide an analysis set."),
        (
            "levels",
            "FROM level_rows ORDER BY factor, ordinal",
            "Dose levels and regimens, in order.",
        ),
        (
            "served",
            "SELECT $run AS run, $text AS study_file",
            "The run that is served, and its study file.",
        ),
    ):
        given = {"run": found["run"], "text": text} if table == "served" else None
        con.execute(f"CREATE OR REPLACE TABLE {table} AS {query}", given)
        con.execute(f"COMMENT ON TABLE {table} IS '{about}'")


def _levels(parsed: study.StudyFile) -> list[dict[str, Any]]:
    return [
        {"factor": factor, "level": v.id, "label": v.label, "ordinal": k, "dose": v.dose, "unit": v.unit}
        for factor, levels in (("dose_level", parsed.dose_levels), ("conditioning", parsed.conditioning))
        for k, v in enumerate(levels, start=1)
    ]


def create_views(con: duckdb.DuckDBPyConnection) -> None:
    """Create the views (and macros), each of the name of its file, after those that its text names."""
    texts = _texts()
    words = {name: set(_WORD.findall(_COMMENT.sub("", text))) for name, text in texts.items()}
    for name in ordered({name: sorted(named - {name}) for name, named in words.items()}):
        con.execute(texts[name])


def _texts() -> dict[str, str]:
    names = shipped_names("serve/views", ".sql")
    return {name.removesuffix(".sql"): package_file(f"serve/views/{name}") for name in names}


def _digest(found: dict[str, Any]) -> str:
    """Return a digest of what makes the views of a run's serving file, and of enfold and the engine that wrote it."""
    tables = {name: (t.about, str(t.arrow())) for name, t in schema.tables().items()}
    return storage.sha256(json.dumps([found["pins"]["libraries"], tables, _texts()]).encode())


_WORD = re.compile(r"\w+")
_COMMENT = re.compile(r"--.*|'[^']*'")  # and literals


def current(folder: Path) -> Path:
    """Return the serving file in force.

    Raises:
        UsageError: nothing has been run yet.
        IntegrityError: the pointer is damaged.
    """
    pointer = folder / "serve" / "current.json"
    try:
        return pointer.parent / manifest.pointed(pointer)["file"]
    except FileNotFoundError:
        msg = f"{folder}: nothing has been run yet"
        raise UsageError(msg, remedy=f"Run it first: enfold run {folder}") from None
