"""ODM values as rows: one version of an item, or of an item group, in the order in which they were made."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from enfold.errors import UsageError
from enfold.land import odm_metadata
from enfold.land.odm_metadata import MetaData
from enfold.land.told import RECORD, TOLD

KEYS = RECORD[:-1]
COLUMNS = (*RECORD, "MetaDataVersionOID", "Value", "Unit", *TOLD)
ALONE = "Export the whole history of the subjects, or a Snapshot."
NULL = "Export values that were erased with IsNull, and a query or comment with what it says."
UNCHANGED = ("Comment", "Silence")  # kinds that leave a value as it stands


@dataclass(frozen=True, slots=True)
class Audit:
    """Who changed a value, when and why; `beside` holds the rest by path."""

    user: str | None
    time: str | None
    reason: str | None
    beside: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: study, subject, and event, form and item group with their repeat keys, as far as told."""

    keys: tuple[str | None, ...]

    def below(self, level: str, oid: str, repeat: str | None) -> "Place":
        """Return a place one level down; an item group within another makes the outer one its form (ODM 2)."""
        at = {"Subject": 1, "StudyEvent": 2, "Form": 4, "ItemGroup": 6}[level]
        keys = self.keys
        if level == "ItemGroup" and len(keys) > at:
            outer = (keys[4], keys[6]), (keys[5], keys[7])
            form = "/".join(k for k in outer[0] if k)
            turn = "/".join(k or "-" for k in outer[1]) if keys[4] else keys[7]
            keys = (*keys[:4], form, turn)
        padded = (*keys, *(None,) * (at - len(keys)))
        return Place((*padded[:at], oid) if level == "Subject" else (*padded[:at], oid, repeat))

    @property
    def outer(self) -> "Place":
        """This item group as the form of those within it."""
        inner = self.below("ItemGroup", "", None)
        return Place(inner.keys[:6])

    @property
    def item_group(self) -> str | None:
        """The item group's OID."""
        return self.keys[6] if len(self.keys) > 6 else None

    @property
    def above(self) -> Iterator["Place"]:
        """This place and those that it stands in, up to the subject."""
        return (Place(self.keys[:n]) for n in (8, 6, 4, 2) if n <= len(self.keys))


@dataclass(slots=True)
class Instruction:
    """One value set, changed or removed; without an item, all that stands in a place removed."""

    place: Place
    version: str  # of the metadata
    item: str | None
    kind: str
    value: str | None
    unit: str | None
    audit: Any  # Audit, its ID while a document is read, or None
    beside: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Change:
    """An instruction within the history of one row: the column that it sets, and where in the document it stands."""

    order: int
    column: str
    what: Instruction
    own: bool = True  # not carried


def rows(
    instructions: list[Instruction],
    metadata: dict[tuple[str, str], MetaData],
    users: dict[str, str],
    name: str,
    *,
    transactional: bool,
    records: frozenset[str],
    carry: dict[str, str],
    offset: str | None,
) -> tuple[list[dict[str, str | None]], list[dict[str, Any]]]:
    """Return the rows and what is wrong with them.

    Args:
        instructions: in the document's order.
        metadata: by study and version.
        users: name by OID.
        name: of the source.
        transactional: whether the document tells changes.
        records: item groups that are one row each.
        carry: items by the column that they fill in every row of their group, form, event or subject.
        offset: from UTC, for times that have none.

    Raises:
        UsageError: metadata that is not there, or an item to be carried that stands in several places.
    """
    histories: dict[tuple[Place, str | None], list[_Change]] = {}
    places: dict[tuple[Place, str], dict[Place, list[_Change]]] = {}
    removals: dict[Place, list[_Change]] = {}
    carried = {item: column for column, item in carry.items()}
    reserved = {*COLUMNS, *carry}
    if set(carry) & set(COLUMNS):
        raise UsageError(f"{name}: `carry` fills a column that every row has", remedy="Give it another name.")
    for order, what in enumerate(instructions):
        if what.item is None:
            removals.setdefault(what.place, []).append(_Change(order, "", what))
            continue
        if (what.place.keys[0], what.version) not in metadata:
            msg = f"{name}: the metadata version of its clinical data is not in the document"
            raise UsageError(msg, remedy="Give the document that has it with --dictionary FILE.")
        if what.item in carried:
            for above in what.place.above:
                there = places.setdefault((above, carried[what.item]), {})
                there.setdefault(what.place, []).append(_Change(order, carried[what.item], what, own=False))
        wide = what.place.item_group in records
        if wide and what.item in reserved:
            msg = f"{name}: an item of {what.place.item_group} is called as a column of every row is: {what.item}"
            raise UsageError(msg, remedy="Take the item group out of `records` of the mapping's [source].")
        key = (what.place, None if wide else what.item)
        histories.setdefault(key, []).append(_Change(order, what.item if wide else "Value", what))
    out: list[dict[str, str | None]] = []
    faults: list[dict[str, Any]] = []
    for (place, item), own in histories.items():
        brought = [c for column in carry if carry[column] != item for c in _brought(place, column, places, name)]
        around = dict.fromkeys(a for p in (place, *(c.what.place for c in brought)) for a in p.above)
        gone = [c for above in around for c in removals.get(above, ())]
        table = _Row(place, item, metadata, users, offset, transactional)
        for row, wrong in table.versions([*own, *gone], brought):
            out.append(row)
            faults += [{"source_row": len(out), **w} for w in wrong]
    return out, faults


