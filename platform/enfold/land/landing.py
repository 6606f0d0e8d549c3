"""Land one source: read, map, check, gate, admit, commit; every row and event accounted for."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from enfold.errors import EnfoldError, FindingsError, UsageError
from enfold.land import admit, gate, refused, told
from enfold.land import snapshot as snapshot_of
from enfold.land.mapping import Mapping
from enfold.land.readers import ROW, Source
from enfold.land.stage import Staged, stage
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
    ignored_columns: dict[str, list[str]] = field(default_factory=dict)  # by rule
    events: int = 0
    landed: int = 0
    already: int = 0
    conflicting: int = 0
    redacted: int = 0
    corrected: int = 0  # snapshots only, as the two that follow
    retracted: int = 0
    reinstated: int = 0
    position: int | None = None
    refusals: list[dict[str, Any]] = field(default_factory=list)
    queries: list[dict[str, Any]] = field(default_factory=list)

    def check(self) -> None:
        """Raise if a row or an event is unaccounted for."""
        rows = self.mapped + sum(self.ignored.values()) + self.refused
        events = self.landed + self.already + self.conflicting + self.redacted + self.corrected
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
    snapshot: bool = False,
    max_vanished: int = 10,
    mends: dict[str, Any] | None = None,
) -> Report:
    """Land `source` as one commit and return the reconciliation.

    Args:
        study: the study folder.
        source: the rows.
        mapping: how rows become events.
        study_id: of the study file in force.
        author: who lands it.
        reason: why; a snapshot's corrections and retractions carry it.
        system: name of the source system.
        strict: refuse all if one record is refused.
        dry_run: count, write nothing.
        snapshot: the source sends everything it holds: compare (land/snapshot.py).
        max_vanished: percent of a source's keys that a snapshot may leave out.
        mends: the refusal that these rows mend (land/refused.py).

    Raises:
        UsageError, ConflictError: the file as a whole cannot be landed; nothing was written.
        FindingsError: `strict`, and at least one record was refused; nothing was written.
    """
    staged = stage(source, mapping, study_id, system)
    return land_staged(
        study, staged, author=author, reason=reason, system=system, strict=strict, dry_run=dry_run,
        snapshot=snapshot, max_vanished=max_vanished, mends=mends,
    )  # fmt: skip


def land_staged(
    study: Path,
    staged: Staged,
    *,
    author: str,
    reason: str,
    kind: str = "landing",
    system: str | None = None,
    strict: bool = False,
    dry_run: bool = False,
    snapshot: bool = False,
    max_vanished: int = 10,
    mends: dict[str, Any] | None = None,
    record: dict[str, Any] | None = None,
) -> Report:
    """Gate, admit and commit what was staged; `record` goes into the commit's details. See `land`."""
    source, mapping = staged.source, staged.mapping
    suites, queries = _gate(staged)
    bad = {r["source_row"] for r in staged.refused}
    report = Report(
        source=source.name,
        mapping=f"{mapping.name}@{mapping.version}",
        rows=source.rows.num_rows,
        mapped=staged.mapped_rows,
        ignored=staged.ignored,
        refused=len(bad),
        ignored_columns=staged.ignored_columns,
        refusals=staged.refused,
        queries=queries,
        events=sum(t.num_rows for t in staged.events.values()),
    )
    if strict and bad:
        msg = f"{source.name}: {len(bad)} of {report.rows} records would be refused"
        raise FindingsError(msg, remedy="Nothing was landed (--strict). " + first_refusal(report))

    def admission(ledger: Ledger) -> Draft:
        report.landed = report.already = report.conflicting = report.redacted = 0
        if snapshot:
            batches = _compared(ledger, staged, report, system, author, reason, max_vanished, dry_run)
        else:
            batches = {
                t: _counted(admit.admit(ledger, rows, unique=t in staged.unique), report)
                for t, rows in staged.events.items()
            }
        report.check()
        counts = {k: v for k, v in asdict(report).items() if k not in {"refusals", "queries", "position", "source"}}
        details = {"reconciliation": counts, "suites": suites, "queries": queries}
        if record and any(t.num_rows for t in batches.values()):
            details["record"] = record
        if mends:
            details["mends"] = _mended(mends, staged)
        return Draft(batches, details)

    ledger = Ledger(study / "ledger")
    if dry_run:
        admission(ledger)
        return report
    if bad and not mends:
        refused.keep(study, staged, system)
    commit = ledger.append(
        admission,
        kind=kind,
        author=author,
        reason=reason,
        sources=[
            {
                "name": source.name,
                "sha256": source.digest,
                "rows": report.rows,
                "mapping": mapping.name,
                "mapping_sha256": mapping.digest,
                "system": system,
            },
            *({"name": n, "sha256": d, "rows": r, "joined_to": source.name} for n, d, r in source.joined),
        ],
    )
    report.position = commit.position if commit else None
    return report


