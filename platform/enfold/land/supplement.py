"""Supplemental qualifiers: the rows of an SDTM SUPP-- file become columns of the domain that they belong to.

A qualifier names its row by subject and, but for one row a subject, by a column (`IDVAR`) and its value
(`IDVARVAL`). Each finds exactly one place, or the file is refused: nothing is dropped.
"""

from dataclasses import replace

import pyarrow as pa

from enfold.errors import UsageError
from enfold.land import limits
from enfold.land.readers import ROW, Source
from enfold.ledger import engine
from enfold.quoting import literal, quote

NEEDED = ("RDOMAIN", "USUBJID", "IDVAR", "IDVARVAL", "QNAM", "QVAL")
MEND = "Nothing was landed. Export both files at one time, from one place."


def join(source: Source, supplement: Source) -> Source:
    """Return `source` with a column for each `QNAM` of `supplement`.

    Raises:
        UsageError: not supplemental qualifiers, a qualifier that belongs to no row or to several, one given twice, or
            one that is called as a column is; says how many and the first row.
    """
    name = supplement.name
    names = set(supplement.rows.column_names)
    lacking = [c for c in NEEDED if c not in names]
    lacking += [c for c in ("USUBJID", "DOMAIN") if c not in source.rows.column_names]
    if lacking:
        msg = f"{name}: not supplemental qualifiers of {source.name}: no column {', '.join(lacking)}"
        raise UsageError(msg, remedy="Give the domain, and its SUPP-- file with --supp.")
    con = engine.connect(threads=engine.cores())
    con.register("parent", source.rows)
    con.register("supp", supplement.rows)
    qualifiers = [q for (q,) in con.execute("SELECT DISTINCT QNAM FROM supp ORDER BY ALL").fetchall()]
    pointers = [v for (v,) in con.execute("SELECT DISTINCT IDVAR FROM supp WHERE IDVAR IS NOT NULL").fetchall()]
    known = set(source.rows.column_names)
    if None in qualifiers or set(qualifiers) & known or not set(pointers) <= known:
        msg = f"{name}: a QNAM is empty or a column of {source.name}, or an IDVAR is none of its columns"
        raise UsageError(msg, remedy=MEND)
    limits.column_names(name, [*source.rows.column_names[:-1], *qualifiers])
    cases = " ".join(f"WHEN {literal(v)} THEN p.{quote(v)}" for v in sorted(pointers)) or "WHEN NULL THEN NULL"
    con.execute(f"""
        CREATE TABLE placed AS
        SELECT s.{ROW} AS place, p.{ROW}, s.QNAM, s.QVAL FROM supp s LEFT JOIN parent p
          ON p.USUBJID = s.USUBJID AND p.DOMAIN = s.RDOMAIN
         AND (s.IDVAR IS NULL OR CASE s.IDVAR {cases} END = s.IDVARVAL)
    """)
    _refuse(con.execute(f"SELECT place FROM placed WHERE {ROW} IS NULL ORDER BY ALL").fetchall(), name,
            "belong to no row")  # fmt: skip
    _refuse(con.execute("SELECT place FROM placed GROUP BY place HAVING count(*) > 1 ORDER BY ALL").fetchall(), name,
            "belong to several rows")  # fmt: skip
    _refuse(con.execute(f"SELECT max(place) FROM placed GROUP BY {ROW}, QNAM HAVING count(*) > 1 ORDER BY ALL")
            .fetchall(), name, "say again what another says")  # fmt: skip
    columns = "".join(f", max(QVAL) FILTER (QNAM = {literal(q)}) AS {quote(q)}" for q in qualifiers)
    wide = con.sql(f"""
        SELECT p.{ROW}{", " if qualifiers else ""}{", ".join(f"w.{quote(q)}" for q in qualifiers)} FROM parent p
        LEFT JOIN (SELECT {ROW}{columns} FROM placed GROUP BY {ROW}) w ON w.{ROW} = p.{ROW} ORDER BY p.{ROW}
    """).to_arrow_table()
    rows = source.rows
    for q in qualifiers:
        rows = rows.add_column(rows.num_columns - 1, q, wide.column(q).cast(pa.string()))
    joined = (*source.joined, (name, supplement.digest, supplement.rows.num_rows))
    return replace(source, rows=rows, joined=joined)


def _refuse(found: list[tuple[int]], name: str, what: str) -> None:
    if found:
        msg = f"{name}: {len(found):,} qualifiers {what}; first: row {found[0][0]:,}"
        raise UsageError(msg, remedy=MEND)
