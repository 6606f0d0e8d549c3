"""SRI-4, LLDAS and DORIS at their thresholds, one change at a time (EC, DC: docs/reference/definitions.md)."""

from decimal import Decimal
from typing import Any

import pytest
from course import BASELINE, Course, day, responder


def status(course: Course, endpoint: str, criterion: str = "overall", **parameters: Any) -> str:
    return str(course.verdicts(endpoint, **parameters)[("W4", criterion)]["status"])


@pytest.mark.parametrize("endpoint", ["sri", "lldas", "doris"])
def test_the_unchanged_course_meets_it(endpoint: str) -> None:
    assert status(responder(), endpoint) == "met"


SRI = [
    # name, change at W4, criterion, expected
    ("EC-07 a fall of exactly 4 passes", {"sledai": {"ARTHR": "present"}}, "sledai", "met"),
    ("a fall of 2 fails", {"sledai": {"ARTHR": "present", "RASH": "present"}}, "sledai", "not_met"),
    ("EC-16 a missing item is not 0", {"sledai": {"HEMAT": None}}, "sledai", "not_evaluable"),
    ("one new B passes", {"bilag": {"RENAL": "B"}}, "bilag", "met"),
    ("two new B fail", {"bilag": {"RENAL": "B", "HAEM": "B"}}, "bilag", "not_met"),
    ("a new A fails", {"bilag": {"MUCO": "A"}}, "bilag", "not_met"),
    ("B that was B is no new B", {"bilag": {"MUCO": "B", "MSK": "B", "RENAL": "B"}}, "bilag", "met"),
    ("EC-24 a missing domain leaves the clause open", {"bilag": {"GI": ""}}, "bilag", "not_evaluable"),
    ("EC-24 unless another domain fails it", {"bilag": {"GI": "", "MUCO": "A"}}, "bilag", "not_met"),
    ("EC-24 E after D cannot be", {"bilag": {"RENAL": "E"}}, "bilag", "not_evaluable"),
    ("EC-05 a PGA rise of 0.29 passes", {"pga": "2.29"}, "pga", "met"),
    ("EC-05 a PGA rise of exactly 0.30 fails", {"pga": "2.30"}, "pga", "not_met"),
    ("PGA not recorded", {"pga": None}, "pga", "not_evaluable"),
]


@pytest.mark.parametrize(("name", "change", "criterion", "expected"), SRI, ids=[s[0] for s in SRI])
def test_sri(name: str, change: dict[str, Any], criterion: str, expected: str) -> None:
    course = responder(**change)
    assert status(course, "sri", criterion) == expected
    if expected != "met":
        assert status(course, "sri") == expected


@pytest.mark.parametrize("base", ["0.40", "0.90", "1.10", "1.60", "2.00", "2.50"])
def test_ec_01_pga_differences_are_decimal(base: str) -> None:
    """In binary floating point each of these rises comes out below 0.30."""
    course = (
        Course()
        .visit("BL", -7, sledai=dict(BASELINE), pga=base)
        .visit("W4", 30, pga=str(Decimal(base) + Decimal("0.30")))
    )
    course.reviewed("rescue_medication")
    assert status(course, "sri", "pga") == "not_met"
    assert status(course, "sri", "pga", pga_worsening_inclusive=False) == "met"


def test_sri_5_needs_one_point_more() -> None:
    course = responder(sledai={"ARTHR": "present"})
    assert (status(course, "sri"), status(course, "sri", sledai_drop=5)) == ("met", "not_met")


def test_ec_29_a_baseline_below_the_threshold_is_not_met_even_if_the_visit_is_unknown() -> None:
    course = Course().visit("BL", -7, sledai={"RASH": "present"}).visit("W4", 30, sledai={"HEMAT": None})
    assert status(course, "sri", "sledai") == "not_met"


def test_rescue_for_the_disease_fails_and_toxicity_therapy_does_not() -> None:
    assert status(responder().drug("rituximab", "biologic", 20, role="rescue", frequency="once"), "sri") == "not_met"
    assert status(responder().drug("anifrolumab", "biologic", 20), "sri") == "not_met"
    mild = responder().drug("tocilizumab", "anti_il6", 3, role="toxicity_treatment", indication="crs", frequency="once")
    assert status(mild, "sri") == "met"


