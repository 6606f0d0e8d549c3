"""ODM-XML 1.3 and 2.0: the values of a document, each with who set it, when and why.

A row is one item, or one item group where the mapping's `records` names it; its columns are the keys, the value or
values, what `carry` brings from beside it, and whatever else the document says there, by path. A Transactional
document says how the values came to be: there each row is one version (land/odm_versions.py), from which corrections
and retractions are made (land/told.py). A Snapshot has one version of each.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from enfold.errors import UsageError
from enfold.land import limits, odm_metadata, odm_versions, readers
from enfold.land.mapping import Mapping
from enfold.land.odm_metadata import MetaData
from enfold.land.odm_versions import Audit, Instruction, Place
from enfold.land.readers import Source
from enfold.land.xml import Element, attributes, elements, leaves, local, space
from enfold.ledger.storage import sha256

SPACES = ("http://www.cdisc.org/ns/odm/v1.3", "https://www.cdisc.org/ns/odm/v1.3",
          "http://www.cdisc.org/ns/odm/v2.0", "https://www.cdisc.org/ns/odm/v2.0")  # fmt: skip
CONTAINERS = {"ODM", "Study", "AdminData", "ClinicalData"}
ABOUT = {"GlobalVariables", "StudyName", "StudyDescription", "ProtocolName", "BasicDefinitions", "Location",
         "SignatureDef", "Organization"}  # fmt: skip
LEVELS = {"SubjectData": "Subject", "StudyEventData": "StudyEvent", "FormData": "Form", "ItemGroupData": "ItemGroup"}
AUDIT = {"UserRef", "DateTimeStamp", "ReasonForChange", "ID"}
HOW = "Export clinical data as ODM 1.3.2 or 2.0, with the metadata that it was collected by."


@dataclass
class Document:
    """What was read of a document."""

    transactional: bool = False
    metadata: dict[tuple[str, str], MetaData] = field(default_factory=dict)  # by study and version
    users: dict[str, str] = field(default_factory=dict)
    audits: dict[str, Audit] = field(default_factory=dict)  # by ID
    instructions: list[Instruction] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)


def read(path: Path, mapping: Mapping, more: Path | None) -> Source:
    """Return the document's values as rows.

    Args:
        path: an `.xml` file, or one packed with gzip.
        mapping: says which item groups are rows, and what is left out of the document.
        more: another document that has the metadata, if this one has not.

    Raises:
        UsageError: not ODM, unsafe XML, no metadata, or something in the document that nothing reads.
    """
    data, name = readers.unpacked(path)
    document = parse(data, name)
    joined: tuple[tuple[str, str, int], ...] = ()
    if more:
        other, other_name = readers.unpacked(more)
        document.metadata |= parse(other, other_name).metadata
        joined = ((other_name, sha256(other), len(document.metadata)),)
    unread = sorted(set(document.left_out) - set(mapping.source.get("leave_out", ())))
    if unread:
        msg = f"{name}: holds {', '.join(unread)}, which enfold does not read"
        remedy = "Export without them, or name them in `leave_out` of the mapping's [source]. Nothing was landed."
        raise UsageError(msg, remedy=remedy)
    metadata = {key: _included(key, document.metadata, name) for key in document.metadata}
    rows, faults = odm_versions.rows(
        document.instructions, metadata, document.users, name,
        transactional=document.transactional, records=frozenset(mapping.source.get("records", ())),
        carry=mapping.source.get("carry", {}), offset=mapping.source.get("offset"),
    )  # fmt: skip
    table = readers.from_records(rows, name, [*odm_versions.COLUMNS, *mapping.columns])
    return Source(name, sha256(data), table, joined, tuple(faults), document.transactional)


def parse(data: bytes, name: str) -> Document:
    """Return what a document holds; audit records that are named by ID are looked up."""
    found = elements(data, name, CONTAINERS)
    root = next(found, None)
    if root is None or local(root) != "ODM" or space(root) not in SPACES:
        raise UsageError(f"{name}: its root is not ODM of version 1.3 or 2.0", remedy=HOW)
    if root.get("FileType") not in ("Snapshot", "Transactional"):
        raise UsageError(f"{name}: `FileType` is neither Snapshot nor Transactional", remedy=HOW)
    out = Document(transactional=root.get("FileType") == "Transactional")
    for element in found:
        above = element.getparent()
        tag = local(element) if space(element) in SPACES else str(element.tag)
        match local(above), tag:
            case "Study", "MetaDataVersion":
                out.metadata[above.get("OID", ""), element.get("OID", "")] = odm_metadata.read(element)
            case "AdminData", "User":
                out.users[element.get("OID", "")] = _name(element)
            case "ClinicalData", "SubjectData":
                study, version = Place((above.get("StudyOID", ""),)), above.get("MetaDataVersionOID", "")
                beside = attributes(above, "ClinicalData", {"StudyOID", "MetaDataVersionOID"})
                out.instructions += _walk(element, study, version, None, None, beside, name)
            case "ClinicalData", "AuditRecords":
                out.audits |= {a.get("ID", ""): _audit(a) for a in element}
            case _, known if known in ABOUT:
                pass
            case _:
                out.left_out[tag] = out.left_out.get(tag, 0) + 1
        if len(out.instructions) > limits.MAX_ROWS:
            raise limits.over(name, "too many values", limits.MAX_ROWS, "values")
    for instruction in out.instructions:
        if isinstance(instruction.audit, str):
            if instruction.audit not in out.audits:
                raise UsageError(f"{name}: an AuditRecordID names no audit record", remedy=HOW)
            instruction.audit = out.audits[instruction.audit]
    return out


def _walk(
    element: Element, place: Place, version: str, kind: str | None, audit: Audit | str | None,
    beside: dict[str, str], name: str,
) -> Iterator[Instruction]:  # fmt: skip
    """Yield what an element says of its values; kind, audit record and what stands beside are handed down."""
    tag = local(element)
    level = LEVELS.get(tag)
    if level is None:
        raise UsageError(f"{name}: an element {tag} stands where none may", remedy=HOW)
    keys = ("SubjectKey", None) if level == "Subject" else (f"{level}OID", f"{level}RepeatKey")
    oid = element.get(keys[0])
    if not oid:
        raise UsageError(f"{name}: an element {tag} has no {keys[0]}", remedy=HOW)
    place = place.below(level, oid, element.get(keys[1]) if keys[1] else None)
    said = element.get("TransactionType")
    kind = kind if said in (None, "Context") else said
    audit = _audit_of(element, audit)
    known = {*(k for k in keys if k), "TransactionType", "AuditRecord", "AuditRecordID", *LEVELS}
    items = [child for child in element if _is_item(child)]
    beside = {**beside, **leaves(element, tag, known | {local(i) for i in items})}
    if said == "Remove":
        for gone in (place, place.outer) if level == "ItemGroup" else (place,):
            yield Instruction(gone, version, None, "Remove", None, None, audit, beside)
    for child in element:
        if _is_item(child):
            yield _item(child, place, version, kind, audit, beside, name)
        elif local(child) in LEVELS and space(child) in SPACES:
            yield from _walk(child, place, version, kind, audit, beside, name)


def _is_item(element: Element) -> bool:
    return local(element).startswith("ItemData") and space(element) in SPACES


def _item(
    element: Element, place: Place, version: str, kind: str | None, audit: Audit | str | None,
    beside: dict[str, str], name: str,
) -> Instruction:  # fmt: skip
    """Return one item: its value is an attribute, its text (ItemDataString …) or its Value children (ODM 2)."""
    oid = element.get("ItemOID")
    if not oid or place.item_group is None:
        raise UsageError(f"{name}: an item has no ItemOID, or stands outside of an item group", remedy=HOW)
    values = [c for c in element if local(c) == "Value"]
    unit = next((c.get("MeasurementUnitOID") for c in element if local(c) == "MeasurementUnitRef"), None)
    known = {"ItemOID", "TransactionType", "Value", "IsNull", "AuditRecord", "AuditRecordID", "MeasurementUnitRef",
             "MeasurementUnitOID"}  # fmt: skip
    more = leaves(element, "ItemData", known)
    more |= {f"ItemData/Value[{n}]": v.text or "" for n, v in enumerate(values[1:], 2)}
    text = values[0].text if values else element.get("Value") if local(element) == "ItemData" else element.text
    value = None if element.get("IsNull") == "Yes" else (text or "").strip() or None
    said = element.get("TransactionType")
    if said in (None, "Context"):  # what a group with an Update says of its items is that they are so now
        said = "Upsert" if kind == "Update" else kind or "Insert"
    if said != "Remove" and local(element) == "ItemData" and not values and not {"Value", "IsNull"} & {*element.attrib}:
        said = "Comment" if more else "Silence"  # a query, say, or nothing: neither a value nor that there is none
    unit = unit or element.get("MeasurementUnitOID")
    return Instruction(
        place, version, oid, said, value, unit, _audit_of(element, audit), beside | more if more else beside
    )


def _audit_of(element: Element, above: Audit | str | None) -> Audit | str | None:
    """Return the audit record of an element, or its ID; else that of what it stands in."""
    own = next((c for c in element if local(c) == "AuditRecord" and space(c) in SPACES), None)
    return _audit(own) if own is not None else element.get("AuditRecordID") or above


def _audit(element: Element) -> Audit:
    def first(tag: str) -> Element:
        return next((c for c in element if local(c) == tag), None)

    user, time, why = first("UserRef"), first("DateTimeStamp"), first("ReasonForChange")
    when, reason = (None if e is None else (e.text or "").strip() or None for e in (time, why))
    beside = tuple(sorted(leaves(element, "AuditRecord", AUDIT).items()))
    return Audit(None if user is None else user.get("UserOID"), when, reason, beside)


def _name(user: Element) -> str:
    """Return a user's name with the OID: names repeat, and OIDs say nothing to a reader."""
    texts = {local(c): (c.text or "").strip() for c in user}
    parts = (texts.get("FirstName") or texts.get("GivenName"), texts.get("LastName") or texts.get("FamilyName"))
    whole = texts.get("FullName") or " ".join(p for p in parts if p) or texts.get("LoginName") or texts.get("UserName")
    oid = user.get("OID", "")
    return f"{whole} ({oid})" if whole else oid


def _included(key: tuple[str, str], metadata: dict[tuple[str, str], MetaData], name: str) -> MetaData:
    """Return a version with those that it includes."""
    out, seen = metadata[key], {key}
    while out.include:
        if out.include in seen or out.include not in metadata:
            raise UsageError(f"{name}: a MetaDataVersion includes itself, or one that is not there", remedy=HOW)
        seen.add(out.include)
        above = metadata[out.include]
        out = out.over(above)
        out.include = above.include
    return out
