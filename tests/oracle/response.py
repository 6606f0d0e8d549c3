"""Second, independent implementation of SRI-4, LLDAS, cLLDAS, DORIS 2021 and cCR, one patient at a time.

Source: the project's clinical specification, global computing rules, sections 1 to 7, 14 (EC) and 15 (DC; DC wins).
It reads the rows of the platform's state tables and shares no code with the platform. Choices that the source
leaves open are marked "Choice".
"""

from collections.abc import Iterable
from datetime import date, timedelta
from fractions import Fraction
from typing import Any, NamedTuple

Row = dict[str, Any]
Patient = dict[str, list[Row]]
Truth = bool | None  # None: unknown

DAY = timedelta(days=1)
UNITS_PER_MG = 60_000  # prednisone, sixtieths of a microgram

SYSTEMS = {
    "cns": ("SEIZ", "PSYCH", "OBS", "VISUAL", "CRANIAL", "HEADACHE", "CVA"),
    "vascular": ("VASC",),
    "musculoskeletal": ("ARTHR", "MYOS"),
    "renal": ("CASTS", "HEMAT", "PROT", "PYUR"),
    "mucocutaneous": ("RASH", "ALOP", "ULCER"),
    "serosal": ("PLEUR", "PERIC"),
    "immunological": ("LOWC", "DNA"),
    "constitutional": ("FEVER",),
    "haematological": ("PLT", "WBC"),
}
SYSTEM_WEIGHT = {
    "cns": 8,
    "vascular": 8,
    "musculoskeletal": 4,
    "renal": 4,
    "mucocutaneous": 2,
    "serosal": 2,
    "immunological": 2,
    "constitutional": 1,
    "haematological": 1,
}
SLEDAI = {item: SYSTEM_WEIGHT[system] for system, items in SYSTEMS.items() for item in items}
CLINICAL = [item for item in SLEDAI if item not in SYSTEMS["immunological"]]
MAJOR_ORGANS = [item for s in ("renal", "cns", "serosal", "vascular", "constitutional") for item in SYSTEMS[s]]
EARLY_NOT_SLE = {item for s in ("cns", "haematological", "constitutional") for item in SYSTEMS[s]}
BILAG = ("CONST", "MUCO", "NEURO", "MSK", "CARDIO", "GI", "OPHTH", "RENAL", "HAEM")
PGA_SCALES = {"PGA_0_3": 3, "PGA_0_10": 10, "PGA_0_100": 100}

NEVER_SYSTEMIC = ("topical", "inhaled", "intranasal", "ophthalmic", "intra_articular")
BACKGROUND = ("antimalarial", "immunosuppressant", "biologic", "investigational")
NOT_BACKGROUND_ROLES = ("toxicity_treatment", "prior_therapy")
FAILURE_CLASSES = ("immunosuppressant", "biologic")
EXCUSES = ("side_effect", "weight", "adherence", "build_up")
MAX_MG_PER_DAY = {
    "hydroxychloroquine": Fraction(400),
    "methotrexate": Fraction(30, 7),
    "azathioprine": Fraction(200),
    "mycophenolate_mofetil": Fraction(3000),
    "mycophenolic_acid": Fraction(2160),
    "leflunomide": Fraction(20),
}
MG = {"mg": Fraction(1), "g": Fraction(1000), "ug": Fraction(1, 1000)}

CRITERIA = {
    "sri": ("sledai", "bilag", "pga", "no_treatment_failure"),
    "lldas": ("low_activity", "no_new_activity", "pga", "prednisone", "maintenance"),
    "clldas": ("low_activity", "no_new_activity", "pga", "prednisone", "maintenance"),
    "doris": ("clinical_sledai", "pga", "prednisone", "stable_background"),
    "ccr": ("clinical_sledai", "pga", "prednisone", "stable_background"),
}


# ---------------------------------------------------------------------------------------------------- logic and reading


def all_true(truths: Iterable[Truth]) -> Truth:
    """Three-valued AND (global computing rules): one false decides, else one unknown leaves it unknown."""
    seen = list(truths)
    if False in seen:
        return False
    return None if None in seen else True


def negated(truth: Truth) -> Truth:
    """Three-valued NOT."""
    return None if truth is None else not truth


