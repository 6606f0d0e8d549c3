"""ICANS by the ASTCT consensus of 2019, one answer per infusion."""

from dataclasses import dataclass
from importlib.resources import files

from enfold.contract import Declaration, Endpoint, Parameters, SqlRule, hookimpl


@dataclass(frozen=True)
class IcansParameters(Parameters):
    """Which instrument at what age, and how long somebody must have looked for grade 0."""

    ice_from_age: int = 12
    capd_grade_3: int = 9
    observed_days: int = 14


icans = Endpoint(
    id="icans",
    version="ASTCT/2019",
    citation="Lee DW et al. Biol Blood Marrow Transplant 2019;25:625-38; CAPD: Traube C et al. 2014",
    grain="period",
    reads={
        "periods": ("period", "starts_at", "ends_at"),
        "subjects": ("age_years", "developmental_delay"),
        "findings": (
            "instrument",
            "item",
            "occasion_id",
            "from_at",
            "value_number",
            "value_code",
            "known",
            "attribution",
            "event_ids",
            "until_at",
        ),
        "occurrences": ("kind", "category", "from_at", "from_latest", "event_ids"),
        "coverage": ("data_kind", "from_at", "until_at"),
        "reviews": ("data_kind", "from_at", "until_at", "event_ids"),
    },
    rule=SqlRule((files(__package__) / "icans.sql").read_text("utf-8")),
    parameters=IcansParameters(),
)


@hookimpl
def enfold_declarations() -> list[Declaration]:
    """Register ICANS."""
    return [icans]