def _counted(got: admit.Admitted, report: Report) -> pa.Table:
    report.landed += got.landed
    report.already += got.already
    report.conflicting += got.conflicting
    report.redacted += got.redacted
    return got.new


def _compared(
    ledger: Ledger,
    staged: Staged,
    report: Report,
    system: str | None,
    author: str,
    reason: str,
    max_vanished: int,
    dry_run: bool,
) -> dict[str, pa.Table]:
    """Return what a snapshot adds, counted."""
    if staged.source.tells_changes:
        msg = f"{report.source}: tells its changes itself, and is no snapshot"
        raise UsageError(msg, remedy="Land it without --snapshot: what it removes is withdrawn. Nothing was landed.")
    if staged.unknown_refused:
        msg = f"{report.source}: {staged.unknown_refused} refused rows have no key, so what vanished cannot be told"
        raise FindingsError(msg, remedy=f"Nothing was landed. {first_refusal(report)}")
    found = snapshot_of.compare(ledger, staged, system, author, reason)
    if not dry_run:
        snapshot_of.check_vanished(found, report.source, max_vanished)
    report.already = found.unchanged
    report.retracted, report.reinstated = found.vanished, found.reinstated
    report.corrected = 0
    batches = {}
    for event_type, rows in found.events.items():
        got = admit.admit(ledger, found.corrections[event_type])
        report.corrected += found.corrections[event_type].num_rows
        batches[event_type] = pa.concat_tables([_counted(admit.admit(ledger, rows), report), got.new])
    batches["retraction"] = pa.concat_tables(
        [batches.get("retraction", found.retractions.slice(0, 0)), admit.admit(ledger, found.retractions).new]
    )
    return batches


def _mended(mends: dict[str, Any], staged: Staged) -> dict[str, Any]:
    """Return which events mend which refused row: the link from a mended record to its refusal."""
    rows: dict[int, list[str]] = {}
    for table in staged.events.values():
        for row, event_id in zip(table.column(ROW).to_pylist(), table.column("event_id").to_pylist(), strict=True):
            rows.setdefault(mends["rows"][row], []).append(event_id)
    return {"refusal": mends["refusal"], "events": {str(n): sorted(ids) for n, ids in sorted(rows.items())}}


def summary(report: Report) -> str:
    """Return the reconciliation in one line: every row and event accounted for."""
    ignored = "".join(f", {n} ignored ({rule})" for rule, n in report.ignored.items())
    parts = [f"{report.landed} landed"]
    if report.corrected or report.retracted or report.reinstated:
        parts.append(f"{report.corrected} corrected")
    parts += [f"{report.already} already there", f"{report.conflicting} conflicting"]
    if report.redacted:
        parts.append(f"{report.redacted} redacted earlier and left out")
    beside = [f"{n} {what}" for n, what in ((report.retracted, "vanished and retracted"),
                                            (report.reinstated, "back and reinstated")) if n]  # fmt: skip
    return (
        f"{report.source}: {report.rows} rows = {report.mapped} mapped{ignored}, {report.refused} refused; "
        f"{report.events} events = {', '.join(parts)}"
        + (f"; {', '.join(beside)}" if beside else "")
        + (f"; position {report.position}" if report.position else "")
    )


def first_refusal(report: Report) -> str:
    """Return the first refusal in words: row, column, reason, remedy."""
    r = report.refusals[0]
    column = f", column {r['column_name']}" if r["column_name"] else ""
    return f"First: row {r['source_row']}{column}: {r['reason']}. {r['remedy']}"


def _gate(staged: Staged) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Run the suites; a refused row takes all events of that row with it."""
    suites: dict[str, str] = {}
    queries: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    for event_type, rows in staged.events.items():
        outcome = gate.validate(event_type, rows)
        suites |= outcome.suites
        found += outcome.refused
        queries += outcome.queries
    if found:
        found += told.siblings(staged, {r["source_row"] for r in found})
        bad = pa.array(sorted({r["source_row"] for r in found}), pa.int64())
        for event_type, rows in staged.events.items():
            gone = rows.filter(pc.is_in(rows.column(ROW), value_set=bad)).column("event_id")
            staged.refused_ids |= set(gone.to_pylist())
            keep = pc.invert(pc.is_in(rows.column(ROW), value_set=bad))
            staged.events[event_type] = rows.filter(keep)
        staged.mapped_rows -= len(bad)
        staged.refused = sorted(
            [*staged.refused, *found],
            key=lambda r: (r["source_row"], r["column_name"] or "", r["code"]),
        )
        standing = {i for t in staged.events.values() for i in t.column("event_id").to_pylist()}
        for query in queries:
            query["event_ids"] = [i for i in query["event_ids"] if i in standing]
    return suites, [q for q in queries if q["event_ids"]]
