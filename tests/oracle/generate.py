"""Adversarial synthetic patients for the comparison with the second implementation.

Values sit on thresholds, forms miss items, readings share instants, courses touch and overlap, reviews leave gaps, rows come in
no order. Everything derives from the seed.
"""

import random
from decimal import Decimal
from typing import Any

from enfold import schema
from enfold.testing.course import Course, day

SLEDAI = [i for i in schema.instruments()["SLEDAI2K"].items if i.weight]
BILAG = [i.code for i in schema.instruments()["BILAG2004"].items]
VISITS = {"BL": -7, "W4": 28, "W8": 56, "W12": 84}
STEROIDS = (("prednisolone", 5), ("methylprednisolone", 4), ("dexamethasone", "0.75"), ("hydrocortisone", 20))
BACKGROUND = (
    ("hydroxychloroquine", "antimalarial", 400, "daily"),
    ("azathioprine", "immunosuppressant", 100, "twice_daily"),
    ("methotrexate", "immunosuppressant", 30, "weekly"),
    ("mycophenolate_mofetil", "immunosuppressant", 1500, "twice_daily"),
    ("belimumab", "biologic", 200, "weekly"),
    ("tacrolimus", "immunosuppressant", 3, "twice_daily"),
    ("experimental", "investigational", 10, "daily"),
)
ICE = {"ORIENT": 4, "NAMING": 3, "COMMAND": 1, "WRITING": 1, "ATTENTION": 1}
DEVICES = (
    "room_air",
    "nasal_cannula",
    "high_flow_nasal_cannula",
    "blow_by",
    "simple_mask",
    "cpap",
    "invasive_ventilation",
)


def patient(seed: int) -> dict[str, list[dict[str, Any]]]:
    """Return the events of one patient by type."""
    rng = random.Random(seed)
    course = Course(f"{seed:06d}")
    born = rng.choice(["2008-05-01", "2014-03-10", "2014-03-11", "2017-01-01", None])
    course.add("enrolment", day(-30), birth_date=born, developmental_delay=rng.random() < 0.05 or None)
    course.add("infusion", day(-5), product="fludarabine", role="lymphodepletion")
    course.add("infusion", day(0) + "T10:00", product="car", role="study_product")
    if rng.random() < 0.1:
        course.add("infusion", day(rng.choice([3, 20, 40])) + "T10:00", product="car", role="study_product")
    for visit, target in VISITS.items():
        if rng.random() > 0.12:
            _visit(rng, course, visit, target)
    _drugs(rng, course)
    _ward(rng, course)
    for kind in (
        "glucocorticoid",
        "background_medication",
        "rescue_medication",
        "fever",
        "vasopressor",
        "neurological",
        "oxygen",
    ):
        _reviews(rng, course, kind)
    if rng.random() < 0.08:
        course.add("disposition", day(rng.choice([5, 14, 28, 41, 42, 84])), milestone=rng.choice(["death", "discontinued"]),
                   cause=rng.choice(["crs", "icans", "infection", None]))  # fmt: skip
    for rows in course.events.values():
        rng.shuffle(rows)
    return course.events


def _item(
    course: Course, occurred: str, visit: str | None, instrument: str, item: str, value: Any, **extra: Any
) -> None:
    number = not isinstance(value, str) or value[:1].isdigit()  # numbers may be written as text, to be exact
    form = f"{course.subject}/{instrument}@{visit or occurred}"
    course.add("assessment", occurred, occasion_id=form, visit_id=visit, instrument=instrument, item=item,
               **({"value_number": Decimal(str(value))} if number else {"value_code": value}), **extra)  # fmt: skip


