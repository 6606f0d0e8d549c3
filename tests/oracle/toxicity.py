"""Second, independent implementation of CRS and ICANS grading (ASTCT 2019), one patient at a time.

Source: the project's clinical specification, global computing rules, sections 8 and 9, EC-51 to EC-72, DC-15 to DC-22, DC-34.
It reads the rows of the platform's state tables and shares no code with the platform. Choices that the source
leaves open are marked "Choice".
"""

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

Row = dict[str, Any]
Patient = dict[str, list[Row]]

HOLD = timedelta(hours=12)  # DC-19: a reading holds 12 h, inclusive
GAP = timedelta(hours=24)  # DC-18, EC-58: a gap of 24 h or more separates episodes
FAR = datetime.max.replace(tzinfo=UTC)
DEATH = 5

PRESSORS = ("vasopressor", "inotrope")  # EC-52: dopamine and dobutamine count
CANNULAS = ("nasal_cannula", "high_flow_nasal_cannula")
POSITIVE_PRESSURE = ("cpap", "bipap", "invasive_ventilation")
DEVICE_CLASS = {"room_air": 0, "blow_by": 2, "simple_mask": 3, "venturi": 3, "non_rebreather": 3}

ICE_ITEMS = ("ORIENT", "NAMING", "COMMAND", "WRITING", "ATTENTION")
CAPD_ITEMS = tuple(f"CAPD0{number}" for number in range(1, 9))
AROUSAL_GRADE = {"normal": 0, "spontaneous": 1, "voice": 2, "tactile": 3, "unarousable": 4}
SEIZURE_GRADE = {
    "none": 0,
    "resolves_rapidly": 3,
    "nonconvulsive_resolves": 3,
    "prolonged": 4,
    "repetitive": 4,
    "duration_unknown": 3,
}
MOTOR_GRADE = {"none": 0, "deep_focal_weakness": 4}
OEDEMA_GRADE = {
    "none": 0,
    "focal": 3,
    "diffuse": 4,
    "decerebrate_or_decorticate": 4,
    "cranial_nerve_vi_palsy": 4,
    "papilloedema": 4,
    "cushing_triad": 4,
}


# ---------------------------------------------------------------------------------------------------- both toxicities


def rows_of(patient: Patient, table: str) -> list[Row]:
    """Rows of a state table; none where the patient has none."""
    return patient.get(table) or []


def in_period(instant: datetime | None, period: Row) -> bool:
    """Whether an instant lies in [starts_at, ends_at) of an infusion: the latest infusion owns it (EC-67)."""
    return instant is not None and period["starts_at"] <= instant < (period["ends_at"] or FAR)


def known_findings(patient: Patient, instruments: tuple[str, ...]) -> list[Row]:
    """Findings of some instruments with a known value and an instant; `unknown` is no value."""
    return [
        row
        for row in rows_of(patient, "findings")
        if row["instrument"] in instruments
        and row["known"]
        and row["from_at"] is not None
        and row["value_code"] != "unknown"
    ]


def not_disease(reading: Row) -> bool:
    """Stated as not attributable. Unstated and unknown attribution count (EC-66, DC-17)."""
    return reading["attribution"] == "not_disease"


def died_of(patient: Patient, period: Row, cause: str) -> bool:
    """Grade 5 only for a death due to the toxicity (sections 8.1 and 9.2, EC-57)."""
    return any(
        row["kind"] == "death" and row["category"] == cause and in_period(row["from_at"], period)
        for row in rows_of(patient, "occurrences")
    )


def looked_for(patient: Patient, period: Row, kind: str) -> bool:
    """Whether one coverage row spans day 1 to day 14 after the infusion, so that silence means none (DC-34)."""
    return any(
        row["data_kind"] == kind
        and row["from_at"] <= period["starts_at"] + timedelta(days=1)
        and row["until_at"] >= period["starts_at"] + timedelta(days=14)
        for row in rows_of(patient, "coverage")
    )


