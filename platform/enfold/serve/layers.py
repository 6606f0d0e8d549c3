"""Layers: the rows that are served, in DuckDB files that are never changed once they are written.

A layer holds all rows of some slots. A serving file is made of views over a few layers, and names for each the slots
that still count in it. After one new event it takes over the layers of the serving file before it, by hard link, and
adds a small one. Where there are some already, the new one takes in what the smallest before it holds, so that there
are never many, and no event pays for all of them.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from enfold import schema
from enfold.ledger import engine, storage
from enfold.quoting import literal
from enfold.run import manifest
from enfold.run.plan import in_ranges
from enfold.run.slots import slots_of

SHARE = 4  # layers that together would hold more than a quarter of all rows beside the first are one again
FEW = 16  # so many layers may stand; a new one beyond that takes in what the smallest holds
MEMORY = "2GB"  # of DuckDB while it sorts; what is more goes to disk
SMALL = 500_000  # rows; a layer of fewer is not written in order: it is read as a whole anyway
GROUP = 4096  # rows of it that one thread compresses at once: of the usual 122,880, one would do nearly all of it

Content = tuple[str, int]  # of a slot: digest of the summary that its rows are from, and how many they are


@dataclass(frozen=True)
class Layer:
    """One file: what it holds, which of that still counts, and the SHA-256 of the file."""

    id: str
    sha256: str
    held: frozenset[int]
    counting: dict[int, Content]

    @property
    def rows(self) -> int:
        """How many rows count in it."""
        return sum(rows for _, rows in self.counting.values())


def wanted(folder: Path, run: str, found: dict[str, Any], have: list[Layer]) -> dict[int, Content]:
    """Return what each slot of a finished run holds; only summaries of which `have` holds nothing are read."""
    rows = {(slot, digest): rows for x in have for slot, (digest, rows) in x.counting.items()}
    out: dict[int, Content] = {}
    for shard, digest in found["summaries"].items():
        slots = [slot for begin, end in found["slots"][shard] for slot in range(begin, end)]
        if any((slot, digest) not in rows for slot in slots):
            tables = manifest.summary(folder, run, found, shard)["rows"].values()
            rows |= {(slot, digest): sum(table.get(str(slot), 0) for table in tables) for slot in slots}
        out |= {slot: (digest, rows[slot, digest]) for slot in slots}
    return out


def plan(wanted: dict[int, Content], have: list[Layer]) -> tuple[list[Layer], set[int]]:
    """Return the layers to take over, each with what still counts in it, and the slots of a new one."""
    kept = [replace(x, counting={s: c for s, c in x.counting.items() if wanted.get(s) == c}) for x in have]
    kept = [x for x in kept if x.counting]
    new = set(wanted).difference(*(x.counting for x in kept))
    while new and len(kept) >= FEW:
        smallest = min(kept[1:], key=lambda x: x.rows)
        kept.remove(smallest)
        new |= set(smallest.counting)
    beside = sum(wanted[s][1] for s in new) + sum(x.rows for x in kept[1:])
    if SHARE * beside > sum(rows for _, rows in wanted.values()):
        return [], set(wanted)
    return kept, new


def file_of(target: Path, layer: str) -> Path:
    """Return where a layer of the serving file `target` lies: beside it, by a name of its own."""
    return target.with_name(f"{target.stem}-{layer}.duckdb")


def write(target: Path, aside: Path, folder: Path, run: str, found: dict[str, Any], what: dict[int, Content]) -> Layer:
    """Write a layer of these slots from the run's verified files, by way of `aside`."""
    small = sum(rows for _, rows in what.values()) < SMALL
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    con.execute(f"SET temp_directory = {literal(engine.spill())}")
    con.execute(f"SET memory_limit = '{MEMORY}'")
    tables = schema.tables()
    shapes = {name: table.arrow().append(pa.field("slot", pa.int16())) for name, table in tables.items()}

    def read(name: str) -> Iterator[pa.RecordBatch]:
        return _read(folder, run, found, name, shapes[name], what)

    group = f", ROW_GROUP_SIZE {GROUP}" if small else ""
    con.execute(f"ATTACH {literal(str(aside))} AS layer (READ_WRITE{group})")
    con.execute("USE layer")
    con.begin()  # one transaction: each of its own would be synced to the disk
    if small:
        with ThreadPoolExecutor(engine.cores()) as pool:  # some tables are read while others are written
            for name, batches in zip(tables, pool.map(lambda name: [*read(name)], tables), strict=True):
                _table(con, name, shapes[name], batches)
    else:
        for name, table in tables.items():
            _table(con, name, shapes[name], read(name), "ORDER BY " + ", ".join(f'"{k}"' for k in table.key))
    con.commit()
    con.execute("USE memory")
    con.execute("DETACH layer")
    con.close()
    text = json.dumps({slot: digest for slot, (digest, _) in sorted(what.items())})
    made = Layer(storage.sha256(text.encode())[:16], _sha256(aside), frozenset(what), what)
    aside.replace(file_of(target, made.id))
    return made