def _visit(rng: random.Random, course: Course, visit: str, target: int) -> None:
    on = day(target + rng.choice([0, 0, 0, -1, 2, 5]))
    active = set(rng.sample([i.code for i in SLEDAI], rng.choice([0, 0, 1, 1, 2, 3])))
    gap = rng.choice([i.code for i in SLEDAI]) if rng.random() < 0.25 else None
    for item in SLEDAI:
        if item.code == gap and rng.random() < 0.5:
            continue
        value = "unknown" if item.code == gap else "present" if item.code in active else "absent"
        who = rng.choice([None, None, "disease", "not_disease", "unknown"]) if value == "present" else None
        _item(course, on, visit, "SLEDAI2K", item.code, value, attribution=who)
    if rng.random() < 0.1:  # a second, later or simultaneous record of one item
        item = rng.choice(SLEDAI).code
        _item(course, on + rng.choice(["", "T12:00"]), visit, "SLEDAI2K", item, rng.choice(["present", "absent"]))
    if rng.random() < 0.1:
        _item(course, on, visit, "SLEDAI2K", "ARTHR_JOINTS", rng.choice([0, 1, 2, 3]))
    weights = [1, 4, 3, 8, 1] if visit == "BL" else [1, 2, 2, 8, 2]
    for domain in BILAG:
        if rng.random() > 0.01:
            grade = rng.choices("ABCDE", [0.3, 1.2, 1, 8, 0.5] if visit != "BL" else weights)[0]
            _item(course, on, visit, "BILAG2004", domain, grade)
    if rng.random() > 0.06:
        scale, values = rng.choice([
            ("PGA_0_3", ["0", "0.2", "0.49", "0.50", "0.51", "0.70", "1.00", "1.01", "1.30", "2.0", "3.0", "3.01"]),
            ("PGA_0_3", ["0.40", "0.69", "0.70", "0.9", "1.19", "1.20", "2.00", "2.29", "2.30"]),
            ("PGA_0_10", ["0", "1.66", "1.67", "3.33", "3.34", "4.33"]), ("PGA_0_100", ["0", "16.6", "16.7", "33.3", "33.4"]),
        ])  # fmt: skip
        _item(course, on, visit, "PGA", scale, rng.choice(values))
        if rng.random() < 0.04:
            _item(course, on, visit, "PGA", rng.choice(["PGA_0_3", "PGA_0_10"]), "1")
    for item in ("HAEMOLYSIS", "GI", "CARDIOPULMONARY", "TOLERANCE"):
        if rng.random() < (0.95 if item in {"HAEMOLYSIS", "GI"} else 0.3):
            codes = ["tolerated", "not_tolerated"] if item == "TOLERANCE" else ["absent", "present", "unknown"]
            _item(course, on, visit, "ORGAN_ACTIVITY", item, rng.choices(codes, [12, 1] if len(codes) == 2 else [14, 1, 1])[0],
                  attribution=rng.choice([None, None, "not_disease"]))  # fmt: skip
    if rng.random() < 0.7:
        _item(course, on, visit, "WEIGHT", "WEIGHT", rng.choice(["20", "33.3", "49.9", "50", "60"]))


def _course(rng: random.Random, course: Course, first: int, **fields: Any) -> int:
    """Add one course; return the day after its end."""
    end = rng.choice(["ended", "ended", "ongoing", "open"])
    last = first + rng.choice([0, 3, 6, 7, 13, 20, 27, 28, 60])
    when = {"ended": day(last)} if end == "ended" else {"ongoing": True} if end == "ongoing" else {}
    if fields.get("frequency") == "once":
        when = {}
    course.add("medication", day(first), **fields, **when)
    return last + rng.choice([1, 1, 1, 2, 5, 8, 9])


def _drugs(rng: random.Random, course: Course) -> None:
    for _ in range(rng.choice([0, 1, 1, 2])):
        substance, five = rng.choice(STEROIDS)
        first = rng.choice([-40, -10, 0, 15, 18, 22, 25, 50, 70])
        for _ in range(rng.choice([1, 2, 3])):
            dose = Decimal(five) * rng.choice(
                [Decimal(0), Decimal("0.2"), Decimal("0.6"), Decimal(1), Decimal("1.0002"), Decimal("1.5"), Decimal(4)]
            )
            first = _course(
                rng, course, first, substance=substance, drug_class="glucocorticoid", unit="mg",
                dose=None if rng.random() < 0.12 else dose, route=rng.choice(["oral", "oral", "intravenous", "topical"]),
                frequency=rng.choice(["daily", "daily", "twice_daily", "every_2_days", "weekly", "once"]),
                role=rng.choice(["background", "toxicity_treatment", "rescue"] if rng.random() < 0.1 else ["background"]),
                indication="sle",
            )  # fmt: skip
    for _ in range(rng.choice([0, 0, 1, 2])):
        substance, drug_class, most, frequency = rng.choice(BACKGROUND)
        first = rng.choice([-200, -90, -8, -7, -6, 0, 1, 2, 20, 28, 30, 60])
        for _ in range(rng.choice([1, 2, 2, 3])):
            dose = Decimal(most) * rng.choice([Decimal("0.5"), Decimal(1), Decimal("1.001"), Decimal("0.25")])
            first = _course(
                rng, course, first, substance=substance, drug_class=drug_class, dose=None if rng.random() < 0.06 else dose,
                unit=rng.choice(["mg", "mg", "mg", "mg/kg"]) if rng.random() < 0.2 else "mg", route="oral",
                frequency=frequency if rng.random() < 0.9 else "daily",
                role=rng.choice(["background", "background", None, "rescue", "toxicity_treatment", "prophylaxis"]),
                indication=rng.choice(["sle", "sle", None, "other"]),
                change_reason=rng.choice([None, None, "weight", "side_effect", "disease_activity"]),
            )  # fmt: skip