def in_doubt(patient: Patient, period: Row, item: str | None, instruments: tuple[Any, ...]) -> bool:
    """Whether a reading of the first 14 days is in doubt (not merely not done): it might have been a sign."""
    return any(
        row["instrument"] in instruments
        and item in (None, row["item"])
        and not row["known"]
        and row["doubt"] != "not_done"
        and in_period(row["from_at"], period)
        and row["from_at"] <= period["starts_at"] + timedelta(days=14)
        and (item is not None or not not_disease(row))
        for row in rows_of(patient, "findings")
    )


def by_period(patient: Patient) -> list[Row]:
    """The patient's infusions in time order."""
    return sorted(rows_of(patient, "periods"), key=lambda row: row["starts_at"])


def runs(instants: list[datetime]) -> list[list[datetime]]:
    """Split sorted instants wherever one comes 24 h or more after the one before (DC-18, EC-58)."""
    found: list[list[datetime]] = []
    for instant in instants:
        if found and instant - found[-1][-1] < GAP:
            found[-1].append(instant)
        else:
            found.append([instant])
    return found


# ---------------------------------------------------------------------------------------------------------------- CRS


class Readings:
    """Readings by item and instant; several at one instant all stand, and the worse counts (DC-15)."""

    def __init__(self, findings: list[Row]):
        self.by_item: dict[str, list[Row]] = {}
        for row in sorted(findings, key=lambda row: row["from_at"]):
            self.by_item.setdefault(row["item"], []).append(row)

    def held(self, item: str, instant: datetime) -> list[Row]:
        """The latest readings, if they still hold: 12 h inclusive (EC-69, DC-19)."""
        series = self.by_item.get(item, [])
        place = bisect_right(series, instant, key=lambda row: row["from_at"])
        if not place or instant - series[place - 1]["from_at"] > HOLD:
            return []
        return [row for row in series[:place] if row["from_at"] == series[place - 1]["from_at"]]


class Device(NamedTuple):
    """One record of oxygen or ventilation: a reading holds 12 h, a procedure until it ends."""

    code: str
    at: datetime
    until: datetime  # inclusive
    flow: Any
    counts: bool


class Point(NamedTuple):
    """The three CRS signs at one instant; None is unknown."""

    at: datetime
    fever: bool
    hypotension: int | None
    hypoxia: int | None
    pressors_reviewed: bool
    flow_missing: bool = False

    @property
    def has_sign(self) -> bool:
        """Fever, hypotension or hypoxia is proven here."""
        return self.fever or (self.hypotension or 0) > 0 or (self.hypoxia or 0) > 0

    @property
    def grade(self) -> int:
        """max(1, hypotension, hypoxia) inside an episode, unknown as 0 (section 8.1, DC-18, DC-34)."""
        return max(1, self.hypotension or 0, self.hypoxia or 0)

    @property
    def upper(self) -> int:
        """The highest grade that the unknowns leave possible (DC-34): 'no pressor' needs a review of pressors."""
        hypotension, hypoxia = self.hypotension, self.hypoxia
        if hypotension is None:
            hypotension = 2 if self.pressors_reviewed else 4
        elif hypotension in (0, 2) and not self.pressors_reviewed:
            hypotension = 4
        if hypoxia is None:
            hypoxia = 3 if self.flow_missing else 4
        return max(1, hypotension, hypoxia, 3 if self.flow_missing else 0)


def is_fever(reading: Row) -> bool:
    """At least 38.0 Cel, compared exactly also in Fahrenheit (section 8.1, EC-02, EC-03)."""
    if not_disease(reading) or reading["value_number"] is None:
        return False
    if reading["unit"] == "[degF]":
        return (reading["value_number"] - 32) * 5 >= 38 * 9
    return reading["value_number"] >= 38


