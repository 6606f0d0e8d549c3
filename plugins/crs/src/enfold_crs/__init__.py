"""Cytokine release syndrome by the ASTCT consensus of 2019, one answer per infusion."""

from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files

from enfold.contract import Declaration, Endpoint, Parameters, SqlRule, hookimpl


@dataclass(frozen=True)
class CrsParameters(Parameters):
    """Thresholds of the consensus, and how readings are held."""

    fever_celsius: Decimal = Decimal("38.0")  # at or above
    low_flow_max: Decimal = Decimal("6")  # L/min
    hold_hours: int = 12
    episode_gap_hours: int = 24
    vasopressin_alone_grade: int = 3  # not addressed by the consensus
    observed_days: int = 14  # without fever, grade 0 needs a review of fever this long


crs = Endpoint(
    id="crs",
    version="ASTCT/2019",
    citation="Lee DW et al. Biol Blood Marrow Transplant 2019;25:625-38, doi 10.1016/j.bbmt.2018.12.758",
    grain="period",
    reads={
        "periods": ("period", "starts_at", "ends_at", "starts_date"),
        "findings": (
            "instrument",
            "item",
            "from_at",
            "value_number",
            "value_code",
            "unit",
            "known",
            "attribution",
            "event_ids",
            "until_at",
        ),
        "exposures": (
            "drug_class",
            "substance",
            "indication",
            "from_at",
            "until_at",
            "ongoing",
            "event_ids",
            "role",
            "kind",
        ),
        "occurrences": ("kind", "category", "from_at", "from_latest", "event_ids"),
        "coverage": ("data_kind", "from_at", "until_at"),
        "reviews": ("data_kind", "from_at", "until_at", "event_ids"),
    },
    rule=SqlRule((files(__package__) / "crs.sql").read_text("utf-8")),
    parameters=CrsParameters(),
)


@hookimpl
def enfold_declarations() -> list[Declaration]:
    """Register CRS."""
    return [crs]
