"""Candidates: every single change of a patient's events that may flip a verdict."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from enfold import schema

if TYPE_CHECKING:
    from enfold.report.flip import Patient

REVIEWS = (
    "glucocorticoid",
    "background_medication",
    "rescue_medication",
    "fever",
    "neurological",
    "vasopressor",
    "flare",
)


@dataclass(frozen=True)
class Change:
    """One candidate: the event as it is, the event as it would be, and how large the step is."""

    kind: str  # value, missing_item or missing_review
    event_type: str
    event_id: str
    field: str
    before: Any
    after: Any
    row: dict[str, Any]
    size: Decimal
    about: str

    def told(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Return the change as plain data, with the verdict that it gives."""
        return {
            "kind": self.kind,
            "event_type": self.event_type,
            "event_id": self.event_id,
            "about": self.about,
            "field": self.field,
            "before": None if self.before is None else text(self.before),
            "after": text(self.after),
            "status": answer["status"],
            "grade": answer["grade"],
        }


def candidates(patient: "Patient", overall: dict[str, Any]) -> Iterable[Change]:
    """Return the single changes worth trying: cited values, items left out at the visit, reviews."""
    for event_id in overall["event_ids"]:
        event_type, row = patient.by_id.get(event_id, ("", {}))
        if event_type == "assessment":
            yield from _assessment(row)
        elif event_type == "medication" and row["dose"] is not None:
            for share in (Decimal(0), Decimal("0.5"), Decimal("1.5"), Decimal(2), Decimal(4)):
                yield changed("medication", row, "dose", row["dose"] * share, abs(share - 1))
    yield from _missing_items(patient, overall)
    for kind in REVIEWS:
        start = min((str(r["occurred"])[:10] for _, r in patient.by_id.values() if r["occurred"]), default="1900-01-01")
        row = _new(patient, "review", f"review/{kind}", start, data_kind=kind, until="9999-12-30")
        yield Change(
            "missing_review", "review", row["event_id"], "data_kind", None, kind, row, Decimal(1), f"review of {kind}"
        )


def _assessment(row: dict[str, Any]) -> Iterable[Change]:
    instrument = schema.instruments().get(row["instrument"])
    item = next((i for i in instrument.items if i.code == row["item"]), None) if instrument else None
    if item is None:
        return
    for code in item.codes:
        if code not in (row["value_code"], "unknown"):
            yield changed("assessment", row, "value_code", code, Decimal(item.weight or 1))
    if item.codes or row["value_number"] is None:
        return
    low, high = item.range or (Decimal(0), max(row["value_number"] * 4, Decimal(1)))
    for n in range(13):
        value = low + (high - low) * n / 12
        value = value.to_integral_value() if item.integer else value.quantize(step(row["value_number"], high))
        if value != row["value_number"]:
            yield changed("assessment", row, "value_number", value, abs(value - row["value_number"]) / (high - low))


def _missing_items(patient: "Patient", overall: dict[str, Any]) -> Iterable[Change]:
    """Items that the visit's forms leave out, and a one-item form that was not filled in at all."""
    if overall["visit_id"] is None:
        return
    forms: dict[tuple[str, str], dict[str, Any]] = {}
    seen: dict[tuple[str, str], set[str]] = {}
    dates = []
    for event_type, row in patient.by_id.values():
        if event_type == "assessment" and row["visit_id"] == overall["visit_id"]:
            key = (row["instrument"], str(row["occasion_id"]))
            forms.setdefault(key, row)
            seen.setdefault(key, set()).add(row["item"])
            dates.append(str(row["occurred"]))
    for key, row in forms.items():
        instrument = schema.instruments().get(key[0])
        if instrument and instrument.complete == "all":
            for item in instrument.items:
                if item.code not in seen[key] and not item.optional:
                    yield from _filled(patient, overall, row, key[0], item)
    if dates and not any(key[0] == "PGA" for key in forms):
        template = {"occurred": max(dates), "occasion_id": "PGA/missing"}
        yield from _filled(patient, overall, template, "PGA", schema.instruments()["PGA"].items[0])


def _filled(
    patient: "Patient", overall: dict[str, Any], form: dict[str, Any], instrument: str, item: schema.Item
) -> Iterable[Change]:
    values: list[Any] = [c for c in item.codes if c != "unknown"]
    if not item.codes and item.range:
        low, high = item.range
        values = [low, (low + high) / 2, high]
    for value in values:
        field = "value_code" if item.codes else "value_number"
        row = _new(
            patient,
            "assessment",
            f"{instrument}/{item.code}",
            form["occurred"],
            instrument=instrument,
            item=item.code,
            occasion_id=form["occasion_id"],
            visit_id=overall["visit_id"],
            **{field: value},
        )
        yield Change(
            "missing_item",
            "assessment",
            row["event_id"],
            field,
            None,
            value,
            row,
            Decimal(1),
            f"{instrument} {item.code}",
        )


def step(value: Decimal, largest: Decimal) -> Decimal:
    """The last digit worth telling: that of the record, two places on short scales, one on long ones."""
    places = max(0, -int(value.normalize().as_tuple().exponent))
    return Decimal(1).scaleb(-max(places, 2 if largest <= 10 else 1))


def changed(event_type: str, row: dict[str, Any], field: str, value: Any, size: Decimal) -> Change:
    """Return the change of one field of one event."""
    about = f"{row['instrument']} {row['item']}" if event_type == "assessment" else str(row["substance"])
    return Change("value", event_type, row["event_id"], field, row[field], value, {**row, field: value}, size, about)


def _new(patient: "Patient", event_type: str, event_id: str, occurred: str, **fields: Any) -> dict[str, Any]:
    names = patient.events[event_type].schema.names
    some = next(iter(patient.by_id.values()))[1]
    base = {
        "study_id": some["study_id"],
        "subject_id": patient.subject,
        "schema_version": 1,
        "position": some["position"],
    }
    row = dict.fromkeys(names) | {k: v for k, v in base.items() if k in names}
    return row | {"event_id": f"would-be/{event_id}", "occurred": occurred} | fields


def text(value: Any) -> str:
    """Return a value as people write it."""
    return format(value.normalize(), "f") if isinstance(value, Decimal) else str(value)