def cannula_class(flow: Any) -> int | None:
    """Low flow up to 6 L/min is 2, more is 3, whatever the interface (section 8.1); no flow, no answer."""
    if flow is None:
        return None
    return 2 if flow <= 6 else 3


def devices_of(patient: Patient, vitals: list[Row]) -> list[Device]:
    """Every record of oxygen or ventilation, readings and procedures alike (DC-19)."""
    found = [
        Device(row["value_code"], row["from_at"], row["from_at"] + HOLD, None, not not_disease(row))
        for row in vitals
        if row["item"] == "O2DEVICE"
    ]
    for row in rows_of(patient, "occurrences"):
        if row["kind"] == "procedure" and row["term"] in ("oxygen", "ventilation") and row["category"] is not None:
            end = row["until_at"] - timedelta(microseconds=1) if row["until_at"] else row["from_at"] + HOLD
            counts = row["attribution"] in (None, "crs")
            found.append(Device(row["category"], row["from_at"], end, row["flow"], counts))
    return found


def device_class(device: Device, flows: list[Row], reasons: list[Row]) -> int | None:
    """Hypoxia grade of an oxygen device (section 8.1, EC-55); airway protection alone is none."""
    if device.code in CANNULAS:
        flow = device.flow
        if flow is None:
            flow = max((row["value_number"] for row in flows if row["from_at"] >= device.at), default=None)
        return cannula_class(flow)
    if device.code in POSITIVE_PRESSURE:
        return 0 if reasons and all(row["value_code"] == "airway_protection" for row in reasons) else 4
    return DEVICE_CLASS.get(device.code)


def baseline_hypoxia(devices: list[Device], readings: Readings, period: Row) -> int:
    """Class of the last oxygen devices before the infusion; 0 if there are none (EC-54).

    A cannula takes the flow of the same instant, and is low flow without one.
    Choice: its attribution is ignored, since nothing before the infusion is due to the infusion.
    """
    before = [device for device in devices if device.at < period["starts_at"]]
    last = max((device.at for device in before), default=None)
    classes = [0]
    for device in before:
        if device.at == last:
            flows = [row for row in readings.held("O2FLOW", device.at) if row["from_at"] == device.at]
            found = device_class(device, flows, readings.held("VENT_REASON", device.at))
            classes.append(2 if found is None else found)
    return max(classes)


def hypoxia_at(
    patient: Patient, instant: datetime, devices: list[Device], readings: Readings, baseline: int
) -> tuple[int | None, bool]:
    """Hypoxia grade at an instant (0 unless above the baseline, None if unknown), and whether a flow is missing.

    A flow counts only if read with or after the latest device record (DC-19). Without any device record it is
    none only where a review of oxygen covers the instant (DC-34, EC-56).
    Choice: the attribution is that of the device record; those of flow and reason are ignored.
    """
    holding = [device for device in devices if device.at <= instant <= device.until]
    last = max((device.at for device in holding), default=None)
    if last is None:
        return (0 if reviewed(patient, "oxygen", instant) else None), False
    known: list[int] = []
    missing = False
    for device in holding:
        if device.at != last:
            continue
        found = device_class(device, readings.held("O2FLOW", instant), readings.held("VENT_REASON", instant))
        if not device.counts:
            known.append(0)
        elif found is None:
            missing = True
        else:
            known.append(0 if found <= baseline else found)
    worst = max(known, default=0)
    return (None if missing and worst == 0 else worst), missing


def pressor_end(course: Row) -> datetime:
    """End of a pressor course, exclusive: open if ongoing, else 12 h after its start where no end is known (DC-19)."""
    if course["until_at"] is not None:
        return course["until_at"]
    return FAR if course["ongoing"] else course["from_at"] + HOLD


def pressor_courses(patient: Patient, period: Row) -> list[Row]:
    """Vasopressor, inotrope and vasopressin courses of a period, given for CRS or for no stated reason (EC-52)."""
    return [
        row
        for row in rows_of(patient, "exposures")
        if row["drug_class"] in (*PRESSORS, "vasopressin")
        and row["indication"] in (None, "crs")
        and in_period(row["from_at"], period)
    ]


