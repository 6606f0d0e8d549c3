"""SRI-4: the SLE Responder Index, judged at every planned visit after infusion."""

from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files

from enfold.contract import Declaration, Endpoint, Parameters, SqlRule, hookimpl


@dataclass(frozen=True)
class SriParameters(Parameters):
    """Thresholds as published; `sledai_drop` 5 to 8 gives SRI-5 to SRI-8."""

    sledai_drop: int = 4
    pga_worsening: Decimal = Decimal("0.30")  # on 0 to 3
    pga_worsening_inclusive: bool = True  # a rise of exactly this much fails
    new_b_allowed: int = 1


sri = Endpoint(
    id="sri",
    version="2009/2K",
    citation="Furie RA et al. Arthritis Rheum 2009;61:1143-51, doi 10.1002/art.24698; on SLEDAI-2K",
    grain="visit",
    reads={
        "visits": ("visit_id", "scheduled", "target_day", "status", "date", "window_until", "event_ids"),
        "occasions": ("occasion_id", "instrument", "baseline_for"),
        "subjects": ("infusion_date", "death_date", "discontinued_date"),
        "exposures": (
            "kind",
            "drug_class",
            "role",
            "indication",
            "from_date",
            "event_ids",
            "substance",
            "exposure_id",
            "until_date",
        ),
        "coverage": ("data_kind", "from_date", "until_date"),
        "reviews": ("data_kind", "from_date", "until_date", "event_ids"),
        "occurrences": ("kind", "from_date", "event_ids"),
    },
    needs=("sledai_2k", "bilag_change", "pga"),
    rule=SqlRule((files(__package__) / "sri.sql").read_text("utf-8")),
    parameters=SriParameters(),
)


@hookimpl
def enfold_declarations() -> list[Declaration]:
    """Register SRI."""
    return [sri]
