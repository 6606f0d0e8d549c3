"""The one canonical form of an event, as SQL: what equality, ids and digests are computed on.

Every field that holds something becomes its name, `=`, its length in octets, `:` and its text; an
absent field is left out. So no two different rows share a form: names tell (a, null, b) from
(a, b), lengths tell 'ab','c' from 'a','bc'; and a schema that gains an optional field leaves every
older digest as it was. Numbers lose trailing zeros, instants become microseconds since 1970 in UTC,
lists keep their (sorted) order. Order of fields is schema order.
"""

import hashlib
from collections.abc import Container, Iterable
from dataclasses import dataclass
from decimal import Decimal

import pyarrow as pa

from enfold import schema
from enfold.schema import Field

TEXT = {
    "number": "rtrim(rtrim(CAST({c} AS VARCHAR), '0'), '.')",
    "instant": "CAST(epoch_us({c}) AS VARCHAR)",
    "ids": "array_to_string(list_transform(list_sort({c}), lambda v: strlen(v) || ':' || v), '')",
}


def form(fields: Iterable[Field], alias: str = "") -> str:
    """Return the SQL expression of the canonical form of `fields`, read from table `alias`."""
    dot = f"{alias}." if alias else ""
    parts = []
    for f in fields:
        text = TEXT.get(f.kind, "CAST({c} AS VARCHAR)").format(c=f'{dot}"{f.name}"')
        parts.append(
            f"CASE WHEN {dot}\"{f.name}\" IS NOT NULL THEN concat('{f.name}=', strlen({text}), ':', {text}) END"
        )
    return f"concat({', '.join(parts)})" if parts else "''"  # one copy of each piece; null adds nothing


@dataclass(frozen=True)
class Shape:
    """Envelope and body fields of one event type, as some version of the schemas has them."""

    event_type: str
    envelope: tuple[Field, ...]
    body: tuple[Field, ...]

    @property
    def content(self) -> tuple[Field, ...]:
        """The fields that make up the content of an event, in canonical order."""
        return (*(f for f in self.envelope if f.content), *self.body)


def shape(event_type: str) -> Shape:
    """Return the fields of an event type by the schemas in force."""
    return Shape(event_type, schema.envelope().fields, schema.events()[event_type].fields)


def content_fields(event_type: str) -> tuple[Field, ...]:
    """Return the fields that make up the content of an event, in canonical order."""
    return shape(event_type).content


def content_sql(of: str | Shape, alias: str = "", filled: Container[str] | None = None) -> str:
    """Return the SQL expression of an event's content digest: type, content fields, SHA-256.

    Args:
        of: event type, or its fields as some version of the schemas has them.
        alias: table to read from.
        filled: columns that hold anything at all; others add nothing and are not even asked.
    """
    of = shape(of) if isinstance(of, str) else of
    return f"sha256(concat('{piece(of.event_type)}', {form(_only(of.content, filled), alias)}))"


def filled(rows: pa.Table) -> set[str]:
    """Return the names of the columns that hold anything but null."""
    return {n for n in rows.column_names if rows.column(n).null_count < rows.num_rows}


def _only(fields: tuple[Field, ...], names: Container[str] | None) -> list[Field]:
    return [f for f in fields if names is None or f.name in names]


def canonical_text(kind: str, value: object) -> str:
    """Return the canonical form of one value, in Python; the SQL above must agree with it."""
    if kind == "number":
        # 9 places, as the schema holds; then without trailing zeros
        text = f"{Decimal(str(value)):.9f}".rstrip("0").rstrip(".")
    elif kind == "ids":
        text = "".join(piece(v) for v in sorted(value))  # type: ignore[call-overload]
    elif kind == "flag":
        text = "true" if value else "false"
    elif kind == "instant":
        msg = "instants are not content; no Python form is needed"
        raise NotImplementedError(msg)
    else:
        text = str(value)
    return piece(text)


def content_digest(event_type: str, row: dict[str, object]) -> str:
    """Return the content digest of one event given as a dict; absent keys are null."""
    body = "".join(
        f"{f.name}={canonical_text(f.kind, row[f.name])}"
        for f in content_fields(event_type)
        if row.get(f.name) is not None
    )
    return hashlib.sha256((piece(event_type) + body).encode()).hexdigest()


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


def piece(text: str) -> str:
    """Return the length of a text in octets, `:` and the text."""
    return f"{len(text.encode())}:{text}"