def hypotension_at(patient: Patient, instant: datetime, readings: Readings, courses: list[Row]) -> int | None:
    """Hypotension grade at an instant, None if unknown (section 8.1, EC-52, DC-20).

    Two distinct agents running together are 4, one is 3, vasopressin alone is 3; without any, the investigator's
    judgement decides. Choice: a pressor for CRS counts also where the hypotension reading is not attributed to it.
    """
    running = [row for row in courses if row["from_at"] <= instant < pressor_end(row)]
    agents = {row["substance"] for row in running if row["drug_class"] in PRESSORS}
    if running:
        return 4 if len(agents) >= 2 else 3
    held = readings.held("HYPOTENSION", instant)
    if not held:
        return 0 if reviewed(patient, "hypotension", instant) else None
    return 2 if any(row["value_code"] == "present" and not not_disease(row) for row in held) else 0


def reviewed(patient: Patient, kind: str, instant: datetime) -> bool:
    """Whether something was looked for at an instant (DC-34)."""
    return any(
        row["data_kind"] == kind and row["from_at"] <= instant < row["until_at"] for row in rows_of(patient, "coverage")
    )


def crs_points(patient: Patient, period: Row) -> list[Point]:
    """Signs at every instant of a vital sign or of a start of a pressor (DC-19)."""
    vitals = known_findings(patient, ("VITAL_SIGNS",))
    within = [row for row in vitals if in_period(row["from_at"], period)]
    readings = Readings(within)
    devices = devices_of(patient, vitals)
    inside = [device for device in devices if in_period(device.at, period)]
    earlier = Readings([row for row in vitals if row["from_at"] < period["starts_at"]])
    baseline = baseline_hypoxia(devices, earlier, period)
    courses = pressor_courses(patient, period)
    instants = {row["from_at"] for row in within + courses} | {device.at for device in inside}
    points = []
    for instant in sorted(instants):
        hypoxia, missing = hypoxia_at(patient, instant, inside, readings, baseline)
        points.append(
            Point(
                instant,
                any(is_fever(row) for row in readings.held("TEMP", instant)),
                hypotension_at(patient, instant, readings, courses),
                hypoxia,
                reviewed(patient, "vasopressor", instant),
                missing,
            )
        )
    return points


def crs_episodes(points: list[Point]) -> list[Row]:
    """Episodes: from the first fever of a spell of signs to its last sign (sections 8.2 and 8.3, EC-51, DC-18).

    A spell without fever is no CRS. Every point in between is graded, sign-free ones as grade 1.
    """
    fevers = {point.at for point in points if point.fever}
    episodes = []
    for spell in runs([point.at for point in points if point.has_sign]):
        onset = next((instant for instant in spell if instant in fevers), None)
        if onset is None:
            continue
        inside = [point for point in points if onset <= point.at <= spell[-1]]
        episodes.append(
            {
                "onset": onset,
                "end": spell[-1],
                "grade": max(point.grade for point in inside),
                "upper": max(point.upper for point in inside),
            }
        )
    return episodes


def crs_of_period(patient: Patient, period: Row) -> Row:
    """The patient's CRS after one infusion: highest proven grade and its upper bound (section 8.3, EC-57, DC-34)."""
    episodes = crs_episodes(crs_points(patient, period))
    covered = looked_for(patient, period, "fever")
    if died_of(patient, period, "crs"):
        grade, upper = DEATH, DEATH
    elif episodes:
        grade, upper = max(each["grade"] for each in episodes), max(each["upper"] for each in episodes)
    elif covered and not in_doubt(patient, period, "TEMP", ("VITAL_SIGNS",)):
        grade, upper = 0, 0
    else:
        grade, upper = None, 4
    return {"grade": grade, "upper": upper, "episodes": episodes}


