"""Land one source: read, map, check, gate, admit, commit; every row and event accounted for."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from enfold.errors import EnfoldError, FindingsError
from enfold.land import admit, gate
from enfold.land.mapping import Mapping
from enfold.land.readers import ROW, Source
from enfold.land.stage import Staged, stage
from enfold.ledger import storage
from enfold.ledger.ledger import Draft, Ledger


@dataclass
class Report:
    """The reconciliation of one landing; `check` enforces that nothing is unaccounted for."""

    source: str
    mapping: str
    rows: int
    mapped: int
    ignored: dict[str, int]
    refused: int
    events: int = 0
    landed: int = 0
    already: int = 0
    conflicting: int = 0
    redacted: int = 0
    position: int | None = None
    refusals: list[dict[str, Any]] = field(default_factory=list)
    queries: list[dict[str, Any]] = field(default_factory=list)

    def check(self) -> None:
        """Raise if a row or an event is unaccounted for."""
        rows = self.mapped + sum(self.ignored.values()) + self.refused
        events = self.landed + self.already + self.conflicting + self.redacted
        if rows != self.rows or events != self.events:
            msg = f"{self.source}: {self.rows} rows, {rows} accounted for; {self.events} events, {events} accounted for"
            raise EnfoldError(msg, remedy="Nothing was landed; this is a defect of enfold.")


def land(
    study: Path,
    source: Source,
    mapping: Mapping,
    *,
    study_id: str,
    author: str,
    reason: str,
    system: str | None = None,
    strict: bool = False,
    dry_run: bool = False,
) -> Report:
    """Land `source` as one commit and return the reconciliation.

    Raises:
        UsageError, ConflictError: the file as a whole cannot be landed; nothing was written.
        FindingsError: `strict`, and at least one record was refused; nothing was written.
    """
    staged = stage(source, mapping, study_id, system)
    suites, queries = _gate(staged)
    bad = {r["source_row"] for r in staged.refused}
    report = Report(
        source=source.name,
        mapping=f"{mapping.name}@{mapping.version}",
        rows=source.rows.num_rows,
        mapped=staged.mapped_rows,
        ignored=staged.ignored,
        refused=len(bad),
        refusals=staged.refused,
        queries=queries,
        events=sum(t.num_rows for t in staged.events.values()),
    )
    if strict and bad:
        msg = f"{source.name}: {len(bad)} of {report.rows} records would be refused"
        raise FindingsError(msg, remedy="Nothing was landed (--strict). " + first_refusal(report))

    def admission(ledger: Ledger) -> Draft:
        report.landed = report.already = report.conflicting = report.redacted = 0
        batches = {}
        for event_type, rows in staged.events.items():
            got = admit.admit(ledger, rows)
            report.landed += got.landed
            report.already += got.already
            report.conflicting += got.conflicting
            report.redacted += got.redacted
            batches[event_type] = got.new
        report.check()
        counts = {k: v for k, v in asdict(report).items() if k not in {"refusals", "queries", "position", "source"}}
        return Draft(batches, {"reconciliation": counts, "suites": suites, "queries": queries})

    ledger = Ledger(study / "ledger")
    if dry_run:
        admission(ledger)
        return report
    if bad:
        _keep_refused(study, staged)
    commit = ledger.append(
        admission,
        kind="landing",
        author=author,
        reason=reason,
        sources=[
            {
                "name": source.name,
                "sha256": source.digest,
                "rows": report.rows,
                "mapping": mapping.name,
                "mapping_sha256": mapping.digest,
            }
        ],
    )
    report.position = commit.position if commit else None
    return report


def first_refusal(report: Report) -> str:
    """Return the first refusal in words: row, column, reason, remedy."""
    r = report.refusals[0]
    column = f", column {r['column_name']}" if r["column_name"] else ""
    return f"First: row {r['source_row']}{column}: {r['reason']}. {r['remedy']}"


def _gate(staged: Staged) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Run the suites; a refused row takes all events of that row with it."""
    suites: dict[str, str] = {}
    queries: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    for event_type, rows in staged.events.items():
        outcome = gate.validate(event_type, rows)
        if outcome.suite:
            suites[event_type] = outcome.suite
        refused += outcome.refused
        queries += outcome.queries
    if refused:
        bad = pa.array(sorted({r["source_row"] for r in refused}), pa.int64())
        for event_type, rows in staged.events.items():
            keep = pc.invert(pc.is_in(rows.column(ROW), value_set=bad))
            staged.events[event_type] = rows.filter(keep)
        staged.mapped_rows -= len(bad)
        staged.refused = sorted(
            [*staged.refused, *refused],
            key=lambda r: (r["source_row"], r["column_name"] or "", r["code"]),
        )
        standing = {i for t in staged.events.values() for i in t.column("event_id").to_pylist()}
        for query in queries:
            query["event_ids"] = [i for i in query["event_ids"] if i in standing]
    return suites, [q for q in queries if q["event_ids"]]


def _keep_refused(study: Path, staged: Staged) -> None:
    """Keep refused records with their reasons, one file per source content."""
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
        "records": [
            {"row": r[ROW], "reasons": by_row[r[ROW]], "record": {k: v for k, v in r.items() if k != ROW}}
            for r in records
        ],
    }
    name = f"{staged.source.digest[:16]}-{staged.mapping.digest[:8]}.json"
    data = json.dumps(body, sort_keys=True, ensure_ascii=False, indent=1).encode()
    storage.replace(study / "refused" / name, data)
