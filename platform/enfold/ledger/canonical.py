"""The one canonical form of an event, as SQL: what equality, ids and digests are computed on.

Every field becomes its length in octets, a colon and its text; an absent field becomes `~`. So
no two different rows share a form: (a, null, b) differs from (a, b), and 'ab','c' from 'a','bc'.
Numbers lose trailing zeros, instants become microseconds since 1970 in UTC, lists keep their
(sorted) order. Order of fields is schema order.
"""

import hashlib
from collections.abc import Iterable
from decimal import Decimal

from enfold import schema
from enfold.schema import Field

_TEXT = {
    "number": "rtrim(rtrim(CAST({c} AS VARCHAR), '0'), '.')",
    "instant": "CAST(epoch_us({c}) AS VARCHAR)",
    "ids": "array_to_string(list_transform(list_sort({c}), lambda v: strlen(v) || ':' || v), '')",
}


def form(fields: Iterable[Field], alias: str = "") -> str:
    """Return the SQL expression of the canonical form of `fields`, read from table `alias`."""
    dot = f"{alias}." if alias else ""
    parts = []
    for f in fields:
        text = _TEXT.get(f.kind, "CAST({c} AS VARCHAR)").format(c=f'{dot}"{f.name}"')
        parts.append(f"coalesce(strlen({text}) || ':' || {text}, '~')")
    return " || ".join(parts) if parts else "''"


def content_fields(event_type: str) -> list[Field]:
    """Return the fields that make up the content of an event, in canonical order."""
    return [f for f in schema.envelope().fields if f.content] + list(schema.events()[event_type].fields)


def content_sql(event_type: str, alias: str = "") -> str:
    """Return the SQL expression of an event's content digest: type, content fields, SHA-256."""
    return f"sha256('{_piece(event_type)}' || {form(content_fields(event_type), alias)})"


def commitment_sql(event_type: str, alias: str = "") -> str:
    """Return the salted commitment to the body: hides the body, yet proves it."""
    dot = f"{alias}." if alias else ""
    return f"sha256('body:' || hex({dot}salt) || {form(schema.events()[event_type].fields, alias)})"


def leaf_sql(event_type: str, alias: str = "") -> str:
    """Return the Merkle leaf of one event: type, envelope and the commitment to its body."""
    envelope = form(schema.envelope().fields, alias)
    return f"sha256('leaf:{_piece(event_type)}' || {envelope} || {commitment_sql(event_type, alias)})"


def canonical_text(kind: str, value: object) -> str:
    """Return the canonical form of one value, in Python; the SQL above must agree with it."""
    if value is None:
        return "~"
    if kind == "number":
        # 9 places, as the schema holds; then without trailing zeros
        text = f"{Decimal(str(value)):.9f}".rstrip("0").rstrip(".")
    elif kind == "ids":
        text = "".join(_piece(v) for v in sorted(value))  # type: ignore[call-overload]
    elif kind == "flag":
        text = "true" if value else "false"
    elif kind == "instant":
        msg = "instants are not content; no Python form is needed"
        raise NotImplementedError(msg)
    else:
        text = str(value)
    return _piece(text)


def content_digest(event_type: str, row: dict[str, object]) -> str:
    """Return the content digest of one event given as a dict; absent keys are null."""
    body = "".join(canonical_text(f.kind, row.get(f.name)) for f in content_fields(event_type))
    return hashlib.sha256((_piece(event_type) + body).encode()).hexdigest()


def slot(study_id: str, subject_id: str) -> int:
    """Return the slot of a subject: the first ten bits of SHA-256 over study, NUL, subject."""
    digest = hashlib.sha256(f"{study_id}\0{subject_id}".encode()).digest()
    return int.from_bytes(digest[:2], "big") >> 6


SLOTS = 1024


def slot_sql(alias: str = "") -> str:
    """Return the SQL expression of the slot; equal to `slot`."""
    dot = f"{alias}." if alias else ""
    hexa = f"sha256({dot}study_id || chr(0) || {dot}subject_id)"
    return f"CAST((('0x' || substr({hexa}, 1, 4))::INTEGER >> 6) AS SMALLINT)"


def _piece(text: str) -> str:
    return f"{len(text.encode())}:{text}"
