"""ODM metadata: the items, code lists and units of a MetaDataVersion, and what they find wrong with a value."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from enfold.land.xml import Element, local

NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)"
DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
CLOCK = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?"
ZONE = r"(Z|[+-][0-9]{2}:[0-9]{2})?"
TYPES = {  # of what is checked; the parts of an incomplete date, durations, text and encoded data are left as they are
    "integer": r"[+-]?[0-9]+",
    "float": NUMBER,
    "decimal": NUMBER,
    "double": NUMBER + r"([eE][+-]?[0-9]+)?",
    "date": DAY,
    "time": CLOCK + ZONE,
    "datetime": rf"{DAY}T{CLOCK}{ZONE}",
    "partialDate": r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?",
    "partialDatetime": rf"[0-9]{{4}}(-[0-9]{{2}}(-[0-9]{{2}}(T[0-9]{{2}}(:[0-9]{{2}}(:[0-9]{{2}})?)?{ZONE})?)?)?",
    "partialTime": rf"[0-9]{{2}}(:[0-9]{{2}}(:[0-9]{{2}})?)?{ZONE}",
    "boolean": r"true|false|0|1",
}
ASK = "Correct it in the source, or export the metadata of that day with the data."


@dataclass
class Item:
    """What an ItemDef says."""

    kind: str
    codes: frozenset[str] | None = None  # none: no code list, or an external one
    units: frozenset[str] = frozenset()


@dataclass
class MetaData:
    """One MetaDataVersion."""

    items: dict[str, Item] = field(default_factory=dict)
    groups: dict[str, frozenset[str]] = field(default_factory=dict)  # items by item group
    include: tuple[str, str] | None = None  # study and version that this one adds to

    def over(self, other: "MetaData") -> "MetaData":
        """Return this version on top of one that it includes."""
        return MetaData({**other.items, **self.items}, {**other.groups, **self.groups})


def read(element: Element) -> MetaData:
    """Return what a MetaDataVersion defines."""
    lists: dict[str, frozenset[str] | None] = {}
    out = MetaData()
    items: list[Element] = []
    for child in element:
        oid = child.get("OID", "")
        match local(child):
            case "CodeList":
                coded = [c for c in child if local(c) in ("CodeListItem", "EnumeratedItem")]
                lists[oid] = frozenset(c.get("CodedValue", "") for c in coded) if coded else None
            case "ItemDef":
                items.append(child)
            case "ItemGroupDef":
                out.groups[oid] = frozenset(c.get("ItemOID", "") for c in child if local(c) == "ItemRef")
            case "Include":
                out.include = (child.get("StudyOID", ""), child.get("MetaDataVersionOID", ""))
    for item in items:
        refs = [c.get("CodeListOID", "") for c in item if local(c) == "CodeListRef"]
        units = frozenset(c.get("MeasurementUnitOID", "") for c in item if local(c) == "MeasurementUnitRef")
        codes = next((lists[r] for r in refs if r in lists), None)
        out.items[item.get("OID", "")] = Item(item.get("DataType", "text"), codes, units)
    return out


def faults(
    meta: MetaData, group: str | None, item: str, value: str | None, unit: str | None
) -> Iterator[tuple[str, str, str]]:
    """Yield code, reason and remedy of what is wrong with one value; reasons never quote it."""
    found = meta.items.get(item)
    if found is None:
        yield "unknown_item", "the item is not defined in the metadata", ASK
        return
    if group in meta.groups and item not in meta.groups[group]:
        yield "other_group", "the item is not one of its item group", ASK
    if value is not None:
        if found.codes is not None and value not in found.codes:
            yield "not_in_code_list", "the value is not in the item's code list", ASK
        shape = TYPES.get(found.kind)
        if shape and not re.fullmatch(shape, value):
            yield "not_of_type", f"the value is not of the item's data type, {found.kind}", ASK
    if unit is not None and found.units and unit not in found.units:
        yield "other_unit", "the unit is not one of the item's", ASK
