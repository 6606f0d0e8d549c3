"""CRS and ICANS over their whole grids, expansion and relapse on worked numbers."""

from decimal import Decimal
from typing import Any

import pytest
from course import Course, day

PRESSORS = {
    "none": [],
    "one": ["noradrenaline"],
    "two": ["noradrenaline", "adrenaline"],
    "vasopressin": ["vasopressin"],
}
HYPOTENSION = {"none": ("none", "none"), "fluids": ("present", "none"), "one": ("present", "one"),
               "vasopressin": ("present", "vasopressin"), "two": ("present", "two")}  # fmt: skip
OXYGEN = {
    "room_air": (None, 0), "blow_by": ("9", 2), "nasal_cannula at 6": ("6", 2), "nasal_cannula at 6.1": ("6.1", 3),
    "high_flow_nasal_cannula at 6": ("6", 2), "high_flow_nasal_cannula at 7": ("7", 3), "simple_mask": ("2", 3),
    "venturi": ("4", 3), "non_rebreather": ("15", 3), "cpap": (None, 4), "bipap": (None, 4), "invasive_ventilation": (None, 4),
}  # fmt: skip
GRADE = {"none": 0, "fluids": 2, "one": 3, "vasopressin": 3, "two": 4}


def ward(temp: str = "38.5", unit: str = "Cel", **signs: Any) -> Course:
    course = Course().reviewed("fever", "vasopressor", "neurological", since=0, until=30)
    values: dict[str, Any] = {"TEMP": Decimal(temp), "HYPOTENSION": "none", "O2DEVICE": "room_air", **signs}
    at = day(2) + "T08:00"
    for item, value in values.items():
        extra = {"unit": unit} if item == "TEMP" else {}
        course.form("VITAL_SIGNS", at, None, {item: value}, **extra)
    return course


def grade(course: Course, endpoint: str = "crs", **parameters: Any) -> int | None:
    found = course.verdicts(endpoint, **parameters)[(None, "overall")]
    return found["grade"]


@pytest.mark.parametrize("hypotension", HYPOTENSION)
@pytest.mark.parametrize("oxygen", OXYGEN)
def test_crs_grid(hypotension: str, oxygen: str) -> None:
    sign, pressors = HYPOTENSION[hypotension]
    flow, hypoxia = OXYGEN[oxygen]
    course = ward(HYPOTENSION=sign, O2DEVICE=oxygen.split(" ")[0])
    if flow:
        course.form("VITAL_SIGNS", day(2) + "T08:00", None, {"O2FLOW": Decimal(flow)})
    for drug in PRESSORS[pressors]:
        class_ = "vasopressin" if drug == "vasopressin" else "vasopressor"
        course.drug(drug, class_, 2, indication="crs", frequency="continuous", ended=day(2) + "T20:00")
    assert grade(course) == max(1, GRADE[hypotension], hypoxia)


@pytest.mark.parametrize(
    ("temp", "unit", "expected"),
    [("38.0", "Cel", 1), ("37.9", "Cel", 0), ("100.4", "[degF]", 1), ("100.3", "[degF]", 0)],
)
def test_ec_02_ec_03_fever_is_38_or_more(temp: str, unit: str, expected: int) -> None:
    assert grade(ward(temp, unit)) == expected


def test_no_fever_ever_is_no_crs_even_with_hypotension() -> None:
    assert grade(ward("37.0", HYPOTENSION="present")) == 0


def test_without_fever_and_without_review_nothing_is_known() -> None:
    found = Course().verdicts("crs")[(None, "overall")]
    assert (found["status"], found["grade"], found["grade_upper"]) == ("not_evaluable", None, 4)


def test_fever_attributed_to_another_cause_does_not_count() -> None:
    course = Course().reviewed("fever", "vasopressor", since=0, until=30)
    course.form("VITAL_SIGNS", day(2) + "T08:00", None, {"TEMP": Decimal("39.0")}, attribution="not_disease")
    assert grade(course) == 0


def test_sequential_pressors_count_one_each_time() -> None:
    course = ward(HYPOTENSION="present")
    course.add(
        "medication", day(2) + "T08:00", substance="noradrenaline", drug_class="vasopressor", ended=day(2) + "T12:00"
    )
    course.add(
        "medication", day(2) + "T13:00", substance="adrenaline", drug_class="vasopressor", ended=day(2) + "T18:00"
    )
    assert grade(course) == 3


def test_airway_protection_is_not_hypoxia() -> None:
    assert grade(ward(O2DEVICE="invasive_ventilation", VENT_REASON="airway_protection")) == 1


def test_a_reading_holds_twelve_hours() -> None:
    """Twelve hours after the mask a fever alone is graded; a minute less, the mask still holds."""
    for clock, expected in (("20:00", 3), ("20:01", 1)):
        course = Course().reviewed("fever", "vasopressor", since=0, until=30)
        course.form("VITAL_SIGNS", day(2) + "T08:00", None, {"O2DEVICE": "simple_mask"})
        course.form("VITAL_SIGNS", f"{day(2)}T{clock}", None, {"TEMP": Decimal("38.5")})
        assert grade(course) == expected, clock


def test_a_missing_device_is_not_room_air() -> None:
    course = Course().reviewed("fever", "vasopressor", since=0, until=30)
    course.form("VITAL_SIGNS", day(2) + "T08:00", None, {"TEMP": Decimal("38.5"), "HYPOTENSION": "none"})
    found = course.verdicts("crs")[(None, "overall")]
    assert (found["grade"], found["grade_upper"]) == (1, 4)