def test_a_drug_in_use_before_infusion_is_not_new() -> None:
    course = (
        responder().drug("belimumab", "biologic", -100, ended=day(5)).drug("belimumab", "biologic", 6, ongoing=True)
    )
    assert status(course, "sri", "no_treatment_failure") == "met"


def test_without_a_review_absence_of_rescue_is_unknown() -> None:
    course = Course().visit("BL", -7, sledai=dict(BASELINE), pga="2.00").visit("W4", 30)
    assert status(course, "sri", "no_treatment_failure") == "not_evaluable"


def test_ec_17_cytopenia_and_fever_by_day_28_need_attribution() -> None:
    course = Course().visit("BL", -7, sledai=dict(BASELINE), pga="2.00")
    course.visit("W4", 27, sledai={"WBC": "present", "FEVER": "present"})
    course.reviewed("glucocorticoid", "background_medication")
    assert status(course, "doris", "clinical_sledai") == "met"
    late = Course().visit("BL", -7, sledai=dict(BASELINE), pga="2.00").visit("W4", 29, sledai={"WBC": "present"})
    assert status(late, "doris", "clinical_sledai") == "not_met"


DORIS = [
    ("EC-05 PGA 0.49 passes", {"pga": "0.49"}, "pga", "met"),
    ("EC-05 PGA exactly 0.50 fails", {"pga": "0.50"}, "pga", "not_met"),
    ("one clinical item fails", {"sledai": {"ALOP": "present"}}, "clinical_sledai", "not_met"),
    ("serology does not count", {"sledai": {"DNA": "present", "LOWC": "present"}}, "clinical_sledai", "met"),
    ("DC-06 unknown serology does not block", {"sledai": {"DNA": None}}, "clinical_sledai", "met"),
    ("an unknown clinical item leaves it open", {"sledai": {"CASTS": None}}, "clinical_sledai", "not_evaluable"),
    ("unless another item fails it", {"sledai": {"CASTS": None, "RASH": "present"}}, "clinical_sledai", "not_met"),
]


@pytest.mark.parametrize(("name", "change", "criterion", "expected"), DORIS, ids=[s[0] for s in DORIS])
def test_doris(name: str, change: dict[str, Any], criterion: str, expected: str) -> None:
    assert status(responder(**change), "doris", criterion) == expected


@pytest.mark.parametrize(
    ("endpoint", "dose", "expected"),
    [("doris", "5", "met"), ("doris", "5.0001", "not_met"), ("lldas", "7.5", "met"), ("lldas", "7.5001", "not_met")],
)
def test_ec_08_steroid_caps_are_inclusive_and_exact(endpoint: str, dose: str, expected: str) -> None:
    course = responder().drug("prednisolone", "glucocorticoid", -60, dose=Decimal(dose), ongoing=True)
    assert status(course, endpoint, "prednisone") == expected


@pytest.mark.parametrize(
    ("substance", "dose", "expected"),
    [
        ("dexamethasone", "0.75", "met"),
        ("dexamethasone", "0.7501", "not_met"),
        ("hydrocortisone", "20", "met"),
        ("methylprednisolone", "4", "met"),
        ("methylprednisolone", "4.001", "not_met"),
        ("deflazacort", "6", "met"),
        ("betamethasone", "0.6", "met"),
        ("cortisone", "25", "met"),
    ],
)
def test_equivalents_of_5_mg_prednisone(substance: str, dose: str, expected: str) -> None:
    course = responder().drug(substance, "glucocorticoid", -60, dose=Decimal(dose), ongoing=True)
    assert status(course, "doris", "prednisone") == expected


def test_dc_09_the_window_is_seven_days_ending_on_the_visit() -> None:
    """35 mg in seven days is 5 mg a day; a pulse eight days before does not count."""
    assert (
        status(responder().drug("prednisolone", "glucocorticoid", 24, dose=Decimal(35), frequency="once"), "doris")
        == "met"
    )
    assert (
        status(responder().drug("prednisolone", "glucocorticoid", 24, dose=Decimal(36), frequency="once"), "doris")
        == "not_met"
    )
    assert (
        status(responder().drug("prednisolone", "glucocorticoid", 23, dose=Decimal(500), frequency="once"), "doris")
        == "met"
    )


