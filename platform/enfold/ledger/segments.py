"""Segments: Parquet files of events of one type, sorted by slot, with page checksums."""

import io
import secrets
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from enfold import schema
from enfold.ledger import canonical, engine
from enfold.ledger.canonical import Shape

ROW_GROUP = 10_000
ROWS_PER_SEGMENT = 250_000  # a larger batch is split where a slot ends
STORED = (
    pa.field("slot", pa.int16(), nullable=False),
    pa.field("position", pa.int64(), nullable=False),
    pa.field("salt", pa.binary(16), nullable=False),
)
CONTENT = pa.field("content", pa.string())  # digest; travels with rows in memory, is not stored


def stored_schema(event_type: str) -> pa.Schema:
    """Return the schema of a segment: the event, then slot, position and salt."""
    return pa.schema([*schema.event_arrow(event_type), *STORED])


def prepare(event_type: str, rows: pa.Table, position: int) -> pa.Table:
    """Return `rows` with slot, position and fresh salts, in segment order; `content` is kept at the end if given."""
    salts = pa.Array.from_buffers(
        pa.binary(16), rows.num_rows, [None, pa.py_buffer(secrets.token_bytes(16 * rows.num_rows))]
    )
    table = rows.append_column(STORED[2], salts)
    con = engine.connect(threads=engine.cores())
    con.register("rows", table)
    names = ", ".join(f'r."{n}"' for n in schema.event_arrow(event_type).names)
    con.execute(f"""
        CREATE TABLE places AS
        SELECT study_id, subject_id, {canonical.slot_sql()} AS slot
        FROM (SELECT DISTINCT study_id, subject_id FROM rows)
    """)
    content = ", r.content" if "content" in rows.column_names else ""
    query = f"""
        SELECT {names}, p.slot, CAST({position:d} AS BIGINT) AS position, r.salt{content}
        FROM rows r JOIN places p USING (study_id, subject_id)
        ORDER BY p.slot, r.subject_id, r.event_id, r.source_row
    """
    stored = stored_schema(event_type)
    return con.sql(query).to_arrow_table().cast(stored.append(CONTENT) if content else stored)


def split(rows: pa.Table, most: int = ROWS_PER_SEGMENT) -> Iterator[pa.Table]:
    """Yield sorted `rows` in pieces of about `most`, none sharing a slot with the next."""
    begin = 0
    slots = rows.column("slot").combine_chunks() if rows.num_rows > most else None
    while slots is not None and rows.num_rows - begin > most:
        last = slots[begin + most - 1]
        end = pc.index(slots, last).as_py()  # the slot at the limit goes to the next piece,
        if end <= begin:  # unless it alone is larger than a piece
            end = rows.num_rows - pc.index(slots[::-1], last).as_py()
        yield rows.slice(begin, end - begin)
        begin = end
    if begin < rows.num_rows or rows.num_rows == 0:
        yield rows.slice(begin)


def encode(rows: pa.Table) -> bytes:
    """Return the bytes of a segment file."""
    sink = io.BytesIO()
    pq.write_table(
        rows,
        sink,
        compression="zstd",
        row_group_size=ROW_GROUP,
        write_page_checksum=True,
        use_dictionary=[n for n in rows.column_names if n not in {"event_id", "salt"}],
        store_schema=True,
    )
    return sink.getvalue()


def decode(data: bytes, slots: tuple[int, int] | None = None, columns: list[str] | None = None) -> pa.Table:
    """Return the rows of a verified segment whose slot lies in [from, until)."""
    file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
    if slots is None:
        return file.read(columns=columns)
    index = file.schema_arrow.get_field_index("slot")
    wanted = []
    for group in range(file.num_row_groups):
        stats = file.metadata.row_group(group).column(index).statistics
        if stats is None or (stats.max >= slots[0] and stats.min < slots[1]):
            wanted.append(group)
    table = file.read_row_groups(wanted, columns=columns)
    slot = table.column("slot")
    return table.filter(pc.and_(pc.greater_equal(slot, slots[0]), pc.less(slot, slots[1])))


FAN_OUT = 1024


def content_roots(batches: Iterable[tuple[Shape, pa.Table]], leaves: pa.Table | None = None) -> dict[int, str]:
    """Return by position the Merkle root over all events of a commit, whatever their order and files.

    Leaves (ledger/canonical.py) are sorted; each node is the SHA-256
    over up to 1,024 children; the root of nothing is the SHA-256 of `empty`.

    Args:
        batches: rows of segments, of one or many commits, each with the shape they were landed in, and
            with `content` where it has just been computed.
        leaves: `position` and `leaf` of events that have no row any more.
    """
    con = engine.connect(threads=engine.cores())
    con.execute("CREATE TABLE leaves (position BIGINT, leaf VARCHAR)")
    for shape, rows in batches:
        con.register("rows", rows)
        known = "content" in rows.column_names and rows.column("content").null_count == 0
        leaf = canonical.leaf_sql(shape, canonical.filled(rows), "content" if known else None)
        con.execute(f"INSERT INTO leaves SELECT position, {leaf} FROM rows")
        con.unregister("rows")
    if leaves is not None:
        con.register("redacted", leaves)
        con.execute("INSERT INTO leaves SELECT position, leaf FROM redacted")
    con.execute("""
        CREATE TABLE level AS
        SELECT position, leaf AS node, row_number() OVER (PARTITION BY position ORDER BY leaf) - 1 AS n FROM leaves
    """)
    while engine.one_row(con, "SELECT coalesce(max(n), 0) FROM level")[0] > 0:
        con.execute(f"""
            CREATE OR REPLACE TABLE level AS
            SELECT position, CASE WHEN max(size) = 1 THEN min(node)
                   ELSE sha256('node:' || string_agg(node, '' ORDER BY n)) END AS node, n // {FAN_OUT} AS n
            FROM (SELECT *, count(*) OVER (PARTITION BY position) AS size FROM level) GROUP BY position, n // {FAN_OUT}
        """)
    return dict(con.execute("SELECT position, sha256('root:' || node) FROM level").fetchall())


EMPTY_ROOT = "2e1cfa82b035c26cbbbdae632cea070514eb8b773f616aaeaf668e2f0be8f10d"  # SHA-256 of `empty`


def content_root(batches: Iterable[tuple[Shape, pa.Table]], position: int) -> str:
    """Return the Merkle root of one commit that is about to be made."""
    return content_roots(batches).get(position, EMPTY_ROOT)
