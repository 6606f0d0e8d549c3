"""SDTM out: the effective events of a run, written through the mappings that land them again, turned round.

One set of mapping files (`schemas/mappings/lupus/`) says both ways. A column that a mapping calls `optional` goes
to the supplemental qualifiers. What no mapping of the set takes, or what would not come back the same, is an error.
"""

from pathlib import Path
from typing import Any

import pyarrow as pa

from enfold import schema
from enfold.errors import UsageError
from enfold.land import mapping
from enfold.land.mapping import Mapping, Rule
from enfold.ledger.ledger import Ledger
from enfold.run import manifest
from enfold.serve import write
from enfold.serve.effective import effective
from enfold.serve.files import plain, texts
from enfold.shipped import shipped

SET = "lupus"
Rows = list[dict[str, Any]]


def domains() -> dict[str, Mapping]:
    """Return the mappings of the set by domain."""
    root = shipped("schemas") / "mappings" / SET
    names = sorted(p.name.removesuffix(".toml") for p in root.iterdir() if p.name.endswith(".toml"))
    return {n.upper(): mapping.load(f"{SET}/{n}") for n in names}


def export(folder: Path, run: str, target: Path, form: str = "parquet") -> dict[str, int]:
    """Write a file for each domain that has rows, and its SUPP--; return rows by file name.

    Args:
        folder: the study folder.
        run: the run whose effective events are written.
        target: a folder that does not exist yet.
        form: one of `write.FORMATS`.

    Raises:
        UsageError: the folder exists, a fact is contested, or an event has no place in the set; nothing was written.
    """
    write.is_new(target)
    left: dict[str, Rows] = {t: rows.to_pylist() for t, rows in effective(folder, run).items()}
    files: dict[str, pa.Table] = {}
    for domain, chosen in domains().items():
        rows: Rows = []
        supp: Rows = []
        for rule in chosen.rules:
            taken = [e for e in left.get(rule.emits, []) if _takes(rule, e)]
            left[rule.emits] = [e for e in left.get(rule.emits, []) if not _takes(rule, e)]
            for event in taken:
                _add(rows, supp, domain, chosen, rule, event)
        if rows:
            files[domain.lower()] = _table(rows, [c for c in _order(domain, chosen) if c not in chosen.optional])
        if supp:
            files[f"supp{domain.lower()}"] = _table(supp, list(supp[0]))
    homeless = {t: len(events) for t, events in left.items() if events}
    if homeless:
        counts = ", ".join(f"{n} {t}" for t, n in sorted(homeless.items()))
        msg = f"no domain of schemas/mappings/{SET} takes {counts}"
        raise UsageError(msg, remedy="Nothing was written. Add the instrument to a mapping of the set.")
    position = manifest.read(folder, run)["pins"]["position"]
    made, study = write.stamp(Ledger(folder / "ledger"), position)
    return write.write(target, [texts(n.upper(), n.upper(), t) for n, t in files.items()], form, made, study.id)


def _takes(rule: Rule, event: dict[str, Any]) -> bool:
    for column, values in rule.when.equals.items():
        targets = [t for t, spec in rule.fields.items() if spec == column]
        if any(event[t] not in values for t in targets):
            return False
    return True


def _add(rows: Rows, supp: Rows, domain: str, chosen: Mapping, rule: Rule, event: dict[str, Any]) -> None:
    """Add the row of one event, and its supplemental qualifiers."""
    before = rows[-1] if rows and rows[-1]["USUBJID"] == event["subject_id"] else {}  # events come by subject
    place = str(int(before.get(f"{domain}SEQ", "0")) + 1)
    row: dict[str, str | None] = {"DOMAIN": domain}
    if domain != "DM":
        row[f"{domain}SEQ"] = place
    unsaid = {n for n in schema.event_arrow(rule.emits).names if event.get(n) is not None} - set(rule.fields)
    # a correction is written as the fact that it is: what it replaces is not in the file, and would be awaited for ever
    unsaid -= {"supersedes", "source_system", "source_file", "source_row", "schema_version"}
    if unsaid:
        msg = f"event {event['event_id']}: {', '.join(sorted(unsaid))} has no place in {domain}"
        raise UsageError(msg, remedy=f"Nothing was written. Extend schemas/mappings/{SET}/{domain.lower()}.toml.")
    for target, spec in rule.fields.items():
        _fill(row, spec, _text(event[target]), event)
    if rule.emits == "assessment":
        item = next(i for i in schema.instruments()[event["instrument"]].items if i.code == event["item"])
        row |= {f"{domain}TEST": item.about[:40].rstrip(), f"{domain}ORRES": row.get(f"{domain}STRESC")}
    rows.append({c: v for c, v in row.items() if c not in chosen.optional})
    pointer = (None, None) if domain == "DM" else (f"{domain}SEQ", place)
    for name in chosen.optional:
        if row.get(name) is not None:
            supp.append({"STUDYID": event["study_id"], "RDOMAIN": domain, "USUBJID": event["subject_id"],
                         "IDVAR": pointer[0], "IDVARVAL": pointer[1], "QNAM": name, "QLABEL": name,
                         "QVAL": row[name], "QORIG": "CRF", "QEVAL": None})  # fmt: skip


def _fill(row: dict[str, str | None], spec: Any, value: str | None, event: dict[str, Any]) -> None:
    """Turn one field round: put into its column what the mapping reads the value from."""
    if value is None:
        return
    if isinstance(spec, str):
        row[spec] = value
    elif "part" in spec:
        parts = {"number": ("", value), "comparator": (value, ""), "text": ("", value)}[spec["part"]]
        row[spec["column"]] = parts[0] + (row.get(spec["column"]) or "") + parts[1]
        if spec["part"] == "text" and mapping.is_result(row[spec["column"]] or ""):
            msg = f"event {event['event_id']}: a code that is a number, or beside one, would come back as a number"
            raise UsageError(msg, remedy="Nothing was written.")
    elif "codes" in spec:
        row[spec["column"]] = next((k for k, v in spec["codes"].items() if v == value), value)
    elif "column" in spec:
        row[spec["column"]] = value


def _text(value: Any) -> str | None:
    """Return a value as the text that lands as it."""
    return None if value is None else " ".join(value) if isinstance(value, list) else plain(value)


def _order(domain: str, chosen: Mapping) -> list[str]:
    """Return the columns of a domain: identifiers, then as the mapping names them, each once."""
    names = {"STUDYID": None, "DOMAIN": None, "USUBJID": None}
    if domain != "DM":
        names[f"{domain}SEQ"] = None
    for rule in chosen.rules:
        for spec in rule.fields.values():
            names[spec if isinstance(spec, str) else spec["column"]] = None
        if rule.emits == "assessment":
            names |= {f"{domain}TEST": None, f"{domain}ORRES": None}
    return list(names)


def _table(rows: Rows, columns: list[str]) -> pa.Table:
    return pa.table({c: pa.array([r.get(c) for r in rows], pa.string()) for c in columns})