def test_alternate_days_are_averaged_over_fourteen() -> None:
    course = responder().drug(
        "prednisolone", "glucocorticoid", 0, dose=Decimal(10), frequency="every_2_days", ongoing=True
    )
    assert status(course, "doris", "prednisone") == "met"


def test_dc_08_no_record_is_zero_only_where_a_review_covers_the_window() -> None:
    course = Course().visit("BL", -7, sledai=dict(BASELINE), pga="2.00").visit("W4", 30)
    assert status(course, "doris", "prednisone") == "not_evaluable"
    gap = course.reviewed("glucocorticoid", until=29)
    assert status(gap, "doris", "prednisone") == "not_evaluable"
    assert status(gap.reviewed("glucocorticoid", since=20, until=30), "doris", "prednisone") == "met"


def test_a_high_dose_fails_even_without_a_review() -> None:
    course = Course().visit("BL", -7, sledai=dict(BASELINE), pga="2.00").visit("W4", 30)
    course.drug("prednisolone", "glucocorticoid", 1, dose=Decimal(20), ongoing=True)
    assert status(course, "doris", "prednisone") == "not_met"


@pytest.mark.parametrize(("first", "expected"), [(1, "met"), (2, "not_met"), (30, "not_met"), (31, "met")])
def test_dc_10_a_start_within_28_days_inclusive_is_unstable(first: int, expected: str) -> None:
    course = responder().drug("azathioprine", "immunosuppressant", first, ongoing=True)
    assert status(course, "doris", "stable_background") == expected


def test_increases_are_unstable_and_decreases_are_not() -> None:
    for after, expected in (("100", "not_met"), ("50", "met"), ("25", "met")):
        course = responder().drug("azathioprine", "immunosuppressant", -90, dose=Decimal(50), ended=day(19))
        course.drug("azathioprine", "immunosuppressant", 20, dose=Decimal(after), ongoing=True)
        assert status(course, "doris", "stable_background") == expected


LLDAS = [
    ("EC-07 a total of exactly 4 passes", {"sledai": {"ARTHR": "present"}}, "low_activity", "met"),
    ("a total of 5 fails", {"sledai": {"ARTHR": "present", "PLT": "present"}}, "low_activity", "not_met"),
    ("a renal 4 fails", {"sledai": {"PROT": "present"}}, "low_activity", "not_met"),
    ("pericarditis fails", {"sledai": {"PERIC": "present"}}, "low_activity", "not_met"),
    ("fever fails", {"sledai": {"FEVER": "present"}}, "low_activity", "not_met"),
    ("haemolysis fails", {"organs": {"HAEMOLYSIS": "present"}}, "low_activity", "not_met"),
    ("DC-13 gastrointestinal not asked is open", {"organs": {"GI": "unknown"}}, "low_activity", "not_evaluable"),
    (
        "DC-13 heart and lung count when collected",
        {"organs": {"CARDIOPULMONARY": "present"}},
        "low_activity",
        "not_met",
    ),
    ("an item absent at baseline is new", {"sledai": {"ULCER": "present"}}, "no_new_activity", "not_met"),
    ("an item of baseline is not new", {"sledai": {"RASH": "present"}}, "no_new_activity", "met"),
    ("EC-05 PGA exactly 1.00 passes", {"pga": "1.00"}, "pga", "met"),
    ("PGA 1.01 fails", {"pga": "1.01"}, "pga", "not_met"),
    ("not tolerated fails", {"organs": {"TOLERANCE": "not_tolerated"}}, "maintenance", "not_met"),
]


@pytest.mark.parametrize(("name", "change", "criterion", "expected"), LLDAS, ids=[s[0] for s in LLDAS])
def test_lldas(name: str, change: dict[str, Any], criterion: str, expected: str) -> None:
    # the visit lies after day 28, so that fever needs no attribution to count
    assert status(responder(**change), "lldas", criterion) == expected


def test_lldas_serology_as_new_activity_is_a_parameter() -> None:
    course = responder(sledai={"DNA": "present"})
    assert status(course, "lldas", "no_new_activity") == "not_met"
    assert status(course, "lldas", "no_new_activity", new_activity_includes_serology=False) == "met"


def test_an_investigational_drug_fails_but_not_the_study_cells() -> None:
    assert (
        status(responder().drug("experimental", "investigational", 1, ongoing=True), "lldas", "maintenance")
        == "not_met"
    )


