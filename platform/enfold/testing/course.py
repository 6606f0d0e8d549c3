"""A synthetic patient, written step by step in the words of a protocol.

    course = Course("01")
    course.step("infusion d0T10:00 product=car role=study_product")
    course.step("W4 d30 SLEDAI2K.*=absent SLEDAI2K.ARTHR=present PGA.PGA_0_3=0.4")
    course.step("review d-60 data_kind=glucocorticoid until=d120")

Days count from the infusion (d0). docs/reference/worked-examples.md gives the whole grammar.
"""

import datetime as dt
import re
from decimal import Decimal
from typing import Any

from enfold import schema

DAY_0 = dt.date(2026, 3, 10)
WHEN = re.compile(r"d(-?[0-9]+)(T[0-9:]+)?")
_ENVELOPE = ("event_id", "occasion_id", "visit_id", "supersedes", "retracts")


def day(n: int) -> str:
    """Return the ISO date of day `n`, infusion = 0."""
    return (DAY_0 + dt.timedelta(days=n)).isoformat()


def when(text: str) -> str:
    """Return `d30` or `d2T08:00` as ISO 8601; anything else as it stands."""
    found = WHEN.fullmatch(text)
    return day(int(found[1])) + (found[2] or "") if found else text


class Course:
    """Events of one subject, by type, as rows that the fold reads."""

    def __init__(self, subject: str, study: str = "EXAMPLES") -> None:
        self.subject, self.study = subject, study
        self.events: dict[str, list[dict[str, Any]]] = {t: [] for t in schema.events()}
        self._visits: dict[str, str] = {}
        self._made = 0

    def step(self, text: str) -> None:
        """Add, change or drop events as one step says.

        Raises:
            ValueError: the step cannot be read; names the word.
        """
        first, *words = text.split()
        if first == "drop":
            self._drop(words)
        elif first in self.events and words:
            self._event(first, when(words[0]), dict(_pair(w) for w in words[1:]))
        elif first == "reading":
            self._items(None, when(words[0]), words[1:])
        else:
            if words and WHEN.fullmatch(words[0]):
                self._visits[first] = when(words.pop(0))
            if first not in self._visits:
                msg = f"`{first}` is neither an event type, `reading`, `drop` nor a visit of this course"
                raise ValueError(msg)
            self._items(first, self._visits[first], words)

    def add(self, event_type: str, occurred: str, **fields: Any) -> None:
        """Add one event with typed fields."""
        self._made += 1
        row = {
            "study_id": self.study,
            "subject_id": self.subject,
            "schema_version": 1,
            "event_id": f"{self.subject}/{event_type}-{self._made:04d}",
            "occurred": occurred,
        }
        self.events[event_type].append({**row, **fields})

    def _event(self, event_type: str, occurred: str, pairs: dict[str, str]) -> None:
        table = schema.events()[event_type]
        fields: dict[str, Any] = {}
        for name, value in pairs.items():
            if name in _ENVELOPE:
                fields[name] = [value] if name == "supersedes" else value
            elif name in table.names:
                fields[name] = _typed(table[name].kind, value)
            else:
                msg = f"{event_type} has no field `{name}`"
                raise ValueError(msg)
        self.add(event_type, occurred, **fields)

    def _items(self, visit: str | None, occurred: str, words: list[str]) -> None:
        pairs = [_pair(w) for w in words]
        extra = {k: v for k, v in pairs if "." not in k}
        for name, value in pairs:
            if "." not in name:
                continue
            instrument, item = name.split(".", 1)
            if instrument not in schema.instruments():
                msg = f"there is no instrument `{instrument}`"
                raise ValueError(msg)
            items = [
                i for i in schema.instruments()[instrument].items if (not i.optional if item == "*" else i.code == item)
            ]
            if not items:
                msg = f"{instrument} has no item `{item}`"
                raise ValueError(msg)
            for it in items:
                self._item(visit, occurred, instrument, it, value, extra)

    def _item(
        self, visit: str | None, occurred: str, instrument: str, item: schema.Item, value: str, extra: dict[str, str]
    ) -> None:
        form = f"{self.subject}/{instrument}@{visit or occurred}"
        rows = self.events["assessment"]
        if "keep" not in extra:
            rows[:] = [r for r in rows if not (r["occasion_id"] == form and r["item"] == item.code)]
        if value == "-":
            return
        fields: dict[str, Any] = {"occasion_id": form, "visit_id": visit, "instrument": instrument, "item": item.code}
        table = schema.events()["assessment"]
        fields |= {
            k: _typed(table[k].kind, v) for k, v in extra.items() if k not in {"keep", "visit_id", "occasion_id"}
        }
        fields |= {k: (v or None) for k, v in extra.items() if k in {"visit_id", "occasion_id"}}
        number = re.fullmatch(r"(<=|>=|<|>)?(-?[0-9.]+)", value)
        if number and not item.codes:
            fields["value_number"] = Decimal(number[2])
            if number[1]:
                fields["comparator"] = number[1]
        else:
            fields["value_code"] = value
        self.add("assessment", occurred, **fields)

    def _drop(self, words: list[str]) -> None:
        pairs = dict(_pair(w) for w in words[1:])
        what = words[0]
        before = sum(map(len, self.events.values()))
        for event_type, rows in self.events.items():
            if what == event_type:
                rows[:] = [r for r in rows if not all(str(r.get(k)) == when(v) for k, v in pairs.items())]
            elif what in self._visits and event_type == "assessment":
                rows[:] = [
                    r for r in rows if not (r["visit_id"] == what and all(str(r.get(k)) == v for k, v in pairs.items()))
                ]
        if sum(map(len, self.events.values())) == before:
            msg = f"`drop {' '.join(words)}` drops nothing"
            raise ValueError(msg)


def _pair(word: str) -> tuple[str, str]:
    name, sign, value = word.partition("=")
    if not sign:
        msg = f"`{word}` is not name=value"
        raise ValueError(msg)
    return name, value


def _typed(kind: str, value: str) -> Any:
    if kind == "number":
        return Decimal(value)
    if kind == "count":
        return int(value)
    if kind == "flag":
        return value == "true"
    return when(value) if kind == "when" else value
