"""Admission: which staged events are new, already there, or in conflict with the ledger."""

from dataclasses import dataclass

import pyarrow as pa

from enfold.ledger import engine
from enfold.ledger.canonical import content_sql
from enfold.ledger.ledger import Ledger


@dataclass(frozen=True)
class Admitted:
    """Events of one type split by what the ledger says of their ids."""

    new: pa.Table  # to be landed; those in conflict included
    landed: int
    already: int
    conflicting: int


def admit(ledger: Ledger, event_type: str, rows: pa.Table) -> Admitted:
    """Compare ids and content with the ledger.

    Same id, same content: already there, nothing happens. Same id, other content: a conflict;
    both are kept, and the fold calls the fact contested until a correction settles it. Two equal
    rows of one batch count once as landed and else as already there.
    """
    con = engine.connect(threads=2)
    con.register("staged", rows)
    con.register("stored", ledger.read(event_type))
    con.execute(f"""
        CREATE TABLE incoming AS
        SELECT source_row, event_id, {content_sql(event_type)} AS content,
               row_number() OVER (PARTITION BY event_id, content ORDER BY source_row) AS copy
        FROM staged
    """)
    con.execute(f"""
        CREATE TABLE known AS
        SELECT DISTINCT event_id, {content_sql(event_type)} AS content
        FROM stored SEMI JOIN staged USING (event_id)
    """)
    con.execute("""
        CREATE TABLE verdict AS
        SELECT i.*,
               i.copy > 1 OR EXISTS (
                   FROM known k WHERE k.event_id = i.event_id AND k.content = i.content
               ) AS already,
               EXISTS (FROM known k WHERE k.event_id = i.event_id) AS id_known
        FROM incoming i
    """)
    counts = engine.one_row(
        con,
        """
        SELECT count(*) FILTER (NOT already AND NOT id_known), count(*) FILTER (already),
               count(*) FILTER (NOT already AND id_known)
        FROM verdict
    """,
    )
    new = con.sql(
        "SELECT s.* FROM staged s SEMI JOIN (FROM verdict WHERE NOT already) v"
        " USING (source_row, event_id) ORDER BY s.source_row"
    ).to_arrow_table()
    return Admitted(new.cast(rows.schema), *counts)