def _ward(rng: random.Random, course: Course) -> None:
    at = rng.choice([-30, 20, 26, 40])  # hours since midnight of day 0
    for _ in range(rng.choice([0, 2, 4, 6])):
        at += rng.choice([0, 1, 6, 11, 12, 13, 23, 24, 25])
        when = f"{day(at // 24)}T{at % 24:02d}:{rng.choice(['00', '00', '30'])}"
        who = rng.choice([None, None, None, "disease", "not_disease", "unknown"])
        if rng.random() < 0.8:
            value, unit = rng.choice(
                [
                    ("36.5", "Cel"),
                    ("37.9", "Cel"),
                    ("38.0", "Cel"),
                    ("39.1", "Cel"),
                    ("100.4", "[degF]"),
                    ("100.3", "[degF]"),
                ]
            )
            _item(course, when, None, "VITAL_SIGNS", "TEMP", value, unit=unit, attribution=who)
        if rng.random() < 0.7:
            _item(
                course,
                when,
                None,
                "VITAL_SIGNS",
                "HYPOTENSION",
                rng.choice(["none", "none", "present", "unknown"]),
                attribution=who,
            )
        if rng.random() < 0.7:
            _item(course, when, None, "VITAL_SIGNS", "O2DEVICE", rng.choice(DEVICES), attribution=who)
        if rng.random() < 0.5:
            _item(course, when, None, "VITAL_SIGNS", "O2FLOW", rng.choice(["1", "6", "6.1", "15"]))
        if rng.random() < 0.1:
            _item(course, when, None, "VITAL_SIGNS", "VENT_REASON", rng.choice(["airway_protection", "hypoxia"]))
        if rng.random() < 0.06:
            _item(course, when, None, "VITAL_SIGNS", "TEMP", rng.choice(["36", "40"]), unit="Cel")
        if rng.random() < 0.2:
            course.add("medication", when, substance=rng.choice(["noradrenaline", "adrenaline", "dobutamine", "vasopressin"]),
                       drug_class=None, unit="ug/kg/min", indication=rng.choice([None, "crs", "infection"]))  # fmt: skip
            drug = course.events["medication"][-1]
            drug["drug_class"] = {"dobutamine": "inotrope", "vasopressin": "vasopressin"}.get(
                drug["substance"], "vasopressor"
            )
            until = at + rng.choice([1, 6, 12, 30])
            drug |= rng.choice([{"ended": f"{day(until // 24)}T{until % 24:02d}:00"}, {}, {"ongoing": True}])
        if rng.random() < 0.08:
            until = at + rng.choice([2, 12, 30])
            course.add("procedure", when, procedure="oxygen", device=rng.choice(DEVICES[1:]), flow=rng.choice([None, Decimal(4), Decimal(8)]),
                       ended=rng.choice([None, f"{day(until // 24)}T{until % 24:02d}:00"]),
                       indication=rng.choice([None, "crs", "infection"]))  # fmt: skip
        if rng.random() < 0.4:
            _neurology(rng, course, when)


def _neurology(rng: random.Random, course: Course, when: str) -> None:
    who = rng.choice([None, None, "disease", "not_disease"])
    if rng.random() < 0.7:
        low = rng.random()
        for item, most in ICE.items():
            if rng.random() > 0.02:
                _item(
                    course,
                    when,
                    None,
                    "ICE",
                    item,
                    most if rng.random() > low else rng.randint(0, most),
                    attribution=who,
                )
    if rng.random() < 0.6:
        share = rng.choice([0, 1, 1, 2, 4])
        for n in range(1, 9):
            if rng.random() > 0.02:
                _item(course, when, None, "CAPD", f"CAPD0{n}", rng.randint(0, share), attribution=who)
        if rng.random() < 0.1:
            _item(course, when, None, "CAPD", "CAPD_UNABLE", rng.choice(["yes", "no"]), attribution=who)
    for item, chance in (("AROUSAL", 0.8), ("SEIZURE", 0.1), ("MOTOR", 0.1), ("OEDEMA", 0.1)):
        codes = next(i.codes for i in schema.instruments()["ICANS_SIGNS"].items if i.code == item)
        for _ in range(2 if rng.random() < 0.05 else 1):
            if rng.random() < chance:
                _item(course, when, None, "ICANS_SIGNS", item, rng.choice([*codes, *codes[:1] * 6]),
                      attribution=rng.choice([None, None, "not_disease"]))  # fmt: skip


def _reviews(rng: random.Random, course: Course, kind: str) -> None:
    style = rng.random()
    if style < 0.72:
        course.add("review", day(-60), data_kind=kind, until=day(120))
    elif style < 0.9:
        edge = rng.choice([0, 1, 2, 3, 14, 20, 24, 25, 28])
        course.add("review", day(-60), data_kind=kind, until=day(edge))
        if rng.random() < 0.6:
            course.add(
                "review", day(edge + rng.choice([1, 1, 2])), data_kind=kind, until=day(rng.choice([28, 60, 120]))
            )