def _read(
    folder: Path, run: str, found: dict[str, Any], name: str, shape: pa.Schema, slots: dict[int, Content]
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of these slots in one table, one shard in memory at a time."""
    for shard in found["shards"]:
        if any(n in slots for begin, end in found["slots"][shard] for n in range(begin, end)):
            rows = manifest.part(folder, run, found, name, shard, slots)
            yield from rows.append_column("slot", pa.array(slots_of(rows), pa.int16())).cast(shape).to_batches()


def _table(
    con: duckdb.DuckDBPyConnection, name: str, shape: pa.Schema, batches: Iterable[pa.RecordBatch], order: str = ""
) -> None:
    """Write a table of batches, which may be read only now; what then fails is raised as it is."""
    failed = []

    def passed() -> Iterator[pa.RecordBatch]:
        try:
            yield from batches
        except Exception as error:
            failed.append(error)  # DuckDB would make another one of it
            raise

    con.register("part", pa.RecordBatchReader.from_batches(shape, passed()))
    try:
        con.execute(f'CREATE TABLE "{name}" AS SELECT * FROM part {order}')
    except Exception:
        if failed:
            raise failed[0] from None
        raise
    con.unregister("part")


def record(con: duckdb.DuckDBPyConnection, target: Path, layers: list[Layer], made: str) -> None:
    """Write into a serving file which layers it has, what counts in them and what `made` its views; attach them."""
    con.execute("CREATE SCHEMA IF NOT EXISTS layers")
    con.execute("CREATE OR REPLACE TABLE layers.made AS SELECT $made AS digest", {"made": made})
    con.register("rows", pa.Table.from_pylist([{"layer": x.id, "sha256": x.sha256} for x in layers]))
    con.execute("CREATE OR REPLACE TABLE layers.files AS FROM rows")
    held = [
        {"layer": x.id, "slot": s, "summary": x.counting.get(s, (None, 0))[0], "rows": x.counting.get(s, (None, 0))[1]}
        for x in layers
        for s in sorted(x.held)
    ]
    con.register("rows", pa.Table.from_pylist(held))
    con.execute("CREATE OR REPLACE TABLE layers.slots AS FROM rows")
    con.unregister("rows")
    attach(con, target)


def made_by(con: duckdb.DuckDBPyConnection) -> str | None:
    """Return the digest of what made the views of a serving file; none of a file from before there was one."""
    with contextlib.suppress(duckdb.CatalogException):
        return str(engine.one_row(con, "FROM layers.made")[0])
    return None


def views(con: duckdb.DuckDBPyConnection, layers: list[Layer]) -> None:
    """Create the view of each table over these layers, or put it in the place of one over fewer."""
    for name, table in schema.tables().items():
        columns = ", ".join(f'"{c}"' for c in table.names)
        parts = [f'SELECT {columns} FROM "layer_{x.id}"."main"."{name}"{_where(x)}' for x in layers]
        con.execute(f'CREATE OR REPLACE VIEW "{name}" AS {" UNION ALL ".join(parts)}')
        con.execute(f'COMMENT ON VIEW "{name}" IS {literal(table.about)}')


def _where(layer: Layer) -> str:
    """Return the condition that leaves out superseded slots; neighbours as a range, which costs least to compare."""
    gone = layer.held - set(layer.counting)
    if not gone:
        return ""
    ranges = in_ranges(gone)
    single = ", ".join(str(begin) for begin, end in ranges if end - begin == 1)
    parts = [f"slot NOT BETWEEN {begin} AND {end - 1}" for begin, end in ranges if end - begin > 1]
    return " WHERE " + " AND ".join(parts + ([f"slot NOT IN ({single})"] if single else []))


def attach(con: duckdb.DuckDBPyConnection, file: Path, catalog: str | None = None) -> None:
    """Attach the layers of a serving file that is open, or attached as `catalog`."""
    place = f'"{catalog}".' if catalog else ""
    for (layer,) in con.execute(f"SELECT layer FROM {place}layers.files").fetchall():
        con.execute(f'ATTACH IF NOT EXISTS {literal(str(file_of(file, layer)))} AS "layer_{layer}" (READ_ONLY)')


def of(file: Path, *, intact: bool = False) -> list[Layer]:
    """Return the layers of a serving file, the oldest first; none if it is missing or damaged.

    With `intact` the layers themselves are verified as well.
    """
    with contextlib.suppress(duckdb.Error, FileNotFoundError):
        con = duckdb.connect(str(file), read_only=True)
        files = con.execute("SELECT layer, sha256 FROM layers.files").fetchall()
        slots = con.execute("SELECT layer, slot, summary, rows FROM layers.slots").fetchall()
        con.close()
        if intact and any(_sha256(file_of(file, layer)) != sha256 for layer, sha256 in files):
            return []
        return [
            Layer(
                layer,
                sha256,
                frozenset(s for x, s, _, _ in slots if x == layer),
                {s: (summary, rows) for x, s, summary, rows in slots if x == layer and summary},
            )
            for layer, sha256 in files
        ]
    return []


def sweep(folder: Path) -> None:
    """Remove layers that no serving file names, and what a build that was killed left aside."""
    storage.sweep(folder, lambda p: not p.name.startswith("."))
    for path in folder.glob("*.duckdb"):
        target, dash, layer = path.stem.partition("-")
        if dash and layer not in {x.id for x in of(path.with_name(f"{target}.duckdb"))}:
            storage.remove(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
