"""The id index: which event ids the ledger holds, with which content. Disposable, rebuilt at will.

Small ledgers have none: admission reads the segments. Beyond that, `index/<from>-<until>.ids` holds
the ids of a range of commits in blocks by slot, so that a landing reads the blocks of its own
subjects only; each block carries its SHA-256. Ranges of like size are merged, as in a
log-structured merge tree, so that a ledger of n commits has about log n files.

An entry is 16 octets of SHA-256 over the event id and 16 of its content digest.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from enfold.errors import IntegrityError
from enfold.ledger import canonical, engine, storage
from enfold.ledger.canonical import SLOTS

BLOCKS = 64  # of 16 slots each
SCHEMA = pa.schema([("slot", pa.int16()), ("id", pa.binary(16)), ("content", pa.binary(16))])
INDEX_AFTER = 20_000  # events that stand in no index file yet
INDEX_COMMITS = 64  # or commits
GROWTH = 4  # a range is merged with the one before it unless that one is so many times larger


@dataclass(frozen=True)
class Range:
    """One index file: the commits it covers and where its blocks are."""

    path: Path
    after: int
    until: int
    rows: int
    begin: int  # octet where the blocks begin
    blocks: list[list[object]]  # offset, length, SHA-256

    def read(self, blocks: Iterable[int]) -> list[pa.Table]:
        """Return the entries of these blocks, each verified."""
        out = []
        with self.path.open("rb") as file:
            for n in sorted(set(blocks)):
                offset, length, digest = self.blocks[n]
                if not length:
                    continue
                file.seek(self.begin + int(str(offset)))
                data = file.read(int(str(length)))
                if hashlib.sha256(data).hexdigest() != digest:
                    msg = f"index/{self.path.name}: block {n} is damaged"
                    raise IntegrityError(msg, remedy=f"Delete {self.path.name}; it is made anew.")
                out.append(pa.ipc.open_stream(pa.BufferReader(data)).read_all())
        return out


def entries(event_type: str, rows: pa.Table) -> pa.Table:
    """Return the index entries of rows with `slot`, and with `content` where it is known already."""
    if rows.num_rows == 0:
        return SCHEMA.empty_table()
    con = engine.connect()
    con.register("rows", rows)
    content = "content" if "content" in rows.column_names else "NULL"
    if content == "NULL" or rows.column("content").null_count:
        content = f"coalesce({content}, {canonical.content_sql(event_type, filled=canonical.filled(rows))})"
    query = f"SELECT slot, from_hex(sha256(event_id))[:16] AS id, from_hex({content})[:16] AS content FROM rows"
    return con.sql(query).to_arrow_table().cast(SCHEMA)


def write(folder: Path, after: int, until: int, head: str, rows: pa.Table) -> None:
    """Write the index of commits (after, until]; `head` is the hash of the last."""
    rows = rows.sort_by([("slot", "ascending"), ("id", "ascending")])
    pieces: list[bytes] = []
    blocks: list[list[object]] = []
    at = 0
    width = SLOTS // BLOCKS
    slots = rows.column("slot").combine_chunks() if rows.num_rows else pa.array([], pa.int16())
    bounds = [_below(slots, n * width) for n in range(BLOCKS + 1)]
    for n in range(BLOCKS):
        size = bounds[n + 1] - bounds[n]
        data = _ipc(rows.slice(bounds[n], size)) if size else b""
        blocks.append([at, len(data), hashlib.sha256(data).hexdigest()])
        pieces.append(data)
        at += len(data)
    header = json.dumps({"after": after, "until": until, "head": head, "rows": rows.num_rows, "blocks": blocks})
    line = header.encode() + b"\n"
    body = line + hashlib.sha256(line).hexdigest().encode() + b"\n" + b"".join(pieces)
    storage.replace(folder / f"{after:012d}-{until:012d}.ids", body)


def ranges(folder: Path, hashes: list[str]) -> list[Range]:
    """Return the index files in force: they cover commits 1 to some position without a gap.

    A file that is damaged, or belongs to other commits, is not in force: what it would cover is
    read from the segments.
    """
    found: dict[int, Range] = {}
    for path in folder.glob("*.ids"):
        try:
            with path.open("rb") as file:
                line, seal = file.readline(), file.readline()
                begin = file.tell()
        except FileNotFoundError:  # merged into another since the folder was listed
            continue
        if hashlib.sha256(line).hexdigest().encode() + b"\n" != seal:
            continue
        head = json.loads(line)
        if head["until"] > len(hashes) or hashes[head["until"] - 1] != head["head"]:
            continue
        item = Range(path, head["after"], head["until"], head["rows"], begin, head["blocks"])
        if item.after not in found or found[item.after].until < item.until:
            found[item.after] = item
    out: list[Range] = []
    while (out[-1].until if out else 0) in found:
        out.append(found[out[-1].until if out else 0])
    return out


def extend(folder: Path, hashes: list[str], tail: pa.Table) -> None:
    """Write the index of the commits after the last range, merged with ranges of like size."""
    have = ranges(folder, hashes)
    parts = [tail]
    rows = tail.num_rows
    merged: list[Range] = []
    while have and have[-1].rows < GROWTH * rows:
        last = have.pop()
        parts += last.read(range(BLOCKS))
        rows += last.rows
        merged.append(last)
    write(folder, have[-1].until if have else 0, len(hashes), hashes[-1], pa.concat_tables(parts))
    for old in merged:
        if old.until != len(hashes):
            storage.remove(old.path)


def block(slot: int) -> int:
    """Return the block that holds a slot."""
    return slot // (SLOTS // BLOCKS)


def _below(slots: pa.Array, bound: int) -> int:
    return int(pc.sum(pc.less(slots, bound)).as_py() or 0)


def _ipc(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, SCHEMA) as stream:
        stream.write_table(rows)
    return bytes(sink.getvalue())