def _brought(
    place: Place, column: str, places: dict[tuple[Place, str], dict[Place, list[_Change]]], name: str
) -> list[_Change]:
    """Return the changes of a carried item: of the nearest place that has it."""
    for above in place.above:
        found = places.get((above, column))
        if found:
            if len(found) > 1:
                where = _level(above)
                if where == "subject":  # of several visits, none of them this row's
                    return []
                msg = f"{name}: the item that `carry` brings as `{column}` stands in several places of one {where}"
                raise UsageError(
                    msg, remedy="Carry an item that stands once there, or name the item group in `records`."
                )
            return next(iter(found.values()))
    return []


def _level(place: Place) -> str:
    return {2: "subject", 4: "study event", 6: "form", 8: "item group"}[len(place.keys)]


@dataclass
class _Row:
    """Makes the versions of one row."""

    place: Place
    item: str | None
    metadata: dict[tuple[str, str], MetaData]
    users: dict[str, str]
    offset: str | None
    transactional: bool

    def versions(
        self, own: list[_Change], brought: list[_Change]
    ) -> list[tuple[dict[str, str | None], list[dict[str, Any]]]]:
        """Return each version and what is wrong with it."""
        changes = sorted([*own, *brought], key=lambda c: c.order)
        wrong = list(self._order(changes))
        groups = self._groups(changes) if self.transactional else [changes]
        state: dict[str, _Change] = {}
        out: list[tuple[dict[str, str | None], list[dict[str, Any]]]] = []
        there = False
        for group in groups:
            for change in group:
                wrong += self._apply(state, change)
            before, there = there, any(c.own and c.what.value is not None for c in state.values())
            if there or before or (not out and any(c.own and c.what.item for c in group)):
                out.append((self._row(state, len(out) + 1, there, self._last(group, own)), wrong))
                wrong = []
        out[-1][1].extend(wrong)  # of what changed nothing, such as a removal of what was removed
        return out

    def _apply(self, state: dict[str, _Change], change: _Change) -> Iterator[dict[str, Any]]:
        what = change.what
        if what.item is None:
            level = len(what.place.keys)
            for column in [c for c, s in state.items() if s.what.place.keys[:level] == what.place.keys]:
                del state[column]
            return
        if change.own:
            meta = self.metadata[str(what.place.keys[0]), what.version]
            column = "Value" if change.column == "Value" else what.item
            group = what.place.item_group
            for code, reason, remedy in odm_metadata.faults(meta, group, what.item, what.value, what.unit):
                yield _fault(column, code, reason, remedy)
            if self.transactional and change.column not in state and what.kind in ("Update", "Remove"):
                yield _fault(column, "no_insert", "the value is changed or removed, and was never set", ALONE)
            if not self.transactional and change.column in state:
                yield _fault(column, "twice", "a Snapshot has two values in one place", ALONE)
            if what.kind == "Silence" and change.column in state and state[change.column].what.value is not None:
                yield _fault(column, "no_value", "an item that has a value is told again without one", NULL)
        if what.kind in UNCHANGED and change.column in state:
            stood = state[change.column].what
            kept = replace(what, value=stood.value, unit=stood.unit, beside=stood.beside | what.beside)
            change = replace(change, what=kept)
        if what.kind == "Remove":
            state.pop(change.column, None)
        else:
            state[change.column] = change

    def _order(self, changes: list[_Change]) -> Iterator[dict[str, Any]]:
        """Yield a fault if a data point's changes are not in the order of their times."""
        last: dict[str, dt.datetime] = {}
        for change in changes:
            time = self._moment(change.what.audit)
            if time and self.transactional:
                if change.column in last and time < last[change.column]:
                    yield _fault("AuditTime", "out_of_order", "a change is told before an earlier one", ALONE)
                last[change.column] = time

    def _groups(self, changes: list[_Change]) -> list[list[_Change]]:
        """Return the changes of one transaction together: same audit record, no column twice."""
        times = [self._moment(c.what.audit) for c in changes]
        timed = [(t, c.order, c) for t, c in zip(times, changes, strict=True) if t]
        if len(timed) == len(changes):
            changes = [c for _, _, c in sorted(timed, key=lambda t: t[:2])]
        out: list[list[_Change]] = []
        for change in changes:
            same = out and _who(out[-1][0]) == _who(change) and change.column not in {c.column for c in out[-1]}
            if same and change.what.item is not None and out[-1][-1].what.item is not None:
                out[-1].append(change)
            else:
                out.append([change])
        return out

    def _last(self, group: list[_Change], own: list[_Change]) -> Audit | None:
        """Return the audit record of a version: of a snapshot the latest of what the row itself says."""
        if self.transactional:
            return _audit(group[-1])
        dated = [(self._moment(c.what.audit) or dt.datetime.min.replace(tzinfo=dt.UTC), c.order, c) for c in own]
        return _audit(max(dated)[2])

    def _row(self, state: dict[str, _Change], number: int, there: bool, audit: Audit | None) -> dict[str, str | None]:
        row: dict[str, str | None] = dict(zip(KEYS, self.place.keys, strict=False))
        row["ItemOID"] = self.item
        for column, change in state.items():
            what = change.what
            row[column] = what.value
            if not change.own:
                continue
            row["MetaDataVersionOID"] = what.version
            if what.unit is not None:
                row["Unit" if self.item else f"{column}/Unit"] = what.unit
            for path, text in what.beside.items():
                own = not self.item and path.startswith("ItemData")
                row[path.replace("ItemData", column, 1) if own else path] = text
        row |= {"Version": str(number), "Removed": None if there else "Yes"}
        if audit:
            user = self.users.get(audit.user, audit.user) if audit.user else None
            row |= {
                "AuditUser": user,
                "AuditTime": self._time(audit),
                "AuditReason": audit.reason,
                **dict(audit.beside),
            }
        return row

    def _time(self, audit: Audit) -> str | None:
        """Return the time with an offset from UTC, if the mapping gives one where the document does not."""
        zoned = audit.time is None or audit.time.endswith("Z") or audit.time[-6:-5] in ("+", "-")
        return audit.time if zoned or not self.offset else f"{audit.time}{self.offset}"

    def _moment(self, audit: Audit | None) -> dt.datetime | None:
        """Return the time to sort by; none if it cannot be read."""
        try:
            found = dt.datetime.fromisoformat(self._time(audit) or "") if audit else None
        except ValueError:
            return None
        return found.replace(tzinfo=dt.UTC) if found and found.tzinfo is None else found


def _audit(change: _Change) -> Audit | None:
    found = change.what.audit
    return found if isinstance(found, Audit) else None


def _who(change: _Change) -> Audit | None:
    audit = _audit(change)
    return replace(audit, beside=()) if audit else None


def _fault(column: str, code: str, reason: str, remedy: str) -> dict[str, Any]:
    return {"column_name": column, "code": code, "reason": reason, "remedy": remedy}
