"""FHIR R4 and R5: bundles (JSON) and bulk exports (NDJSON), each resource validated and then written as one row.

A column is an element's path: `valueQuantity.value`, `note[1].text`; codings and identifiers are found by their system
and extensions by their URL, `code.coding[http://loinc.org].code`, so that their order says nothing. `patient` is whom
the resource is about. Each component of an Observation is a row of its own: its elements stand where an
Observation's do, the code of the whole as `panel`. Numbers keep their digits and dates their precision.

R4 is validated as R4B, which has the same definitions of the resources that are read.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from enfold import extras
from enfold.errors import UsageError
from enfold.land import from_json, limits, readers
from enfold.land.mapping import Mapping
from enfold.land.readers import Source
from enfold.ledger.storage import sha256

READ = ("Patient", "Observation", "MedicationAdministration", "AdverseEvent", "Procedure", "ResearchSubject")
ABOUT = ("subject", "individual", "patient")  # elements that refer to the patient
KEYED = {"coding": "system", "identifier": "system", "extension": "url", "modifierExtension": "url"}
OWN = ("code", "value", "dataAbsentReason", "interpretation", "referenceRange", "component")  # a component has its own
BUNDLES = ("collection", "searchset", "batch", "transaction", "document", "message")
TRANSPORT = {"resourceType", "id", "meta", "implicitRules", "language", "identifier", "type", "timestamp", "total",
             "link", "signature", "entry", "issues"}  # fmt: skip
ENTRY = {"id", "link", "fullUrl", "resource", "search", "request", "response"}
US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"  # its extensions of race and ethnicity
MEND = "Nothing was landed. Export a Bundle of resources, or NDJSON with a resource a line."
Resource = dict[str, Any]


def read(path: Path, mapping: Mapping) -> Source:
    """Return the resources as rows; those that are not valid are `faults`.

    Raises:
        UsageError: not FHIR in JSON, beyond a limit, or a bundle that tells changes (history, deletions).
    """
    data, name = readers.unpacked(path)
    form = mapping.source["format"]
    plain = name.lower().removesuffix(".gz")
    if plain.endswith((".ndjson", ".jsonl")):
        found = [(r, f"line {n:,}") for n, r in enumerate(from_json.lines(data, name), 1)]
        urls: dict[str, str] = {}
    else:
        found, urls = _bundle(from_json.document(data, name), name)
    for resource, where in found:
        if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
            raise UsageError(f"{name}: {where} is no FHIR resource", remedy=MEND)
        _shallow(resource, name, where)
    system = mapping.source.get("subject_system")
    people = _people([r for r, _ in found], urls, system)
    rows: list[dict[str, str | None]] = []
    faults: list[dict[str, Any]] = []
    patients: dict[str | None, list[dict[str, Any]]] = {}  # what is wrong with each,
    takers: list[tuple[int, str | None]] = []  # and the rows that take from one
    for resource, _ in found:
        first = len(rows) + 1
        rows += _rows(resource, urls, people, system)
        wrongs = list(_wrong(resource, form))
        faults += [{"source_row": n, **wrong} for wrong in wrongs for n in range(first, len(rows) + 1)]
        if resource["resourceType"] == "Patient":
            patients[str(resource.get("id"))] = wrongs
        elif resource["resourceType"] == "ResearchSubject":
            takers.append((first, _whom(resource, urls)))
        if len(faults) > limits.MAX_REFUSALS:
            raise limits.over(name, "too much is not valid FHIR", limits.MAX_REFUSALS, "faults", MEND)
    faults += [{"source_row": n, **wrong} for n, who in takers for wrong in patients.get(who, [])]
    return Source(name, sha256(data), readers.from_records(rows, name, ["resourceType", "id"]), faults=tuple(faults))


def _bundle(document: Any, name: str) -> tuple[list[tuple[Resource, str]], dict[str, str]]:
    """Return the resources of a bundle with their places, and `Type/id` by full URL; of one resource itself."""
    if not isinstance(document, dict) or not isinstance(document.get("resourceType"), str):
        raise UsageError(f"{name}: no `resourceType`: not FHIR", remedy=MEND)
    if document["resourceType"] != "Bundle":
        return [(document, "the document")], {}
    entries = document.get("entry", [])
    if document.get("type") not in BUNDLES or not isinstance(entries, list) or set(document) - TRANSPORT:
        msg = f"{name}: a Bundle of another type than {', '.join(BUNDLES)}, or with other elements"
        raise UsageError(msg, remedy=MEND)
    found, urls = [], {}
    for place, entry in enumerate(entries, 1):
        where = f"entry {place:,}"
        if not isinstance(entry, dict) or not isinstance(entry.get("resource"), dict) or set(entry) - ENTRY:
            raise UsageError(f"{name}: {where} has no resource, or other elements", remedy=MEND)
        if isinstance(entry.get("request"), dict) and entry["request"].get("method") not in ("PUT", "POST"):
            raise UsageError(f"{name}: {where} asks for something else than PUT or POST", remedy=MEND)
        resource, url = entry["resource"], entry.get("fullUrl")
        if isinstance(url, str):
            if "id" not in resource and url.startswith("urn:uuid:"):  # as in a transaction, before a server gives ids
                resource = {**resource, "id": url.removeprefix("urn:uuid:")}
            if isinstance(resource.get("id"), str):
                urls[url] = f"{resource.get('resourceType')}/{resource['id']}"
        found.append((resource, where))
    return found, urls


def _shallow(value: Any, name: str, where: str, depth: int = 0) -> None:
    if depth > limits.MAX_DEPTH:
        raise limits.over(name, f"{where} is nested too deep", limits.MAX_DEPTH, "levels", MEND)
    if isinstance(value, dict | list):
        for below in value.values() if isinstance(value, dict) else value:
            _shallow(below, name, where, depth + 1)


def _people(resources: list[Resource], urls: dict[str, str], system: str | None) -> dict[str, dict[str, str]]:
    """Return by patient id what rows take from the Patient: `subject`, gender, birth, race, ethnicity."""
    people: dict[str, dict[str, str]] = {}
    for resource in resources:
        kind = resource["resourceType"]
        who = resource.get("id") if kind == "Patient" else _whom(resource, urls) if kind == "ResearchSubject" else None
        if not isinstance(who, str):
            continue
        person = people.setdefault(who, {})
        if kind == "Patient":
            person |= {f"Patient.{k}": resource[k] for k in ("gender", "birthDate") if isinstance(resource.get(k), str)}
            said = {f"Patient.{what}": _category(resource, what) for what in ("race", "ethnicity")}
            person |= {k: v for k, v in said.items() if v}
        for identifier in _listed(resource, "identifier"):
            if system and identifier.get("system") == system:
                person["subject"] = str(identifier.get("value"))
    return people


def _category(patient: Resource, what: str) -> str | None:
    """Return the category of race or ethnicity that a Patient of US Core states; `several` if more than one."""
    within = [e for e in _listed(patient, "extension") if e.get("url") == US_CORE + what]
    codings = [e.get("valueCoding") for w in within for e in _listed(w, "extension") if e.get("url") == "ombCategory"]
    found = {c["code"] for c in codings if isinstance(c, dict) and isinstance(c.get("code"), str)}
    return None if not found else "several" if len(found) > 1 else min(found)


def _listed(value: Resource, key: str) -> list[Resource]:
    """Return the objects of a list."""
    found = value.get(key)
    return [v for v in found if isinstance(v, dict)] if isinstance(found, list) else []


def _whom(resource: Resource, urls: dict[str, str]) -> str | None:
    """Return the id of the Patient that a resource refers to."""
    for element in ABOUT:
        found = resource.get(element)
        reference = found.get("reference") if isinstance(found, dict) else None
        if isinstance(reference, str):
            at = re.search(
                r"(?:^|/)Patient/([A-Za-z0-9.-]+)(?:/_history/[A-Za-z0-9.-]+)?$", urls.get(reference, reference)
            )
            return at[1] if at else None
    return None


def _rows(
    resource: Resource, urls: dict[str, str], people: dict[str, dict[str, str]], system: str | None
) -> Iterator[dict[str, str | None]]:
    """Yield the row of a resource, or those of an Observation and its components; of a type not read, a name only."""
    kind = resource["resourceType"]
    head: dict[str, str | None] = {"resourceType": kind}
    head["id"] = resource["id"] if isinstance(resource.get("id"), str) else None
    if kind not in READ:
        yield head
        return
    who = str(head["id"]) if kind == "Patient" else _whom(resource, urls)
    rest = {k: v for k, v in resource.items() if k not in ("resourceType", "id")}
    if who is not None:
        person = people.get(who, {})
        head["patient"] = person.get("subject") if system else who
        if kind == "ResearchSubject":
            head |= {k: v for k, v in person.items() if k != "subject"}
        for element in ABOUT:
            if isinstance(rest.get(element), dict):
                rest[element] = {k: v for k, v in rest[element].items() if k != "reference"}
    components = rest.get("component") if kind == "Observation" else None
    if not isinstance(components, list) or not components:
        yield {**head, **_flat(rest)}
        return
    own = {k: v for k, v in rest.items() if k != "component"}
    if any(k.startswith(("value", "dataAbsentReason")) for k in own):
        yield {**head, **_flat(own)}
    shared = {k: v for k, v in own.items() if not k.lstrip("_").startswith(OWN)} | {"panel": own.get("code")}
    names: dict[str, int] = {}
    for component in components:
        name = _coded(component)
        names[name] = names.get(name, 0) + 1
        turn = f"#{names[name]}" if names[name] > 1 else ""
        below = component if isinstance(component, dict) else {"component": component}
        yield {**head, "component": name + turn, **_flat({**shared, **below})}


def _coded(component: Any) -> str:
    """Return the first code of a component, which tells it from others."""
    try:
        coding = component["code"]["coding"][0]
        return f"{coding.get('system', '')}|{coding['code']}"
    except (KeyError, IndexError, TypeError, AttributeError):
        return "|"


def _flat(value: Any, path: str = "") -> dict[str, str | None]:
    """Return text by path."""
    if isinstance(value, dict):
        out: dict[str, str | None] = {}
        for key, below in value.items():
            out |= _flat(below, f"{path}.{key}" if path else key)
        return out
    if isinstance(value, list):
        out = {}
        counts: dict[str, int] = {}
        by = KEYED.get(path.rpartition(".")[2])
        for place, below in enumerate(value, 1):
            key = str(place)
            if by:
                name = str(below.get(by, "")) if isinstance(below, dict) else ""
                counts[name] = counts.get(name, 0) + 1
                key = f"{name}#{counts[name]}" if counts[name] > 1 else name
                below = {k: v for k, v in below.items() if k != by} or name if isinstance(below, dict) else below
            out |= _flat(below, f"{path}[{key}]")
        return out
    return {} if value is None else {path: from_json.text(value)}


def _wrong(resource: Resource, form: str) -> Iterator[dict[str, Any]]:
    """Yield what makes a resource invalid, by element; never a value."""
    kind = resource["resourceType"]
    if kind not in READ:
        return
    (library,) = extras.load("reading FHIR", "fhir.resources.R4B" if form == "fhir-r4" else "fhir.resources")
    from pydantic import ValidationError  # comes with it

    release = "R4" if form == "fhir-r4" else "R5"
    try:
        library.get_fhir_model_class(kind).model_validate(_numbers(resource))
    except ValidationError as error:
        for found in error.errors(include_url=False, include_context=False, include_input=False)[:5]:
            at = ".".join(re.sub(r"[^A-Za-z0-9_]", "?", str(part))[:40] for part in found["loc"])
            yield {
                "column_name": at or None,
                "code": "not_fhir",
                "reason": f"the {kind} is not valid FHIR {release} ({re.sub('[^a-z_.]', '', found['type'])})",
                "remedy": "Correct the resource at its source, or choose the mapping of its FHIR release.",
            }


def _numbers(value: Any) -> Any:
    """Return JSON with its numbers as decimals and integers, as the validator wants them."""
    if isinstance(value, from_json.Number):
        return int(value) if re.fullmatch(r"-?\d{1,30}", value) else Decimal(value)
    if isinstance(value, dict):
        return {k: _numbers(v) for k, v in value.items()}
    return [_numbers(v) for v in value] if isinstance(value, list) else value
