"""A synthetic subject that meets everything, which tests change in one place at a time."""

import datetime as dt
import importlib
from decimal import Decimal
from typing import Any

import pyarrow as pa

from enfold import schema, study
from enfold.evaluate.call import evaluate
from enfold.evaluate.discover import Discovery, Offered
from enfold.evaluate.graph import plan
from enfold.fold.cut import Cut
from enfold.fold.fold import fold
from tests_support import STUDY

PLUGINS = ("lupus_activity", "sri", "lldas", "doris", "crs", "icans", "disease_course", "cell_therapy")
DAY_0 = dt.date(2026, 3, 10)
BASELINE = {"ARTHR": "present", "RASH": "present", "ALOP": "present"}  # 4 + 2 + 2 = 8
GRADES = {
    "CONST": "E",
    "MUCO": "B",
    "NEURO": "E",
    "MSK": "B",
    "CARDIO": "E",
    "GI": "E",
    "OPHTH": "E",
    "RENAL": "D",
    "HAEM": "D",
}


def day(n: int) -> str:
    return (DAY_0 + dt.timedelta(days=n)).isoformat()


class Course:
    """Events of one subject; `verdicts` folds and evaluates them."""

    def __init__(self, **who: Any) -> None:
        self.events: dict[str, list[dict[str, Any]]] = {t: [] for t in schema.events()}
        self.add("enrolment", day(-30), **{"birth_date": "2010-01-01", **who})
        self.add("infusion", day(0) + "T10:00", product="car", role="study_product")
        self.add("infusion", day(-5), product="fludarabine", role="lymphodepletion")

    def add(self, event_type: str, occurred: str, **fields: Any) -> "Course":
        rows = self.events[event_type]
        rows.append({"study_id": "S", "subject_id": "01", "schema_version": 1, "event_id": f"{event_type}-{len(rows)}",
                     "occurred": occurred, **fields})  # fmt: skip
        return self

    def form(self, instrument: str, occurred: str, visit: str | None, values: dict[str, Any], **extra: Any) -> "Course":
        for item, value in values.items():
            kind = "value_code" if isinstance(value, str) else "value_number"
            self.add("assessment", occurred, occasion_id=f"{instrument}-{occurred}", visit_id=visit, instrument=instrument,
                     item=item, **{kind: value}, **extra)  # fmt: skip
        return self

    def visit(
        self,
        name: str,
        on: int,
        *,
        sledai: dict[str, str | None] | None = None,
        bilag: dict[str, str] | None = None,
        pga: str | None = "0.2",
        organs: dict[str, str] | None = None,
    ) -> "Course":
        """Add one visit at which every form is complete; `None` leaves an item out."""
        items = dict.fromkeys(schema.instruments()["SLEDAI2K"].codes, "absent") | (sledai or {})
        self.form("SLEDAI2K", day(on), name, {k: v for k, v in items.items() if v})
        grades = {**GRADES, "MUCO": "D", "MSK": "D"} | (bilag or {})
        self.form("BILAG2004", day(on), name, {k: v for k, v in grades.items() if v})
        if pga:
            self.form("PGA", day(on), name, {"PGA_0_3": Decimal(pga)})
        self.form("ORGAN_ACTIVITY", day(on), name, {"HAEMOLYSIS": "absent", "GI": "absent"} | (organs or {}))
        return self

    def reviewed(self, *kinds: str, since: int = -60, until: int = 120) -> "Course":
        for kind in kinds:
            self.add("review", day(since), data_kind=kind, until=day(until))
        return self

    def drug(self, substance: str, drug_class: str, first: int, **fields: Any) -> "Course":
        usual = {
            "dose": Decimal(5),
            "unit": "mg",
            "frequency": "daily",
            "route": "oral",
            "role": "background",
            "indication": "sle",
        }
        return self.add("medication", day(first), substance=substance, drug_class=drug_class, **{**usual, **fields})

    def verdicts(self, endpoint: str, **parameters: Any) -> dict[tuple[str | None, str], dict[str, Any]]:
        """Return the rows of one endpoint by visit and criterion."""
        text = STUDY.replace("plugins = []", f"plugins = {[f'enfold-{p}' for p in PLUGINS]}")
        sets = "".join(f"{k} = {str(v).lower() if isinstance(v, bool) else v}\n" for k, v in parameters.items())
        text += f'[[endpoints]]\nendpoint = "{endpoint}"\n[endpoints.parameters]\n{sets}'
        parsed = study.parse(text)
        found = Discovery()
        for p in PLUGINS:
            for d in importlib.import_module(f"enfold_{p}").enfold_declarations():
                found.offered[d.id] = Offered(d, p, "0", "0")
        tables = {}
        for t, rows in self.events.items():
            table = pa.Table.from_pylist(rows, schema=schema.event_arrow(t))
            tables[t] = table.append_column("position", pa.array([1] * len(rows), pa.int64()))
        out = evaluate(plan(parsed, found), fold(tables, parsed, Cut(1)), parsed)
        assert not out.failures, out.failures
        rows = [r for part in out.verdicts for r in part.to_pylist() if r["alias"] == endpoint]
        return {(r["visit_id"], r["criterion"]): r for r in rows}


def responder(**at_visit: Any) -> Course:
    """A subject who meets SRI-4, LLDAS and DORIS at W4, but for what `at_visit` changes there."""
    course = Course().visit("BL", -7, sledai=dict(BASELINE), bilag={"MUCO": "B", "MSK": "B"}, pga="2.00")
    course.visit("W4", 30, **at_visit)
    return course.reviewed("glucocorticoid", "background_medication", "rescue_medication")
