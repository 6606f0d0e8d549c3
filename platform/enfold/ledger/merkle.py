"""The Merkle root of a commit: over the leaves of its events, whatever their order and files.

Leaves (ledger/canonical.py) are sorted; each node is the SHA-256 over up to 1,024 children, all in hex; the root
of nothing is the SHA-256 of `empty`.
"""

from collections.abc import Iterable

import pyarrow as pa

from enfold.ledger import canonical, engine, storage
from enfold.ledger.canonical import Shape

FAN_OUT = 1024
EMPTY_ROOT = "2e1cfa82b035c26cbbbdae632cea070514eb8b773f616aaeaf668e2f0be8f10d"  # SHA-256 of `empty`
_HEX = 64  # octets of a SHA-256 in hex


def leaves(shape: Shape, rows: pa.Table, threads: int = 1) -> pa.Table:
    """Return `position` and `leaf` of rows of a segment, in no order.

    Args:
        shape: what the rows were landed in.
        rows: with slot, position and salt, and with `content` where it has just been computed.
        threads: how many to use.
    """
    con = engine.connect(threads)
    con.register("rows", rows)
    known = "content" in rows.column_names and rows.column("content").null_count == 0
    leaf = canonical.leaf_sql(shape, canonical.filled(rows), "content" if known else None)
    return con.sql(f"SELECT position, {leaf} AS leaf FROM rows").to_arrow_table()


def roots(found: Iterable[pa.Table]) -> dict[int, str]:
    """Return by position the roots over leaves of one or many commits."""
    table = pa.concat_tables(found)
    if table.num_rows == 0:
        return {}
    con = engine.connect(threads=engine.cores())
    con.register("leaves", table)
    sizes = con.execute("SELECT position, count(*) FROM leaves GROUP BY position ORDER BY position").fetchall()
    ordered = con.sql("SELECT leaf FROM leaves ORDER BY position, leaf").to_arrow_table().column(0)
    hexes = b"".join(map(_octets, ordered.chunks))
    out, begin = {}, 0
    for position, size in sizes:
        out[int(position)] = _root(memoryview(hexes)[begin : begin + _HEX * size])
        begin += _HEX * size
    return out


def _octets(hexes: pa.Array) -> memoryview:
    """Return the text of an array of hexes, one after another."""
    _, offsets, data = hexes.buffers()
    begin = memoryview(offsets).cast("i")[hexes.offset] if len(hexes) else 0
    return memoryview(data or b"")[begin : begin + _HEX * len(hexes)]


def _root(level: memoryview | bytes) -> str:
    width = FAN_OUT * _HEX
    while len(level) > _HEX:
        nodes = [storage.sha256(b"node:" + level[i : i + width]) for i in range(0, len(level), width)]
        level = "".join(nodes).encode()
    return storage.sha256(b"root:" + level)