def crs(patient: Patient) -> dict[int, Row]:
    """CRS by period: grade, upper bound, episodes in time order."""
    return {period["period"]: crs_of_period(patient, period) for period in by_period(patient)}


# -------------------------------------------------------------------------------------------------------------- ICANS


class Evidence(NamedTuple):
    """What one row of the ICANS table says: a proven grade and the highest possible one; None is unknown."""

    grade: int | None = None
    upper: int | None = None


class Assessment(NamedTuple):
    """All neurological readings of one instant, graded."""

    at: datetime
    grade: int | None
    upper: int | None
    not_judged: bool  # the score was tried, or ruled out by sedation, and cannot be judged (EC-60, DC-21)


def exactly(grade: int | None) -> Evidence:
    """A row without doubt, or an unknown one."""
    return Evidence(grade, grade)


def tool_of(patient: Patient) -> str | None:
    """ICE or CAPD, chosen once by delay and age at infusion (section 9.3, EC-64); None if the age is unknown."""
    subject = next(iter(rows_of(patient, "subjects")), None)
    if subject is None:
        return None
    if subject["developmental_delay"] is True:
        return "CAPD"
    if subject["age_years"] is None:
        return None
    return "ICE" if subject["age_years"] >= 12 else "CAPD"


SEVERITY = {
    "AROUSAL": {**AROUSAL_GRADE, "sedated": -1},
    "SEIZURE": {**SEIZURE_GRADE, "duration_unknown": 3.5},
    "MOTOR": MOTOR_GRADE,
    "OEDEMA": OEDEMA_GRADE,
}


def worst_values(findings: list[Row]) -> dict[tuple[str, str], Any]:
    """Value of each item at one instant; of several the worse (DC-15): low ICE, high CAPD, severe sign."""
    values: dict[tuple[str, str], list[Any]] = {}
    for row in findings:
        value = row["value_code"] if row["value_number"] is None else row["value_number"]
        if value is not None:
            values.setdefault((row["instrument"], row["item"]), []).append(value)
    worst = {}
    for (instrument, item), stated in values.items():
        if instrument == "ICE":
            worst[instrument, item] = min(stated)
        elif instrument == "CAPD":
            worst[instrument, item] = "yes" if "yes" in stated else max(stated)
        else:
            worst[instrument, item] = max(stated, key=SEVERITY[item].__getitem__)
    return worst


def total(values: dict[tuple[str, str], Any], instrument: str, items: tuple[str, ...]) -> Any:
    """Sum of a score, None unless every item is there: missing is not 0 (EC-60)."""
    if any((instrument, item) not in values for item in items):
        return None
    return sum(values[instrument, item] for item in items)


def ice_row(score: Any, arousal: str | None) -> Evidence:
    """ICE row (section 9.2, EC-60, EC-62). Under sedation it is excluded at any score."""
    if score is None or arousal == "sedated":
        return Evidence()
    if score >= 1:
        return exactly(0 if score >= 10 else 1 if score >= 7 else 2 if score >= 3 else 3)
    if arousal is None:
        return Evidence(3, 4)
    return exactly(4 if arousal == "unarousable" else 3)


def capd_row(score: Any, unable: bool, arousal: str | None) -> Evidence:
    """CAPD row (section 9.3, EC-63, DC-21). Below 9 it cannot tell grade 0, 1 and 2 without consciousness."""
    sedated = arousal == "sedated"
    if unable:
        return Evidence() if sedated else exactly(4)
    if score is None:
        return Evidence()
    if score >= 9:
        return Evidence() if sedated else exactly(3)
    return exactly(0) if arousal in AROUSAL_GRADE else Evidence(None, 2)


def consciousness_row(arousal: str | None, ice: Any) -> Evidence:
    """Consciousness row (section 9.2, DC-21): awakening spontaneously is 0 with ICE 10; sedation is excluded (EC-60)."""
    if arousal == "spontaneous" and ice == 10:
        return exactly(0)
    return exactly(AROUSAL_GRADE.get(arousal))


