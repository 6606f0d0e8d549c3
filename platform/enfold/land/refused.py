"""Refused records: kept with their reasons outside the ledger, mended, and landed again.

`refused/<source digest>-<mapping digest>.json` holds the refused records of one file under one mapping.
Landing a mended record writes into the commit which refusal and row it mends; what no commit
mends is open.
"""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from enfold.errors import UsageError
from enfold.land.readers import ROW
from enfold.land.stage import Staged
from enfold.ledger import storage
from enfold.ledger.ledger import Ledger

LINK = "enfold_refusal"  # column of an export: refusal and row, by which a mended record is linked


@dataclass(frozen=True)
class Refusal:
    """The refused records of one file: `records` by row, `mended` the commit positions by row."""

    id: str
    source: str
    mapping: str
    system: str | None
    records: dict[int, dict[str, Any]]
    mended: dict[int, list[int]]

    @property
    def open(self) -> list[int]:
        """Rows that no landed record mends."""
        return [row for row in sorted(self.records) if row not in self.mended]


def keep(study: Path, staged: Staged, system: str | None) -> None:
    """Keep refused records with their reasons, one file per source content and mapping."""
    rows = staged.source.rows
    wanted = pa.array(sorted({r["source_row"] for r in staged.refused}), pa.int64())
    records = rows.filter(pc.is_in(rows.column(ROW), value_set=wanted)).to_pylist()
    by_row: dict[int, list[dict[str, Any]]] = {}
    for r in staged.refused:
        by_row.setdefault(r["source_row"], []).append(r)
    body = {
        "source": staged.source.name,
        "source_sha256": staged.source.digest,
        "mapping": staged.mapping.name,
        "mapping_text": staged.mapping.text,
        "system": system,
        "records": [
            {"row": r[ROW], "reasons": by_row[r[ROW]], "record": {k: v for k, v in r.items() if k != ROW}}
            for r in records
        ],
    }
    name = f"{staged.source.digest[:16]}-{staged.mapping.digest[:8]}.json"
    data = json.dumps(body, sort_keys=True, ensure_ascii=False, indent=1).encode()
    storage.replace(study / "refused" / name, data)


def refusals(study: Path) -> list[Refusal]:
    """Return every refusal of a study, with what mended it."""
    mended: dict[str, dict[int, list[int]]] = {}
    for commit in Ledger(study / "ledger").commits.of_kind("landing"):
        link = commit.details.get("mends")
        if link:
            for row in link["events"]:
                mended.setdefault(link["refusal"], {}).setdefault(int(row), []).append(commit.position)
    out = []
    for path in sorted((study / "refused").glob("*.json")):
        body = json.loads(path.read_text("utf-8"))
        records = {r["row"]: r for r in body["records"]}
        found = mended.get(path.stem, {})
        out.append(Refusal(path.stem, body["source"], body["mapping"], body.get("system"), records, found))
    return out


def refusal(study: Path, id_: str) -> Refusal:
    """Return one refusal by its id, or the beginning of it.

    Raises:
        UsageError: none, or several, begin so.
    """
    found = [r for r in refusals(study) if r.id.startswith(id_)]
    if len(found) != 1:
        msg = f"{len(found)} refusals begin with `{id_}`"
        raise UsageError(msg, remedy=f"enfold refused list {study} shows them.")
    return found[0]


def mapping_of(study: Path, found: Refusal) -> str | None:
    """Return the text of the mapping that the refused file was landed with; None for enfold's own columns."""
    text = json.loads((study / "refused" / f"{found.id}.json").read_text("utf-8")).get("mapping_text")
    return None if text is None else str(text)


def forget(study: Path, id_: str, rows: set[int]) -> int:
    """Take the records of these rows out of a refusal, after a redaction; return how many were there."""
    path = study / "refused" / f"{id_}.json"
    if not path.exists():
        return 0
    body = json.loads(path.read_text("utf-8"))
    kept = [r if r["row"] not in rows else {**r, "record": {}} for r in body["records"]]
    gone = sum(1 for r in body["records"] if r["row"] in rows and r["record"])
    storage.replace(path, json.dumps({**body, "records": kept}, sort_keys=True, ensure_ascii=False, indent=1).encode())
    return gone


def export(found: Refusal) -> bytes:
    """Return the open records as CSV: what was sent, the reasons, and the link by which to land them again."""
    rows = [found.records[row] for row in found.open]
    columns = list(dict.fromkeys(c for r in rows for c in r["record"]))
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow([LINK, "enfold_reasons", *columns])
    for r in rows:
        reasons = "; ".join(f"{x['column_name'] or 'row'}: {x['reason']}" for x in r["reasons"])
        writer.writerow([f"{found.id}#{r['row']}", reasons, *(_guarded(r["record"].get(c)) for c in columns)])
    return sink.getvalue().encode()


def links(rows: pa.Table) -> tuple[str, dict[int, int], pa.Table]:
    """Return refusal id, refused row by row of the mended file, and the rows without enfold's columns.

    Raises:
        UsageError: the file was not made by `enfold refused export`, or mixes refusals.
    """
    remedy = "Mend a file that `enfold refused export` wrote, and keep its first column."
    if LINK not in rows.column_names or rows.column(LINK).null_count:
        msg = f"no column `{LINK}`, or rows without it"
        raise UsageError(msg, remedy=remedy)
    parts = [str(v).rpartition("#") for v in rows.column(LINK).to_pylist()]
    ids = {p[0] for p in parts}
    if len(ids) != 1 or not all(p[2].isdecimal() for p in parts):
        msg = f"column `{LINK}` names {len(ids)} refusals, or no row"
        raise UsageError(msg, remedy=remedy)
    places = {n: int(p[2]) for n, p in zip(rows.column(ROW).to_pylist(), parts, strict=True)}
    rows = rows.drop_columns([c for c in (LINK, "enfold_reasons") if c in rows.column_names])
    for place, name in enumerate(rows.column_names):
        if name != ROW:
            text = rows.column(name).cast(pa.string())
            rows = rows.set_column(place, name, pc.replace_substring_regex(text, r"^'([=+@\t\r-])", r"\1"))
    return ids.pop(), places, rows


def _guarded(text: str | None) -> str | None:
    """Return text that a spreadsheet shows and does not run; `links` takes the apostrophe off again."""
    return f"'{text}" if text and text[0] in "=+-@\t\r" else text
