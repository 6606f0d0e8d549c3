"""Relapse after a response, survival without it, and follow-up."""

from dataclasses import dataclass
from enum import Enum

from enfold.contract import Endpoint, Parameters, SqlRule
from enfold_disease_course.rules import text


class LldasVariant(Enum):
    """Which LLDAS a relapse follows: the childhood form below `adult_age` at infusion, or the adult form for all."""

    BY_AGE = "by_age"
    ADULT = "adult"


@dataclass(frozen=True)
class RelapseParameters(Parameters):
    """Our decisions: papers on CD19 CAR-T in lupus define no relapse.

    `flare_form_required`: a visit without a complete FLARE form or a review of flares leaves "no flare" open;
    where false, the triggers that the study collects decide. `split_dose_days`: a further infusion up to this
    many days after the first belongs to the same treatment.
    """

    lldas_variant: LldasVariant = LldasVariant.BY_AGE
    adult_age: int = 18
    sledai_rise: int = 4  # from the nadir
    new_b: int = 2  # from the previous form; a new A needs no second
    flare_form_required: bool = False
    reinfusion_is_relapse: bool = True
    split_dose_days: int = 7


relapse = Endpoint(
    id="relapse",
    met_means="event",
    version="2",
    citation="Composite of flare, SLEDAI rise, BILAG flare, re-treatment and second infusion after LLDAS or DORIS; "
    "our definition",
    grain="subject",
    reads={
        "visits": ("visit_id", "scheduled", "date", "status"),
        "subjects": ("infusion_date", "death_date", "age_years"),
        "periods": ("period", "starts_date", "event_ids"),
        "exposures": (
            "exposure_id",
            "kind",
            "substance",
            "drug_class",
            "role",
            "indication",
            "route",
            "every_n_days",
            "from_date",
            "first_day_earliest",
            "first_day_latest",
            "last_day_earliest",
            "last_day_latest",
            "ongoing",
            "contested",
            "prednisone_units_per_dosing_day",
            "event_ids",
        ),
        "findings": ("instrument", "visit_id", "chosen", "known"),
        "coverage": ("data_kind", "from_date", "until_date"),
        "reviews": ("data_kind", "from_date", "until_date", "event_ids"),
    },
    needs=("sledai_2k", "sledai_items", "bilag_change", "pga", "flare_index", "lldas", "clldas", "doris"),
    instruments=("SLEDAI2K",),
    rule=SqlRule(text("relapse")),
    parameters=RelapseParameters(),
    criteria={
        "response": "the first planned visit that meets LLDAS (as `lldas_variant` says) or DORIS",
        "flare": "SELENA Flare Index against the previous visit: mild, moderate or severe; serology alone suffices",
        "sledai_rise": "SLEDAI-2K `sledai_rise` or more above the latest lowest total since infusion, with a clinical "
        "item that was absent there",
        "bilag_flare": "one new BILAG A, or `new_b` new B, against the previous form",
        "re_treatment": "for SLE: a glucocorticoid started or raised, a new immunosuppressant or biologic, any rescue",
        "reinfusion": "a second treatment with the study product",
        "overall": "the earliest of them after the response; death without relapse is a competing event",
    },
)


class Origin(Enum):
    """Where the time begins."""

    INFUSION = "infusion"
    RESPONSE = "response"


@dataclass(frozen=True)
class SurvivalParameters(Parameters):
    """Same events from either origin; an analysis states which."""

    origin: Origin = Origin.INFUSION


relapse_free_survival = Endpoint(
    id="relapse_free_survival",
    met_means="event",
    version="1",
    citation="Treatment-free relapse-free survival: relapse (re-treatment included) or death; our definition",
    grain="subject",
    reads={"subjects": ("infusion_date", "last_contact_date", "death_date", "status", "event_ids")},
    needs=("relapse",),
    rule=SqlRule(text("relapse_free_survival")),
    parameters=SurvivalParameters(),
    criteria={
        "time": "days from `origin` to relapse or death, else to the last contact (flag `censored`)",
        "overall": "relapse or death has occurred",
    },
)

follow_up = Endpoint(
    id="follow_up",
    met_means="value",
    version="1",
    citation="Days from infusion to the last contact or death",
    grain="subject",
    reads={"subjects": ("infusion_date", "last_contact_date", "death_date", "event_ids")},
    rule=SqlRule(text("follow_up")),
    criteria={"overall": "days from infusion to death, else to the last day on which the subject was seen"},
)