def spoken(truth: Truth) -> str:
    """The verdict's word for a truth."""
    return {True: "met", False: "not_met", None: "not_evaluable"}[truth]


def rows_of(patient: Patient, table: str) -> list[Row]:
    """Rows of a state table; none where the patient has none."""
    return patient.get(table) or []


def with_records(patient: Patient) -> Patient:
    """The patient with each form holding its findings by item, so that they are sought once."""
    records: dict[tuple[str, str], dict[str, list[Row]]] = {}
    for row in rows_of(patient, "findings"):
        form = records.setdefault((row["occasion_id"], row["instrument"]), {})
        form.setdefault(row["item"], []).append(row)
    forms = [
        {**row, "records": records.get((row["occasion_id"], row["instrument"]), {})}
        for row in rows_of(patient, "occasions")
    ]
    return {**patient, "occasions": forms}


def visit_form(patient: Patient, visit: Row, instrument: str) -> Row | None:
    """The form that speaks for a visit: chosen, of that visit (EC-26, done by the fold)."""
    for row in rows_of(patient, "occasions"):
        if row["instrument"] == instrument and row["chosen"] and row["visit_id"] == visit["visit_id"]:
            return row
    return None


def baseline_form(patient: Patient, instrument: str) -> Row | None:
    """The efficacy baseline form of the first period: SRI always refers to the original baseline (EC-30, EC-31)."""
    forms = [
        row
        for row in rows_of(patient, "occasions")
        if row["instrument"] == instrument and row["baseline_for"] in ("efficacy", "both")
    ]
    return max(forms, key=lambda row: row["from_at"], default=None)


def first_period(patient: Patient) -> Row | None:
    """The period of the first study-product infusion."""
    return min(rows_of(patient, "periods"), key=lambda row: row["period"], default=None)


def record(form: Row | None, item: str) -> Row | None:
    """The standing record of an item on a form: the last known one; two values at one instant: unknown (DC-15)."""
    if form is None:
        return None
    known = [row for row in form["records"].get(item, []) if row["known"] and row["value_code"] != "unknown"]
    if not known:
        return None
    latest = max(row["from_at"] for row in known)
    rivals = [row for row in known if row["from_at"] == latest]
    standing = min(rivals, key=lambda row: row["finding_id"])
    if any(rival[field] != standing[field] for rival in rivals for field in ("value_code", "value_number")):
        return None
    return standing


def covered(patient: Patient, kind: str, first: date, last: date) -> bool:
    """Whether one review interval of a kind holds every day from first to last (DC-08)."""
    return any(
        row["data_kind"] == kind
        and row["from_date"] is not None
        and row["until_date"] is not None
        and row["from_date"] <= first
        and last <= row["until_date"]
        for row in rows_of(patient, "coverage")
    )


# ---------------------------------------------------------------------------------------------------- disease activity


def sledai_item(form: Row | None, item: str) -> Truth:
    """Whether an item is present and attributed to SLE (section 1.1, EC-17, DC-17); None: not known."""
    row = record(form, item)
    if form is None or row is None or row["value_code"] is None:
        return None
    if row["value_code"] != "present" or row["attribution"] == "not_disease":
        return False
    if row["attribution"] != "disease" and item in EARLY_NOT_SLE:
        day = form["infusion_day"]
        if day is not None and 0 <= day <= 28:
            return False
    if item == "ARTHR":  # section 1.4: a collected count below two overrules the box
        joints = record(form, "ARTHR_JOINTS")
        if joints is not None and joints["value_number"] is not None and joints["value_number"] < 2:
            return False
    return True


def sledai(form: Row | None) -> dict[str, Truth]:
    """All 24 items of a form."""
    return {item: sledai_item(form, item) for item in SLEDAI}


def total(items: dict[str, Truth], counted: Iterable[str] = SLEDAI) -> int | None:
    """Weighted sum of some items; unknown if any of them is unknown (section 1.6, EC-16)."""
    wanted = list(counted)
    if any(items[item] is None for item in wanted):
        return None
    return at_least(items, wanted)


def at_least(items: dict[str, Truth], counted: Iterable[str] = SLEDAI) -> int:
    """What the known items prove: a clause that this alone fails is failed, whatever is missing (DC-04, EC-24)."""
    return sum(SLEDAI[item] for item in counted if items[item])


