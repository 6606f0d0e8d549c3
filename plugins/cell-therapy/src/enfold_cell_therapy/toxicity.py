"""Toxicity of cell therapy: haematotoxicity, infections, dose-limiting events, and IEC-HS where a study defines it."""

from dataclasses import dataclass
from decimal import Decimal

from enfold.contract import Endpoint, Parameters, SqlRule
from enfold_cell_therapy.laboratory import PERIOD, RESULTS, SUBJECT
from enfold_cell_therapy.rules import text


@dataclass(frozen=True)
class Neutropenia(Parameters):
    """Limits in 10*9/L, each inclusive, and how days without a count are treated.

    `never_from_day`: neutropenia from this day or earlier that never ends is grade 4. `late_max_gap_days`: how far
    apart late counts may lie for their lowest to bound the late grade.
    """

    severe: Decimal = Decimal("0.5")
    profound: Decimal = Decimal("0.1")
    late_mild: Decimal = Decimal("1.5")
    late_moderate: Decimal = Decimal("1.0")
    early_until_day: int = 30
    late_until_day: int = 100
    max_gap_days: int = 7
    late_max_gap_days: int = 31
    never_from_day: int = 3
    recovery_days: int = 3


@dataclass(frozen=True)
class Severity(Parameters):
    """The grade from which an infection is severe."""

    grade_from: int = 3


@dataclass(frozen=True)
class Hyperinflammation(Parameters):
    """Thresholds as the study states them; -1: not stated, for the published ones are not confirmed."""

    ferritin_uln: Decimal = Decimal("-1")  # times the upper limit of normal
    transaminase_uln: Decimal = Decimal("-1")
    fibrinogen_mg_dl: Decimal = Decimal("-1")


EVENTS = (
    "kind",
    "occurrence_id",
    "term",
    "category",
    "grade",
    "scale",
    "severity",
    "serious",
    "attribution",
    "from_at",
    "from_latest",
    "from_date",
    "until_date",
    "outcome",
    "treatment_emergent",
    "event_ids",
)
LOOKED = {
    "coverage": ("data_kind", "from_date", "until_date"),
    "reviews": ("data_kind", "from_date", "until_date", "event_ids"),
}

icaht = Endpoint(
    id="icaht",
    version="EHA-EBMT/2023",
    citation="Rejeski K et al. Blood 2023;142:865-77, doi 10.1182/blood.2023020578; from a secondary transcription",
    grain="period",
    met_means="event",
    reads={"periods": PERIOD, "subjects": SUBJECT, "findings": RESULTS},
    rule=SqlRule(text("icaht")),
    parameters=Neutropenia(),
    criteria={
        "early": "days 0 to `early_until_day`, consecutive days at or below `severe`: 1 to 6 grade 1, 7 to 13 grade 2, "
        "14 or more grade 3, never above it grade 4; at or below `profound`: 7 to 13 grade 3, 14 or more grade 4",
        "late": "lowest count after that, to `late_until_day`: at or below `late_mild` grade 1, `late_moderate` 2, "
        "`severe` 3, `profound` 4",
        "recovery_day": "first of `recovery_days` consecutive days above `severe` after neutropenia",
        "overall": "the worse of early and late",
    },
)
infections = Endpoint(
    id="infections",
    version="1",
    citation="Serious or severe infection: intravenous anti-infective or hospitalisation (as in PMC8017820), "
    "serious, or CTCAE grade 3 or more; days 0 to 28, 29 to 100, after 100",
    grain="period",
    met_means="event",
    reads={
        "periods": PERIOD,
        "subjects": SUBJECT,
        "occurrences": EVENTS,
        "exposures": (
            "kind",
            "drug_class",
            "route",
            "indication",
            "first_day_earliest",
            "first_day_latest",
            "event_ids",
        ),
        **LOOKED,
    },
    rule=SqlRule(text("infections")),
    parameters=Severity(),
    criteria={
        "days_0_28": "serious or severe infections that began on days 0 to 28; value: how many",
        "days_29_100": "serious or severe infections that began on days 29 to 100; value: how many",
        "after_100": "serious or severe infections that began after day 100; value: how many",
        "overall": "any serious or severe infection after infusion",
    },
)
dlt = Endpoint(
    id="dlt",
    version="1",
    citation="Dose-limiting toxicity as the protocol declares it in the study file, [[dose_limiting]]",
    grain="period",
    met_means="event",
    reads={"periods": PERIOD, "subjects": SUBJECT, "occurrences": EVENTS, **LOOKED},
    needs=("crs", "icans"),
    rule=SqlRule(text("dlt")),
    criteria={
        "overall": "an event that any rule of the protocol calls dose-limiting; each rule is a criterion by its id",
    },
)
iec_hs = Endpoint(
    id="iec_hs",
    version="not confirmed",
    citation="Hines MR et al. Transplant Cell Ther 2023;29:438.e1-16, doi 10.1016/j.jtct.2023.03.006; its thresholds "
    "are not confirmed in a primary source, so the study must state them",
    grain="period",
    met_means="event",
    reads={
        "periods": PERIOD,
        "subjects": SUBJECT,
        "occasions": ("occasion_id", "instrument", "baseline_for"),
        "findings": RESULTS,
    },
    rule=SqlRule(text("iec_hs")),
    parameters=Hyperinflammation(),
    criteria={
        "ferritin": "ferritin above `ferritin_uln` times the upper limit of normal after infusion",
        "transaminase": "ALT or AST above `transaminase_uln` times the upper limit of normal after infusion",
        "fibrinogen": "fibrinogen below `fibrinogen_mg_dl` mg/dL after infusion",
        "overall": "high ferritin and one of the other two; to be adjudicated, for active lupus may look the same",
    },
)
