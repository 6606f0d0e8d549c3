"""Segments: Parquet files of events of one type, sorted by slot, with page checksums."""

import io
import secrets

import pyarrow as pa
import pyarrow.parquet as pq

from enfold import schema
from enfold.ledger import canonical, engine

ROW_GROUP = 10_000
STORED = (
    pa.field("slot", pa.int16(), nullable=False),
    pa.field("position", pa.int64(), nullable=False),
    pa.field("salt", pa.binary(), nullable=False),
)


def stored_schema(event_type: str) -> pa.Schema:
    """Return the schema of a segment: the event, then slot, position and salt."""
    return pa.schema([*schema.event_arrow(event_type), *STORED])


def prepare(event_type: str, rows: pa.Table, position: int) -> pa.Table:
    """Return `rows` with slot, position and fresh salts, in segment order."""
    con = engine.connect()
    salts = secrets.token_bytes(16 * rows.num_rows)
    table = rows.append_column(
        STORED[2],
        pa.array([salts[i : i + 16] for i in range(0, len(salts), 16)], pa.binary()),
    )
    con.register("rows", table)
    names = ", ".join(f'"{n}"' for n in schema.event_arrow(event_type).names)
    query = f"""
        SELECT {names}, {canonical.slot_sql()} AS slot, CAST({position:d} AS BIGINT) AS position, salt
        FROM rows
        ORDER BY slot, subject_id, event_id, {canonical.content_sql(event_type)}
    """
    return con.sql(query).to_arrow_table().cast(stored_schema(event_type))


def encode(event_type: str, rows: pa.Table) -> bytes:
    """Return the bytes of a segment file."""
    sink = io.BytesIO()
    pq.write_table(
        rows.cast(stored_schema(event_type)),
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
    import pyarrow.compute as pc

    return table.filter(pc.and_(pc.greater_equal(slot, slots[0]), pc.less(slot, slots[1])))


FAN_OUT = 1024


def content_root(batches: dict[str, pa.Table]) -> str:
    """Return the Merkle root over all events of a commit, whatever their order and files.

    Leaves (type, envelope, salted commitment to the body) are sorted; each node is the SHA-256
    over up to 1,024 children; the root of nothing is the SHA-256 of `empty`.
    """
    con = engine.connect()
    con.execute("CREATE TABLE leaves (leaf VARCHAR)")
    for event_type, rows in sorted(batches.items()):
        con.register("rows", rows)
        con.execute(f"INSERT INTO leaves SELECT {canonical.leaf_sql(event_type)} FROM rows")
        con.unregister("rows")
    con.execute("CREATE TABLE level AS SELECT leaf AS node, row_number() OVER (ORDER BY leaf) - 1 AS n FROM leaves")
    count = engine.one_row(con, "SELECT count(*) FROM level")[0]
    if count == 0:
        return str(engine.one_row(con, "SELECT sha256('empty')")[0])
    while count > 1:
        con.execute(f"""
            CREATE OR REPLACE TABLE level AS
            SELECT sha256('node:' || string_agg(node, '' ORDER BY n)) AS node, n // {FAN_OUT} AS n
            FROM level GROUP BY n // {FAN_OUT}
        """)
        count = engine.one_row(con, "SELECT count(*) FROM level")[0]
    return str(engine.one_row(con, "SELECT sha256('root:' || node) FROM level")[0])