def seizure_row(code: str | None) -> Evidence:
    """Seizure row (section 9.2, EC-65): of unknown duration at least 3."""
    grade = SEIZURE_GRADE.get(code)
    return Evidence(grade, 4 if code == "duration_unknown" else grade)


def assess(instant: datetime, findings: list[Row], tool: str | None) -> Assessment:
    """Grade one instant by its highest row (section 9.2); the tool that was not chosen is ignored (section 9.3)."""
    counted = [row for row in findings if not not_disease(row)]
    values = worst_values(counted)
    arousal = values.get(("ICANS_SIGNS", "AROUSAL"))
    sedated = any(row["item"] == "AROUSAL" and row["value_code"] == "sedated" for row in counted)
    if sedated:
        arousal = "sedated"
    of_tool = [row for row in findings if row["instrument"] == tool]
    excluded = any(not_disease(row) for row in of_tool)
    ice = total(values, "ICE", ICE_ITEMS) if tool == "ICE" and not excluded else None
    capd = total(values, "CAPD", CAPD_ITEMS) if tool == "CAPD" and not excluded else None
    unable = tool == "CAPD" and not excluded and values.get(("CAPD", "CAPD_UNABLE")) == "yes"
    score = ice_row(ice, arousal) if tool == "ICE" else capd_row(capd, unable, arousal)
    rows = [
        score,
        consciousness_row(arousal, ice),
        seizure_row(values.get(("ICANS_SIGNS", "SEIZURE"))),
        exactly(MOTOR_GRADE.get(values.get(("ICANS_SIGNS", "MOTOR")))),
        exactly(OEDEMA_GRADE.get(values.get(("ICANS_SIGNS", "OEDEMA")))),
    ]
    tried = tool is not None and not excluded and (sedated or bool(of_tool))
    return Assessment(
        instant,
        max((row.grade for row in rows if row.grade is not None), default=None),
        max((row.upper for row in rows if row.upper is not None), default=None),
        tried and score.grade is None,
    )


def icans_points(patient: Patient, period: Row) -> list[Assessment]:
    """Every instant of a period with an attributable neurological reading, graded, in time order."""
    at: dict[datetime, list[Row]] = {}
    for row in known_findings(patient, ("ICE", "CAPD", "ICANS_SIGNS")):
        if in_period(row["from_at"], period):
            at.setdefault(row["from_at"], []).append(row)
    tool = tool_of(patient)
    return [assess(instant, at[instant], tool) for instant in sorted(at)]


def icans_episodes(points: list[Assessment]) -> list[Row]:
    """Episodes: points of grade 1 or more, separated by 24 h or more (section 9.4, EC-58)."""
    grades = {point.at: point.grade for point in points if (point.grade or 0) >= 1}
    return [
        {"onset": run[0], "end": run[-1], "grade": max(grades[instant] for instant in run)}
        for run in runs(sorted(grades))
    ]


def icans_of_period(patient: Patient, period: Row) -> Row:
    """The patient's ICANS after one infusion: the highest grade, 0 only where it was looked for (section 9.4, DC-34)."""
    points = icans_points(patient, period)
    episodes = icans_episodes(points)
    if died_of(patient, period, "icans"):
        grade = DEATH
    elif episodes:
        grade = max(each["grade"] for each in episodes)
    elif (
        tool_of(patient) is None
        or any(point.not_judged for point in points)
        or in_doubt(patient, period, None, ("ICANS_SIGNS", tool_of(patient)))
    ):
        grade = None
    else:
        grade = 0 if looked_for(patient, period, "neurological") else None
    return {"grade": grade, "episodes": episodes}


def icans(patient: Patient) -> dict[int, Row]:
    """ICANS by period: grade and episodes in time order."""
    return {period["period"]: icans_of_period(patient, period) for period in by_period(patient)}
