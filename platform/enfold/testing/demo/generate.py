"""Write the courses down as raw events, one list of rows per event type. Everything is synthetic."""

import datetime as dt
from collections import defaultdict
from typing import Any

from enfold import schema
from enfold.testing.demo.bedside import bedside
from enfold.testing.demo.courses import (
    NO_FEVER,
    Patient,
    active_items,
    bilag,
    patients,
    pga_hundredths,
)

PRIOR = (
    ("mycophenolate_mofetil", "immunosuppressant", "inadequate_response"),
    ("cyclophosphamide", "immunosuppressant", "inadequate_response"),
    ("rituximab", "biologic", "inadequate_response"),
    ("belimumab", "biologic", "inadequate_response"),
    ("tacrolimus", "immunosuppressant", "inadequate_response"),
    ("azathioprine", "immunosuppressant", "intolerance"),
)
DOSES = {"0.3": "30000", "1": "100000", "3": "300000"}
FULL = (("fludarabine", "30"), ("cyclophosphamide", "500"))  # mg/m2, synthetic
FRACTION = {"full": (1, 1), "2/3": (2, 3), "1/2": (1, 2), "1/3": (1, 3)}


class Rows:
    """Collects rows by event type for one patient."""

    def __init__(self, patient: Patient) -> None:
        self.patient = patient
        self.by_type: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def add(self, event_type: str, id_: str, occurred: str, **fields: Any) -> None:
        """Add one event; its id is the subject's id and `id_`."""
        day = occurred[:10] if len(occurred) >= 10 else self.patient.day(-35).isoformat()
        recorded = dt.datetime.fromisoformat(day) + dt.timedelta(hours=30)  # the next morning
        self.by_type[event_type].append(
            {
                "event_id": f"{self.patient.id}/{id_}",
                "subject_id": self.patient.id,
                "occurred": occurred,
                "recorded_at": recorded.isoformat() + "Z",
                "author": f"site{1 + self.patient.index % 2}",
                **fields,
            }
        )

    def item(
        self, form: str, occurred: str, instrument: str, item: str, visit: str | None = None, **value: Any
    ) -> None:
        """Add one item of a form."""
        self.add(
            "assessment",
            f"{form}/{item}",
            occurred,
            occasion_id=f"{self.patient.id}/{form}",
            visit_id=visit,
            instrument=instrument,
            item=item,
            **value,
        )