def pga(form: Row | None) -> Fraction | None:
    """PGA on 0 to 3, exactly; unknown unless exactly one scale is known (section 3, EC-06, DC-31)."""
    values = []
    for item, top in PGA_SCALES.items():
        row = record(form, item)
        if row is not None and row["value_number"] is not None:
            values.append((Fraction(row["value_number"]), top))
    if len(values) != 1:
        return None
    value, top = values[0]
    return value * 3 / top if 0 <= value <= top else None


def clinical_sledai_is_zero(patient: Patient, visit: Row) -> Truth:
    """CSLEDAI-2K = 0 from its 22 items only (section 1.5, DC-06)."""
    items = sledai(visit_form(patient, visit, "SLEDAI2K"))
    if at_least(items, CLINICAL) > 0:
        return False
    return None if total(items, CLINICAL) is None else True


def pga_below(patient: Patient, visit: Row, limit: Fraction) -> Truth:
    """PGA < limit (DORIS, cCR: 0.50 fails, EC-05)."""
    value = pga(visit_form(patient, visit, "PGA"))
    return None if value is None else value < limit


def pga_at_most(patient: Patient, visit: Row, limit: Fraction) -> Truth:
    """PGA <= limit (LLDAS: 1.00 passes, EC-05)."""
    value = pga(visit_form(patient, visit, "PGA"))
    return None if value is None else value <= limit


def organ_inactive(form: Row | None, item: str) -> Truth:
    """Whether a tick box says that an organ is not active with SLE (DC-13)."""
    row = record(form, item)
    if row is None or row["value_code"] is None:
        return None
    return row["value_code"] != "present" or row["attribution"] == "not_disease"


def low_activity(patient: Patient, visit: Row) -> Truth:
    """LLDAS item 1: total <= 4, no major organ active, tick boxes absent (section 5.1, EC-89, DC-13).

    Choice: a major-organ item that is present, or more than 4 points proven, fails it even when items are missing.
    Choice: CARDIOPULMONARY counts as collected also when it was collected as unknown.
    """
    items = sledai(visit_form(patient, visit, "SLEDAI2K"))
    score = total(items)
    organs = visit_form(patient, visit, "ORGAN_ACTIVITY")
    clauses = [negated(items[item]) for item in MAJOR_ORGANS]
    clauses.append(at_least(items) <= 4 if score is not None or at_least(items) > 4 else None)
    clauses.append(organ_inactive(organs, "HAEMOLYSIS"))
    clauses.append(organ_inactive(organs, "GI"))
    if organs is not None and "CARDIOPULMONARY" in organs["records"]:
        clauses.append(organ_inactive(organs, "CARDIOPULMONARY"))
    return all_true(clauses)


def planned_order(visit: Row) -> tuple[int, int]:
    """Place of a planned visit in time."""
    return visit["target_day"], visit["ordinal"] or 0


def previous_items(patient: Patient, visit: Row) -> dict[str, Truth] | None:
    """SLEDAI items of the last earlier scheduled visit at which all 24 are known, else of baseline (DC-01)."""
    earlier = [
        row
        for row in rows_of(patient, "visits")
        if row["scheduled"] and row["target_day"] is not None and planned_order(row) < planned_order(visit)
    ]
    for row in sorted(earlier, key=planned_order, reverse=True):
        items = sledai(visit_form(patient, row, "SLEDAI2K"))
        if None not in items.values():
            return items
    items = sledai(baseline_form(patient, "SLEDAI2K"))
    return None if None in items.values() else items


def no_new_activity(patient: Patient, visit: Row) -> Truth:
    """LLDAS item 2, 'Oon', serology counted: nothing present now that was absent before (section 5.1, DC-01).

    Choice: an item unknown now matters only if it was absent before.
    """
    before = previous_items(patient, visit)
    if before is None:
        return None
    now = sledai(visit_form(patient, visit, "SLEDAI2K"))
    return all_true(negated(now[item]) for item in SLEDAI if not before[item])


# ---------------------------------------------------------------------------------------------------- courses of drugs


def medications(patient: Patient) -> list[Row]:
    """Courses other than study product and conditioning."""
    return [row for row in rows_of(patient, "exposures") if row["kind"] == "medication"]


