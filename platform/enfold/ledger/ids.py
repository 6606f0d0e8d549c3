"""The id index: which event ids the ledger holds, with which content. Disposable, rebuilt at will.

Small ledgers have none: admission reads the segments. Beyond that, `index/<from>-<until>.ids` holds
the ids of a range of commits in blocks by slot, so that a landing reads the blocks of its own
subjects only; each block carries its SHA-256. Ranges of like size are merged, as in a
log-structured merge tree, so that a ledger of n commits has about log n files.

An entry is 16 octets that stand for the event id, and the first 16 of its content digest. A UUID in its usual
text stands for itself; any other id is the first 16 octets of its SHA-256, marked as no UUID.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from enfold.errors import IntegrityError
from enfold.ledger import hashes, storage
from enfold.ledger.canonical import SLOTS

FORMAT = 2  # of the index; one of another format is made anew
BLOCKS = 64  # of 16 slots each
SCHEMA = pa.schema([("slot", pa.int16()), ("id", pa.binary(16)), ("content", pa.binary(16))])
INDEX_AFTER = 20_000  # events that stand in no index file yet
INDEX_COMMITS = 64  # or commits
UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-d][0-9a-f]{3}-[0-9a-f]{12}$"  # but for the variant 111, which
SHAPE = b"00000000-0000-0000-0000-000000000000"
AS_SHAPE = bytes(48 if n in b"0123456789abcdef" else 45 if n == 45 else 63 for n in range(256))  # 0, - or ?
RESERVED = 0b11100000
NO_UUID = bytes(n | RESERVED for n in range(256))  # RFC 9562 reserves: no UUID has it, and other ids are given it
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
    content = rows.column("content") if "content" in rows.column_names else None
    if content is None or content.null_count:
        made = hashes.contents(event_type, rows)
        content = made if content is None else pc.coalesce(content, made)
    parts = [rows.column("slot"), keys(rows.column("event_id")), hashes.heads(content)]
    return pa.Table.from_arrays(parts, schema=SCHEMA)


def keys(event_ids: pa.ChunkedArray) -> pa.Array:
    """Return the 16 octets that stand for each event id: another id, other octets."""
    if (text := _shaped(event_ids)) is not None:
        whole = _packed(text)
        own = pc.less(_octet(whole, 8), RESERVED)
    else:
        own = pc.match_substring_regex(event_ids, UUID).combine_chunks()
        made = _packed(b"".join(map(hashes.data, event_ids.filter(own).chunks)))
        whole = pc.replace_with_mask(pa.nulls(len(event_ids), pa.binary(16)), own, made)
    foreign = pc.invert(own)
    digests = hashes.each(event_ids.filter(foreign))
    if not len(digests):
        return whole
    others = bytearray(b"".join(hashes.octets(pc.binary_slice(c, 0, 16)) for c in digests.chunks))
    others[8::16] = others[8::16].translate(NO_UUID)
    return pc.replace_with_mask(whole, foreign, hashes.fixed(others, 16))


def _shaped(event_ids: pa.ChunkedArray) -> bytes | None:
    """Return the octets of the ids one after the other if each looks like a UUID, of whatever variant; else None.

    They are looked at as one text, which takes a third of the time that the pattern does.
    """
    if event_ids.null_count or pc.any(pc.not_equal(pc.binary_length(event_ids), len(SHAPE))).as_py():
        return None
    text = b"".join(map(hashes.data, event_ids.chunks))
    return text if text.translate(AS_SHAPE) == SHAPE * len(event_ids) else None


def _packed(uuids: bytes) -> pa.Array:
    return hashes.fixed(bytes.fromhex(uuids.translate(None, b"-").decode()), 16)


def _octet(found: pa.Array, n: int) -> pa.Array:
    """Return the octet number `n` of each of an array of binary of a fixed width."""
    octets = bytes(hashes.octets(found)[n :: found.type.byte_width])
    return pa.Array.from_buffers(pa.uint8(), len(found), [None, pa.py_buffer(octets)])


def write(folder: Path, after: int, until: int, head: str, rows: pa.Table) -> None:
    """Write the index of commits (after, until]; `head` is the hash of the last."""
    block_of = pc.divide(rows.column("slot"), pa.scalar(SLOTS // BLOCKS, pa.int16())).combine_chunks()
    sizes = {c["values"]: c["counts"] for c in block_of.value_counts().to_pylist()}
    rows = rows.take(pc.array_sort_indices(block_of)).combine_chunks()
    pieces: list[bytes] = []
    blocks: list[list[object]] = []
    at = begin = 0
    for n in range(BLOCKS):
        size = sizes.get(n, 0)
        data = _ipc(rows.slice(begin, size)) if size else b""
        blocks.append([at, len(data), hashlib.sha256(data).hexdigest()])
        pieces.append(data)
        at, begin = at + len(data), begin + size
    head_ = {"format": FORMAT, "after": after, "until": until, "head": head, "rows": rows.num_rows, "blocks": blocks}
    line = json.dumps(head_).encode() + b"\n"
    body = line + hashlib.sha256(line).hexdigest().encode() + b"\n" + b"".join(pieces)
    storage.replace(folder / f"{after:012d}-{until:012d}.ids", body)


def ranges(folder: Path, commits: list[str]) -> list[Range]:
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
        if head.get("format") != FORMAT or head["until"] > len(commits) or commits[head["until"] - 1] != head["head"]:
            continue
        item = Range(path, head["after"], head["until"], head["rows"], begin, head["blocks"])
        if item.after not in found or found[item.after].until < item.until:
            found[item.after] = item
    out: list[Range] = []
    while (out[-1].until if out else 0) in found:
        out.append(found[out[-1].until if out else 0])
    return out


def extend(folder: Path, commits: list[str], tail: pa.Table) -> None:
    """Write the index of the commits after the last range, merged with ranges of like size."""
    have = ranges(folder, commits)
    parts = [tail]
    rows = tail.num_rows
    while have and have[-1].rows < GROWTH * rows:
        last = have.pop()
        parts += last.read(range(BLOCKS))
        rows += last.rows
    write(folder, have[-1].until if have else 0, len(commits), commits[-1], pa.concat_tables(parts))
    standing = {r.path.name for r in ranges(folder, commits)}
    for name in storage.listing(folder, ".ids"):  # merged, of another format, or damaged
        if name not in standing:
            storage.remove(folder / name)


def block(slot: int) -> int:
    """Return the block that holds a slot."""
    return slot // (SLOTS // BLOCKS)


def _ipc(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, SCHEMA) as stream:
        stream.write_table(rows)
    return bytes(sink.getvalue())
