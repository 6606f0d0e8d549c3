"""Eligibility and conduct of the trial, as endpoints: what is not met is a deviation."""

from dataclasses import dataclass
from importlib.resources import files

from enfold.contract import Declaration, Endpoint, Parameters, SqlRule, hookimpl


@dataclass(frozen=True)
class Eligibility(Parameters):
    """Entry criteria: completed years at infusion (or consent), both ends included; days from baseline to treatment."""

    min_prior_therapies: int = 4
    min_age: int = 0
    max_age: int = 17
    screening_days: int = 28


@dataclass(frozen=True)
class Conduct(Parameters):
    """Washout before the infusion date, and how far a dose may be from its level (percent, inclusive)."""

    washout_days: int = 7
    glucocorticoid_exempt: bool = True
    dose_tolerance_percent: int = 20


def _sql(name: str) -> SqlRule:
    return SqlRule((files(__package__) / f"{name}.sql").read_text("utf-8"))


REVIEWED = ("data_kind", "from_date", "until_date", "event_ids")
eligibility = Endpoint(
    id="eligibility",
    met_means="conformity",
    version="1",
    citation="The protocol's entry criteria; our reading",
    grain="subject",
    reads={
        "subjects": ("age_years", "conditioning_start_date", "infusion_date", "event_ids"),
        "exposures": ("substance", "role", "outcome", "contested", "event_ids"),
        "reviews": REVIEWED,
        "occasions": ("instrument", "baseline_for", "date", "event_ids"),
    },
    rule=_sql("eligibility"),
    parameters=Eligibility(),
    criteria={
        "prior_therapies": "at least `min_prior_therapies` different prior therapies with inadequate response",
        "age": "completed years between `min_age` and `max_age`",
        "screening_within": "baseline at most `screening_days` days before lymphodepletion or infusion",
        "overall": "all of them",
    },
)
conduct = Endpoint(
    id="conduct",
    met_means="conformity",
    version="1",
    citation="The protocol's conduct around the infusion; our reading",
    grain="period",
    reads={
        "periods": ("period", "starts_at", "starts_date", "dose", "unit", "event_ids"),
        "subjects": ("dose_level",),
        "events": ("event_type", "event_id", "effective"),
        "exposures": (
            "kind",
            "drug_class",
            "role",
            "first_day_earliest",
            "first_day_latest",
            "last_day_earliest",
            "last_day_latest",
            "ongoing",
            "contested",
            "from_at",
            "event_ids",
        ),
        "coverage": REVIEWED,
        "reviews": REVIEWED,
    },
    rule=_sql("conduct"),
    parameters=Conduct(),
    criteria={
        "washout": "no immunosuppressant or biologic in force on the `washout_days` days before the infusion date",
        "dose_within_level": "infused dose within `dose_tolerance_percent` of the assigned level",
        "overall": "all of them",
    },
)
visit_timing = Endpoint(
    id="visit_timing",
    version="1",
    citation="The protocol's visit windows",
    grain="visit",
    reads={
        "visits": ("visit_id", "period", "scheduled", "status", "event_ids"),
        "occasions": ("visit_id", "collected_visit_id", "event_ids"),
    },
    rule=_sql("visit_timing"),
    met_means="conformity",
    criteria={"in_window": "the visit was held inside its window", "overall": "the same"},
)


@hookimpl
def enfold_declarations() -> list[Declaration]:
    """Register eligibility and conduct."""
    return [eligibility, conduct, visit_timing]