def may_be(course: Row, classes: Iterable[str]) -> bool:
    """Whether a course is of some classes. Choice: a contested course without an agreed class may be of any."""
    return course["drug_class"] in classes or bool(course["contested"] and course["drug_class"] is None)


def once(course: Row) -> bool:
    """A single dose on the first day."""
    return course["frequency"] == "once"


def earliest_start(course: Row) -> date:
    """Earliest day on which a course can have begun (days of UTC where only an interval is known)."""
    if course["from_date"] is not None:
        return course["from_date"]
    return course["from_at"].date() if course["from_at"] is not None else date.min


def latest_start(course: Row) -> date:
    """Latest day on which a course can have begun."""
    if course["from_date"] is not None:
        return course["from_date"]
    return (course["from_latest"] - timedelta(microseconds=1)).date() if course["from_latest"] is not None else date.max


def known_end(course: Row) -> date | None:
    """Last day of a course: date.max while ongoing, the (latest) first day of a single dose, None where unknown."""
    if once(course):
        return latest_start(course)
    if course["until_date"] is not None:
        return course["until_date"]
    return date.max if course["ongoing"] else None


def in_force(course: Row, day: date) -> Truth:
    """Whether a course is in force on a day. Choice: after the first day of a course of unknown end it is unknown."""
    end = known_end(course)
    if earliest_start(course) > day or (end is not None and end < day):
        return False
    if latest_start(course) > day or (once(course) and course["from_date"] is None):
        return None
    if end is None:
        return True if course["from_date"] == day else None
    return True


def may_overlap(course: Row, first: date, last: date) -> bool:
    """Whether a course may have been in force on some day from first to last."""
    end = known_end(course)
    return earliest_start(course) <= last and (end is None or end >= first)


def dose_per_day(course: Row) -> Fraction | None:
    """Mean dose per day in the course's unit; unknown without dose, times a day or interval."""
    if course["dose"] is None or not course["every_n_days"] or course["doses_per_dosing_day"] is None:
        return None
    return Fraction(course["dose"]) * course["doses_per_dosing_day"] / course["every_n_days"]


# ---------------------------------------------------------------------------------------------------- steroids


class SteroidWindow(NamedTuple):
    """Prednisone equivalents before a visit: known units, length in days, whether all is known, whether reviewed."""

    units: int
    days: int
    known: bool
    reviewed: bool


def steroid_courses(patient: Patient) -> list[Row]:
    """Glucocorticoid courses that may be systemic (section 7)."""
    return [
        row for row in medications(patient) if may_be(row, ("glucocorticoid",)) and row["route"] not in NEVER_SYSTEMIC
    ]


def counted_end(course: Row) -> date:
    """Last day on which a course counts: an unknown end counts for 7 days after the start (DC-09)."""
    end = known_end(course)
    return course["from_date"] + 7 * DAY if end is None else end


def dose_is_known(course: Row) -> bool:
    """Known units, agreed on, and known dosing days (a zero dose needs none)."""
    units = course["prednisone_units_per_dosing_day"]
    if units is None or course["contested"]:
        return False
    return units == 0 or once(course) or bool(course["every_n_days"])