@pytest.mark.parametrize(
    ("substance", "drug_class", "most", "above", "frequency"),
    [
        ("hydroxychloroquine", "antimalarial", "400", "401", "daily"),
        ("methotrexate", "immunosuppressant", "30", "30.1", "weekly"),
        ("azathioprine", "immunosuppressant", "100", "100.5", "twice_daily"),
        ("mycophenolate_mofetil", "immunosuppressant", "1500", "1501", "twice_daily"),
        ("leflunomide", "immunosuppressant", "20", "21", "daily"),
    ],
)
def test_lldas_maximum_doses(substance: str, drug_class: str, most: str, above: str, frequency: str) -> None:
    for dose, expected in ((most, "met"), (above, "not_met")):
        course = responder().drug(substance, drug_class, -90, dose=Decimal(dose), frequency=frequency, ongoing=True)
        assert status(course, "lldas", "maintenance") == expected
    unknown = responder().drug(substance, drug_class, -90, dose=None, ongoing=True)
    assert status(unknown, "lldas", "maintenance") == "not_evaluable"


def relapse(course: Course) -> tuple[str, str | None]:
    found = course.verdicts("relapse")[(None, "overall")]
    return found["status"], found["reason"]


def test_relapse_after_response() -> None:
    quiet = responder().visit("W12", 84)
    assert relapse(quiet)[0] == "not_met"
    flare = responder().visit("W12", 84, sledai={"ARTHR": "present"})
    assert relapse(flare)[0] == "met"
    serology = responder().visit("W12", 84, sledai={"DNA": "present"})
    assert relapse(serology)[0] == "not_met"
    bilag = responder().visit("W12", 84, bilag={"RENAL": "B", "MUCO": "B"})
    assert relapse(bilag)[0] == "met"
    one_b = responder().visit("W12", 84, bilag={"RENAL": "B"})
    assert relapse(one_b)[0] == "not_met"
    treated = responder().visit("W12", 84).drug("prednisolone", "glucocorticoid", 60, dose=Decimal(20), ended=day(70))
    assert relapse(treated)[0] == "met"


def test_relapse_is_not_denied_where_nobody_looked() -> None:
    course = Course().visit("BL", -7, sledai=dict(BASELINE), pga="2.00").visit("W4", 30).visit("W12", 84)
    course.reviewed("glucocorticoid", "background_medication", until=30)
    assert relapse(course)[0] == "not_evaluable"
    never = Course().visit("BL", -7, sledai=dict(BASELINE), pga="2.00").visit("W4", 30, pga="2.00")
    assert relapse(never)[0] == "not_applicable"


def test_pga_on_other_scales_is_converted_exactly() -> None:
    for item, passing, failing in (("PGA_0_10", "1.66", "1.67"), ("PGA_0_100", "16.6", "16.7")):
        for value, expected in ((passing, "met"), (failing, "not_met")):
            course = Course().visit("BL", -7, sledai=dict(BASELINE), pga="2.00").visit("W4", 30, pga=None)
            course.form("PGA", day(30), "W4", {item: Decimal(value)})
            assert status(course, "doris", "pga") == expected


def test_dc_31_pga_off_its_scale_is_unknown() -> None:
    assert status(responder(pga="3.01"), "doris", "pga") == "not_evaluable"


def test_ec_31_baseline_lies_before_lymphodepletion() -> None:
    """A form between lymphodepletion and infusion is not baseline."""
    course = (
        Course()
        .visit("BL", -7, sledai=dict(BASELINE), pga="2.00")
        .visit("D-1", -1, pga="0.10")
        .visit("W4", 30, pga="2.20")
    )
    assert status(course.reviewed("rescue_medication"), "sri", "pga") == "met"


def test_missed_and_open_visits() -> None:
    found = responder().verdicts("doris")
    assert found[("W12", "overall")]["status"] == "not_evaluable"


def test_every_verdict_cites_its_events() -> None:
    found = responder().verdicts("doris")
    for criterion in ("clinical_sledai", "pga", "prednisone", "stable_background"):
        assert found[("W4", criterion)]["event_ids"], criterion
    everything = {i for k, r in found.items() if k[0] == "W4" and k[1] != "overall" for i in r["event_ids"]}
    assert set(found[("W4", "overall")]["event_ids"]) == everything