def generate() -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every event type, patient by patient."""
    out: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for patient in patients():
        rows = Rows(patient)
        _entry(rows)
        _visits(rows)
        _drugs(rows)
        _reviews(rows)
        _safety(rows)
        bedside(rows, fever=patient.index not in NO_FEVER)
        for event_type, added in rows.by_type.items():
            out[event_type] += added
    return dict(out)


def _entry(rows: Rows) -> None:
    p = rows.patient
    born = p.infusion.replace(year=p.infusion.year - p.age)
    if p.age == 11 and p.index % 2:
        born = born.replace(year=born.year - 1) + dt.timedelta(days=1)  # one day short of 12
    rows.add(
        "enrolment",
        "enrolment",
        p.day(-35).isoformat(),
        sex="M" if p.index % 5 == 0 else "F",
        birth_date=born.isoformat(),
        site=f"site{1 + p.index % 2}",
        dose_level=p.dose,
        conditioning=p.conditioning,
        arm=f"{p.dose} x 10^5 cells/kg, {p.conditioning} lymphodepletion",
        developmental_delay="true" if p.index == 11 else "false",
    )
    rows.add("procedure", "leukapheresis", p.day(-28).isoformat(), procedure="leukapheresis", indication="protocol")
    top, bottom = FRACTION[p.conditioning]
    for drug, full in FULL:
        for day in (-5, -4, -3):
            # thirds are not decimals: the dose as weighed out, to a hundredth
            dose = f"{int(full) * top * 100 // bottom / 100:.2f}"
            rows.add(
                "infusion", f"ld/{drug}/{day}", p.day(day).isoformat(),
                product=drug, role="lymphodepletion", dose=dose, unit="mg/m2", route="intravenous",
            )  # fmt: skip
    rows.add(
        "infusion", "car-t", f"{p.infusion}T10:00",
        product="cd19_car_t", role="study_product", dose=DOSES[p.dose], unit="cells/kg", per_kg="true",
        route="intravenous",
    )  # fmt: skip
    rows.add("disposition", "last-contact", p.day(p.follow_up).isoformat(), milestone="last_contact")


def _visits(rows: Rows) -> None:
    p = rows.patient
    for visit in p.visits:
        date = p.day(p.visit_day(visit)).isoformat()
        if p.missed(visit):
            rows.add(
                "visit", f"visit/{visit}", date, visit_id=visit, status="missed", scheduled="true",
                missed_reason="travel",
            )  # fmt: skip
            continue
        rows.add("visit", f"visit/{visit}", date, visit_id=visit, status="held", scheduled="true")
        _forms(rows, visit, date)
    if p.index == 5:  # an unscheduled visit for a cold
        rows.add("visit", "visit/U1", p.day(118).isoformat(), visit_id="U1", status="held", scheduled="false")


def _forms(rows: Rows, visit: str, date: str) -> None:
    p = rows.patient
    present = active_items(p, visit)
    shed = p.kind == "absent" and visit == "W12"  # urine never reached the laboratory
    for item in (i.code for i in schema.instruments()["SLEDAI2K"].items if i.weight):
        value, attribution = ("present", "disease") if item in present else ("absent", None)
        if visit == "W4" and item == "FEVER" and p.index not in NO_FEVER:
            value, attribution = "present", "not_disease"  # the fever of cytokine release
        if visit == "W4" and item == "WBC":
            value, attribution = "present", None  # lymphodepletion; nobody filled the box
        if shed and item in {"CASTS", "HEMAT", "PYUR"}:
            value, attribution = "unknown", None
        rows.item(
            f"sledai/{visit}", date, "SLEDAI2K", item, visit, value_code=value, attribution=attribution,
            evaluator="investigator",
        )  # fmt: skip
    for domain, grade in bilag(p, visit).items():
        if p.index == 9 and visit == "W8" and domain == "OPHTH":
            continue  # left empty on the form
        rows.item(f"bilag/{visit}", date, "BILAG2004", domain, visit, value_code=grade)
    hundredths = pga_hundredths(p, visit)
    rows.item(f"pga/{visit}", date, "PGA", "PGA_0_3", visit, value_number=f"{hundredths // 100}.{hundredths % 100:02d}")
    for item in ("HAEMOLYSIS", "GI", "CARDIOPULMONARY"):
        if p.kind == "unasked" and item == "GI":
            continue
        active = p.kind == "new_organ" and item == "CARDIOPULMONARY" and visit != "BL"
        rows.item(f"organ/{visit}", date, "ORGAN_ACTIVITY", item, visit, value_code="present" if active else "absent",
                  attribution="disease" if active else None)  # fmt: skip
    rows.item(f"organ/{visit}", date, "ORGAN_ACTIVITY", "TOLERANCE", visit, value_code="tolerated")
    rows.item(f"weight/{visit}", date, "WEIGHT", "WEIGHT", visit, value_number=str(p.weight), unit="kg")
    labs = (
        ("C3", "0.62" if "LOWC" in present else "1.05", "g/L", "0.79", "1.52"),
        ("DNA_AB", "212" if "DNA" in present else "31", "[IU]/mL", "0", "100"),
        ("UPCR", "1.34" if "PROT" in present else "0.18", "mg/mg", None, "0.2"),
        ("PLAT", str(140 + p.pick(f"plt {visit}", 120)), "10*9/L", "125", "350"),
        ("WBC", "2.4" if visit == "W4" else "5.6", "10*9/L", "4.3", "11.3"),
    )
    for item, value, unit, low, high in labs:
        rows.item(f"lab/{visit}", date, "LABORATORY", item, visit, value_number=value, unit=unit,
                  range_low=low, range_high=high)  # fmt: skip


def _drugs(rows: Rows) -> None:
    p = rows.patient
    for n, (drug, class_, outcome) in enumerate(PRIOR[: 4 + p.index % 3]):
        rows.add(
            "medication", f"prior/{drug}", f"{p.infusion.year - 4 + n // 2}-{1 + p.pick(drug, 12):02d}",
            substance=drug, drug_class=class_, role="prior_therapy", indication="sle", outcome=outcome,
            ended=f"{p.infusion.year - 3 + n // 2}",
        )  # fmt: skip
    rows.add(
        "medication", "background/mmf", p.day(-200).isoformat(), substance="mycophenolate_mofetil",
        drug_class="immunosuppressant", dose="500", unit="mg", frequency="twice_daily", route="oral",
        role="background", indication="sle", ended=p.day(-8).isoformat(), change_reason="protocol",
    )  # fmt: skip
    rows.add(
        "medication", "background/hcq", p.day(-200).isoformat(), substance="hydroxychloroquine",
        drug_class="antimalarial", dose="200", unit="mg", frequency="daily", route="oral",
        role="background", indication="sle", ongoing="true",
    )  # fmt: skip
    tail = {"rash": "6", "rash_flare": "5", "steroid": "10", "absent": "12.5"}.get(p.kind, "2.5")
    courses = [(-60, 0, "15"), (1, 20, "10"), (21, 48, "10"), (49, 76, "7.5"), (77, None, tail)]
    if p.kind == "quiet" and p.index % 4 == 0:
        courses[-1] = (77, 130, "2.5")  # then none, as the reviews say
    if p.kind == "quiet_retreated":
        courses[-1:] = [(77, 204, "2.5"), (205, None, "20")]
    for n, (first, last, dose) in enumerate(courses):
        end = {"ongoing": "true"} if last is None else {"ended": p.day(last).isoformat()}
        rows.add(
            "medication", f"pred/{n}", p.day(first).isoformat(), substance="prednisolone",
            drug_class="glucocorticoid", dose=dose, unit="mg", frequency="daily", route="oral",
            role="background", indication="sle",
            change_reason="disease_activity" if first == 205 else "taper", **end,
        )  # fmt: skip
    if p.kind == "rescued":
        rows.add(
            "medication", "rescue/rituximab", p.day(20).isoformat(), substance="rituximab", drug_class="biologic",
            dose="375", unit="mg", frequency="once", route="intravenous", role="rescue", indication="sle",
        )  # fmt: skip
    if p.kind == "restarted":
        rows.add(
            "medication", "restart/mmf", p.day(100).isoformat(), substance="mycophenolate_mofetil",
            drug_class="immunosuppressant", dose="500", unit="mg", frequency="twice_daily", route="oral",
            role="background", indication="sle", ongoing="true", change_reason="disease_activity",
        )  # fmt: skip


def _reviews(rows: Rows) -> None:
    """Each visit reviews the time since the one before it; nothing is reviewed for ever."""
    p = rows.patient
    since = -60
    for visit in p.visits:
        if p.missed(visit):
            continue
        day = p.visit_day(visit)
        for kind in ("glucocorticoid", "background_medication", "rescue_medication", "adverse_event", "flare"):
            if p.kind == "unreviewed" and kind == "glucocorticoid" and day > 0:
                continue
            rows.add("review", f"review/{kind}/{visit}", p.day(since).isoformat(), data_kind=kind,
                     until=p.day(day).isoformat(), visit_id=visit)  # fmt: skip
        since = day
    for kind in ("fever", "hypotension", "vasopressor", "oxygen", "neurological", "antipyretic"):
        rows.add("review", f"review/{kind}/ward", p.infusion.isoformat(), data_kind=kind,
                 until=p.day(28).isoformat())  # fmt: skip


def _safety(rows: Rows) -> None:
    p = rows.patient
    rows.add(
        "adverse_event", "ae/leucopenia", p.day(-2).isoformat(), term="White blood cell decreased",
        category="cytopenia", body_system="Investigations", grade="3", scale="CTCAE_5_0", serious="false",
        attribution="lymphodepletion", ended=p.day(16 + p.pick("wbc", 12)).isoformat(), outcome="recovered",
    )  # fmt: skip
    if p.pick("infection", 3) == 0:
        start = min(35 + p.pick("when", 40), p.follow_up - 15)
        rows.add(
            "adverse_event", "ae/urti", p.day(start).isoformat(), term="Upper respiratory infection",
            category="infection", body_system="Infections and infestations", grade="2", scale="CTCAE_5_0",
            serious="false", attribution="other", ended=p.day(start + 7).isoformat(), outcome="recovered",
        )  # fmt: skip
    if p.index == 8:  # only the month was remembered
        rows.add("adverse_event", "ae/headache", p.infusion.isoformat()[:7], term="Headache", grade="1",
                 scale="CTCAE_5_0", body_system="Nervous system disorders")  # fmt: skip