def dosing_days(start: date, end: date, every: int, first: date, last: date) -> int:
    """How many of start, start + every, ... up to end lie in [first, last]."""
    skipped = max(0, -((start - first).days // every))
    day = start + skipped * every * DAY
    return max(0, (min(end, last) - day).days // every + 1)


def known_units(course: Row, first: date, last: date) -> int:
    """Units that a course of known dose gives in a window."""
    units = course["prednisone_units_per_dosing_day"]
    if not units:
        return 0
    every = 1 if once(course) else course["every_n_days"]
    return units * dosing_days(course["from_date"], counted_end(course), every, first, last)


def carried_from(courses: list[Row], unknown: Row) -> Row | None:
    """The last begun course of known dose of the same substance that reaches to within 7 days of it (DC-09, EC-38).

    Choice: a single dose is never carried.
    """
    earlier = [
        row
        for row in courses
        if unknown["substance"] is not None
        and row["substance"] == unknown["substance"]
        and row["from_date"] is not None
        and row["prednisone_units_per_dosing_day"] is not None
        and not once(row)
        and row["from_date"] < unknown["from_date"]
        and (counted_end(row) == date.max or counted_end(row) + 7 * DAY >= unknown["from_date"])
    ]
    last = max((row["from_date"] for row in earlier), default=None)
    return min((row for row in earlier if row["from_date"] == last), key=lambda row: row["exposure_id"], default=None)


def carried_until(source: Row, course: Row) -> date:
    """A carried dose holds for 7 days after the last day on which the earlier one was known to be given."""
    return min(counted_end(source), course["from_date"] - DAY) + 7 * DAY


def carried_units(courses: list[Row], course: Row, first: date, last: date) -> int | None:
    """Units of a course of unknown dose in a window, carried from before it; None where there are none.

    Choice: given at the unknown course's own interval where that is known, else at the earlier one's.
    """
    source = carried_from(courses, course)
    if source is None:
        return None
    every = 1 if once(course) else course["every_n_days"] or source["every_n_days"] or 1
    end = min(counted_end(course), carried_until(source, course))
    return source["prednisone_units_per_dosing_day"] * dosing_days(course["from_date"], end, every, first, last)


def steroid_window(patient: Patient, visit_date: date) -> SteroidWindow:
    """Sum over 7 days ending on the visit, 14 where an every-n-days course runs in those 7 (DC-08, DC-09, EC-37 to 40).

    Choice: a course of unknown first day that may reach into the window leaves the sum unknown and adds nothing.
    Choice: carried units count in the lower bound.
    """
    courses = [row for row in steroid_courses(patient) if earliest_start(row) <= visit_date]
    dated = [row for row in courses if row["from_date"] is not None]
    week = visit_date - 6 * DAY
    spaced = any(
        (row["every_n_days"] or 0) > 1
        and not once(row)
        and (may_overlap(row, week, visit_date) if row["from_date"] is None else counted_end(row) >= week)
        for row in courses
    )
    days = 14 if spaced else 7
    first = visit_date - (days - 1) * DAY

    units, known = 0, True
    for course in courses:
        if course["prednisone_units_per_dosing_day"] == 0 and not course["contested"]:
            continue
        if course["from_date"] is None:
            known = known and not may_overlap(course, first, visit_date)
            continue
        end = counted_end(course)
        if known_end(course) is None and visit_date > end:
            known = False
        if end < first:
            continue
        if dose_is_known(course):
            units += known_units(course, first, visit_date)
            continue
        carried = carried_units(dated, course, first, visit_date)
        units += carried or 0
        source = carried_from(dated, course)
        if carried is None or source is None or min(end, visit_date) > carried_until(source, course):
            known = False
    return SteroidWindow(units, days, known, covered(patient, "glucocorticoid", first, visit_date))


def weight(patient: Patient, visit_date: date) -> Fraction | None:
    """Last known weight in kg on or before the visit, at most 90 days old (EC-41)."""
    standing = []
    for form in rows_of(patient, "occasions"):
        row = record(form, "WEIGHT") if form["instrument"] == "WEIGHT" else None
        if row is None or row["value_number"] is None or row["date"] is None:
            continue
        if visit_date - 90 * DAY <= row["date"] <= visit_date:
            standing.append(row)
    if not standing:
        return None
    latest = max((row["date"], row["from_at"]) for row in standing)
    last = min((row for row in standing if (row["date"], row["from_at"]) == latest), key=lambda row: row["finding_id"])
    return Fraction(last["value_number"])


def prednisone_within(patient: Patient, visit: Row, adult_cap: Fraction, per_kg: Fraction | None = None) -> Truth:
    """Mean daily prednisone equivalent <= cap; a proven excess fails at once, 0 mg needs no weight (EC-08, DC-07)."""
    visit_date = visit["date"]
    if visit_date is None:
        return None
    window = steroid_window(patient, visit_date)
    mean = Fraction(window.units, window.days * UNITS_PER_MG)
    if mean > adult_cap:
        return False
    complete = window.known and window.reviewed
    if per_kg is None:
        return True if complete else None
    if mean == 0 and complete:
        return True
    kilograms = weight(patient, visit_date)
    if kilograms is None:
        return None
    if mean > per_kg * kilograms:
        return False
    return True if complete else None


# ---------------------------------------------------------------------------------------------------- background drugs


def background_courses(patient: Patient) -> list[Row]:
    """Antimalarials, immunosuppressants, biologics and other investigational drugs given for the disease."""
    return [row for row in medications(patient) if may_be(row, BACKGROUND) and row["role"] not in NOT_BACKGROUND_ROLES]


def destabilises(course: Row, before: list[Row], excused: bool) -> Truth:
    """Whether a start is a change, given its substance's courses in force the day before (section 6, EC-43, DC-10)."""
    if not before:
        return True
    if excused and course["change_reason"] in EXCUSES:
        return False
    dose = dose_per_day(course)
    if dose is None or course["unit"] is None:
        return None
    comparable = [dose_per_day(row) for row in before if row["unit"] == course["unit"]]
    doses = [other for other in comparable if other is not None]
    if any(other >= dose for other in doses):
        return False
    return True if len(doses) == len(before) else None


def start_destabilises(course: Row, courses: list[Row], excused: bool) -> Truth:
    """The same where it is not certain which courses were in force: decided only if either reading says so.

    Choice: a contested or nameless course that may have been in force the day before leaves it unknown.
    """
    if course["substance"] is None:
        return None
    day_before = course["from_date"] - DAY
    same = [row for row in courses if row["substance"] == course["substance"]]
    certain = [row for row in same if in_force(row, day_before) is True]
    possible = [row for row in same if in_force(row, day_before) is not False]
    contested = any(row["contested"] for row in possible)
    nameless = any(row["substance"] is None and in_force(row, day_before) is not False for row in courses)
    if contested or nameless:
        return None
    readings = {destabilises(course, certain, excused), destabilises(course, possible, excused)}
    return readings.pop() if len(readings) == 1 else None


def stable_background(patient: Patient, visit: Row, excused: bool) -> Truth:
    """No new agent and no increase in [visit - 28 days, visit]; a proven change needs no review (DC-02, DC-03, DC-10).

    Choice: a contested course, or one of unknown first day, leaves it unknown only if it may reach into the window.
    """
    last = visit["date"]
    if last is None:
        return None
    first = last - 28 * DAY
    courses = background_courses(patient)
    clauses: list[Truth] = [True if covered(patient, "background_medication", first, last) else None]
    for course in courses:
        if course["contested"] or course["from_date"] is None:
            clauses.append(None if may_overlap(course, first, last) else True)
        elif first <= course["from_date"] <= last:
            clauses.append(negated(start_destabilises(course, courses, excused)))
    return all_true(clauses)


def maximum_kept(courses: list[Row], substance: str, day: date) -> Truth:
    """Whether the doses of a substance in use add up to at most its maximum (section 5.1, DC-12).

    Choice: concurrent courses are added; mg, g and ug are converted, any other unit is unknown.
    """
    certain, unclear = Fraction(0), False
    possible = Fraction(0)
    for course in courses:
        if course["substance"] != substance or in_force(course, day) is False:
            continue
        dose = dose_per_day(course)
        if dose is None or course["unit"] not in MG or course["contested"]:
            unclear = True
            continue
        possible += dose * MG[course["unit"]]
        if in_force(course, day):
            certain += dose * MG[course["unit"]]
    limit = MAX_MG_PER_DAY[substance]
    if certain > limit:
        return False
    return None if unclear or possible > limit else True


def not_investigational(course: Row, day: date) -> Truth:
    """Whether a course is no investigational drug in use; the study product itself is exempt (EC-35)."""
    if not may_be(course, ("investigational",)):
        return True
    used = in_force(course, day)
    return negated(used) if used is False or not course["contested"] else None


def nameless_in_use(course: Row, day: date) -> bool:
    """A contested course without an agreed substance that may be in use: it may have a maximum."""
    return course["substance"] is None and in_force(course, day) is not False


def maintenance(patient: Patient, visit: Row, childhood: bool) -> Truth:
    """LLDAS item 5: tolerated standard doses, nothing investigational; in cLLDAS also stable (DC-02, DC-12)."""
    tolerance = record(visit_form(patient, visit, "ORGAN_ACTIVITY"), "TOLERANCE")
    clauses: list[Truth] = [tolerance is None or tolerance["value_code"] != "not_tolerated"]
    day = visit["date"]
    if day is None:
        clauses.append(None)
    else:
        courses = background_courses(patient)
        clauses.append(True if covered(patient, "background_medication", day - 28 * DAY, day) else None)
        clauses += [not_investigational(course, day) for course in courses]
        clauses += [maximum_kept(courses, substance, day) for substance in MAX_MG_PER_DAY]
        clauses += [None if nameless_in_use(course, day) else True for course in courses]
    if childhood:
        clauses.append(stable_background(patient, visit, excused=True))
    return all_true(clauses)


# ---------------------------------------------------------------------------------------------------- SRI


def sri_sledai(patient: Patient, visit: Row) -> Truth:
    """Fall of at least 4 from baseline; a baseline below 4 is not met whatever the visit (section 4, EC-29, DC-04)."""
    items = sledai(baseline_form(patient, "SLEDAI2K"))
    if baseline_form(patient, "SLEDAI2K") is None:
        return None
    if sum(SLEDAI[item] for item in SLEDAI if items[item] is not False) < 4:
        return False
    base = total(items)
    if base is None:
        return None
    form = visit_form(patient, visit, "SLEDAI2K")
    now = sledai(form)
    if form is not None and base - at_least(now) < 4:
        return False
    visit_total = total(now)
    return None if visit_total is None else base - visit_total >= 4


def bilag_grade(patient: Patient, form: Row | None, domain: str) -> str | None:
    """The grade of a domain; E after any earlier A to D cannot be, and is unknown (EC-24)."""
    row = record(form, domain)
    if form is None or row is None or row["value_code"] is None:
        return None
    if row["value_code"] == "E":
        for other in rows_of(patient, "occasions"):
            if other["instrument"] != "BILAG2004":
                continue
            earlier = (other["from_at"], other["occasion_id"]) < (form["from_at"], form["occasion_id"])
            before = record(other, domain)
            if earlier and before is not None and before["value_code"] != "E":
                return None
    return row["value_code"]


def sri_bilag(patient: Patient, visit: Row) -> Truth:
    """No new A and at most one new B against baseline; a proven failure decides (section 2.1, EC-24, EC-28, DC-05)."""
    base, now = baseline_form(patient, "BILAG2004"), visit_form(patient, visit, "BILAG2004")
    if now is None:
        return None
    new_a: list[Truth] = []
    new_b: list[Truth] = []
    for domain in BILAG:
        before, after = bilag_grade(patient, base, domain), bilag_grade(patient, now, domain)
        for letter, sources, found in (("A", "BCDE", new_a), ("B", "CDE", new_b)):
            if after is None:
                found.append(None)
            elif after != letter:
                found.append(False)
            else:
                found.append(None if before is None else before in sources)
    if True in new_a or new_b.count(True) > 1:
        return False
    return None if None in new_a or None in new_b else True


def sri_pga(patient: Patient, visit: Row) -> Truth:
    """PGA rise from baseline below 0.30 on 0 to 3; exactly 0.30 fails (section 3, EC-05)."""
    base, now = pga(baseline_form(patient, "PGA")), pga(visit_form(patient, visit, "PGA"))
    return None if base is None or now is None else now - base < Fraction(3, 10)


def began_within(row: Row, first: date, last: date) -> Truth:
    """Whether something began in [first, last]; None where its interval of uncertainty only touches it."""
    if latest_start(row) < first or earliest_start(row) > last:
        return False
    return True if first <= earliest_start(row) and latest_start(row) <= last else None


def in_use(patient: Patient, substance: str | None, day: date) -> Truth:
    """Whether a substance was in use on a day, in whatever role."""
    if substance is None:
        return None
    answers = [in_force(row, day) for row in medications(patient) if row["substance"] == substance]
    return True if True in answers else (None if None in answers else False)


def is_failing_drug(patient: Patient, course: Row, reference: date) -> Truth:
    """Whether a course counts as treatment failure if it began after infusion (section 4, EC-36, DC-27).

    Choice: a contested course never proves failure; one whose agreed fields still allow it leaves it unknown.
    """
    rescue = course["role"] == "rescue"
    for_sle = course["indication"] in (None, "sle") and course["role"] in (None, "background")
    new: Truth = False
    if may_be(course, FAILURE_CLASSES) and for_sle:
        new = negated(in_use(patient, course["substance"], reference))
    if course["contested"]:
        return False if new is False and course["role"] not in (None, "rescue") else None
    return True if rescue else new


def no_treatment_failure(patient: Patient, visit: Row) -> Truth:
    """Alive, in the study and on no rescue or new drug by the visit (section 4, DC-27).

    Choice: without a visit date it is judged on the last day of the window, the day before `window_until`.
    """
    period = first_period(patient)
    infusion = None if period is None else period["starts_date"]
    by = visit["date"]
    if by is None and visit["window_until"] is not None:
        by = visit["window_until"] - DAY
    if by is None:
        return None
    clauses = [
        negated(began_within(row, date.min, by))
        for row in rows_of(patient, "occurrences")
        if row["kind"] in ("death", "discontinuation")
    ]
    if infusion is None:
        clauses.append(None)
        return all_true(clauses)
    after = infusion + DAY
    base = baseline_form(patient, "SLEDAI2K")
    reference = infusion if base is None or base["date"] is None else base["date"]
    for course in medications(patient):
        both = all_true([began_within(course, after, by), is_failing_drug(patient, course, reference)])
        clauses.append(negated(both))
    clauses.append(True if covered(patient, "rescue_medication", after, by) else None)
    return all_true(clauses)


# ---------------------------------------------------------------------------------------------------- verdicts


def truths(patient: Patient, visit: Row) -> dict[tuple[str, str], Truth]:
    """Every criterion of every endpoint at one visit (sections 4, 5.1 to 5.3 and 6)."""
    lldas_cap, doris_cap = Fraction(15, 2), Fraction(5)
    activity, new, one = low_activity(patient, visit), no_new_activity(patient, visit), Fraction(1)
    remission, below_half = clinical_sledai_is_zero(patient, visit), pga_below(patient, visit, Fraction(1, 2))
    return {
        ("sri", "sledai"): sri_sledai(patient, visit),
        ("sri", "bilag"): sri_bilag(patient, visit),
        ("sri", "pga"): sri_pga(patient, visit),
        ("sri", "no_treatment_failure"): no_treatment_failure(patient, visit),
        ("lldas", "low_activity"): activity,
        ("lldas", "no_new_activity"): new,
        ("lldas", "pga"): pga_at_most(patient, visit, one),
        ("lldas", "prednisone"): prednisone_within(patient, visit, lldas_cap),
        ("lldas", "maintenance"): maintenance(patient, visit, childhood=False),
        ("clldas", "low_activity"): activity,
        ("clldas", "no_new_activity"): new,
        ("clldas", "pga"): pga_at_most(patient, visit, one),
        ("clldas", "prednisone"): prednisone_within(patient, visit, lldas_cap, Fraction(15, 100)),
        ("clldas", "maintenance"): maintenance(patient, visit, childhood=True),
        ("doris", "clinical_sledai"): remission,
        ("doris", "pga"): below_half,
        ("doris", "prednisone"): prednisone_within(patient, visit, doris_cap),
        ("doris", "stable_background"): stable_background(patient, visit, excused=False),
        ("ccr", "clinical_sledai"): remission,
        ("ccr", "pga"): below_half,
        ("ccr", "prednisone"): prednisone_within(patient, visit, doris_cap, Fraction(1, 10)),
        ("ccr", "stable_background"): stable_background(patient, visit, excused=True),
    }


def judge(patient: Patient) -> dict[tuple[str, str, str], str]:
    """(endpoint, visit, criterion) -> met, not_met, not_evaluable or not_applicable, for every visit after infusion."""
    patient = with_records(patient)
    verdicts: dict[tuple[str, str, str], str] = {}
    for visit in rows_of(patient, "visits"):
        if not visit["scheduled"] or visit["target_day"] is None or visit["target_day"] <= 0:
            continue
        due = visit["status"] != "not_due"
        found = truths(patient, visit) if due else {}
        for endpoint, criteria in CRITERIA.items():
            for criterion in criteria:
                word = spoken(found[endpoint, criterion]) if due else "not_applicable"
                verdicts[endpoint, visit["visit_id"], criterion] = word
            overall = (
                spoken(all_true(found[endpoint, criterion] for criterion in criteria)) if due else "not_applicable"
            )
            verdicts[endpoint, visit["visit_id"], "overall"] = overall
    return verdicts