def test_ec_57_grade_5_only_if_death_was_due_to_it() -> None:
    for cause, expected in (("crs", 5), ("infection", 1)):
        assert grade(ward().add("disposition", day(9), milestone="death", cause=cause)) == expected


ICE = {
    10: (4, 3, 1, 1, 1),
    9: (4, 3, 1, 1, 0),
    7: (4, 3, 0, 0, 0),
    6: (3, 3, 0, 0, 0),
    3: (3, 0, 0, 0, 0),
    2: (2, 0, 0, 0, 0),
    0: (0, 0, 0, 0, 0),
}


def neuro(ice: int | None = None, capd: int | None = None, who: dict[str, Any] | None = None, **signs: str) -> Course:
    course = Course(**(who or {})).reviewed("neurological", since=0, until=30)
    at = day(5) + "T09:00"
    if ice is not None:
        course.form(
            "ICE",
            at,
            None,
            dict(zip(("ORIENT", "NAMING", "COMMAND", "WRITING", "ATTENTION"), map(Decimal, ICE[ice]), strict=True)),
        )
    if capd is not None:
        course.form("CAPD", at, None, {f"CAPD0{n}": Decimal(min(4, max(0, capd - 4 * (n - 1)))) for n in range(1, 9)})
    course.form("ICANS_SIGNS", at, None, signs)
    return course


@pytest.mark.parametrize(
    ("ice", "arousal", "expected"),
    [
        (10, "normal", 0), (10, "spontaneous", 0), (9, "normal", 1), (7, "normal", 1), (6, "normal", 2), (3, "normal", 2),
        (2, "normal", 3), (0, "normal", 3), (0, "unarousable", 4), (10, "voice", 2), (10, "tactile", 3), (9, "spontaneous", 1),
    ],
)  # fmt: skip
def test_icans_by_ice_and_consciousness(ice: int, arousal: str, expected: int) -> None:
    assert grade(neuro(ice, AROUSAL=arousal), "icans") == expected


def test_ec_62_ice_0_with_unknown_arousal_is_bounded() -> None:
    found = neuro(0).verdicts("icans")[(None, "overall")]
    assert (found["grade"], found["grade_upper"]) == (3, 4)


@pytest.mark.parametrize(
    ("capd", "arousal", "expected"),
    [
        (0, "normal", 0),
        (8, "normal", 0),
        (8, "spontaneous", 1),
        (8, "voice", 2),
        (9, "normal", 3),
        (32, "unarousable", 4),
    ],
)
def test_icans_by_capd_below_twelve(capd: int, arousal: str, expected: int) -> None:
    assert grade(neuro(capd=capd, who={"birth_date": "2018-01-01"}, AROUSAL=arousal), "icans") == expected


def test_capd_without_consciousness_is_not_evaluable() -> None:
    assert grade(neuro(capd=8, who={"birth_date": "2018-01-01"}), "icans") is None


@pytest.mark.parametrize(
    ("sign", "expected"),
    [
        ({"SEIZURE": "resolves_rapidly"}, 3), ({"SEIZURE": "nonconvulsive_resolves"}, 3), ({"SEIZURE": "prolonged"}, 4),
        ({"SEIZURE": "repetitive"}, 4), ({"SEIZURE": "duration_unknown"}, 3), ({"MOTOR": "deep_focal_weakness"}, 4),
        ({"OEDEMA": "focal"}, 3), ({"OEDEMA": "diffuse"}, 4), ({"OEDEMA": "papilloedema"}, 4), ({"MOTOR": "none"}, 0),
    ],
)  # fmt: skip
def test_icans_other_rows(sign: dict[str, str], expected: int) -> None:
    assert grade(neuro(10, AROUSAL="normal", **sign), "icans") == expected


@pytest.mark.parametrize(
    ("born", "delay", "tool"),
    [("2014-03-10", None, "ice"), ("2014-03-11", None, "capd"), ("2010-01-01", True, "capd")],
)
def test_ec_64_age_at_infusion_chooses_the_instrument(born: str, delay: bool | None, tool: str) -> None:
    course = neuro(2, 0, {"birth_date": born, "developmental_delay": delay}, AROUSAL="normal")
    assert grade(course, "icans") == (3 if tool == "ice" else 0)


def test_an_unknown_age_is_not_guessed() -> None:
    found = neuro(10, who={"birth_date": None}, AROUSAL="normal").verdicts("icans")[(None, "overall")]
    assert found["status"] == "not_evaluable"
    assert "age" in found["reason"]


def test_expansion_worked_example() -> None:
    course = Course()
    for on, copies in {0: 0, 3: 10, 7: 1000, 10: 5000, 14: 2000, 21: 200, 28: 50}.items():
        course.form("CELL_KINETICS", day(on), None, {"CAR_COPIES": Decimal(copies)})
    found = {c: r["value_number"] for (_, c), r in course.verdicts("expansion").items()}
    assert (found["cmax"], found["tmax"], found["tlast"], found["auc"]) == (5000, 10, 28, 33610)


def test_below_quantification_is_not_a_value() -> None:
    course = Course().form("CELL_KINETICS", day(7), None, {"CAR_COPIES": Decimal(50)}, comparator="<")
    found = course.verdicts("expansion")
    assert found[(None, "cmax")]["value_number"] == 0
    assert found[(None, "tmax")]["status"] == "not_evaluable"
    assert found[(None, "auc")]["status"] == "not_evaluable"
