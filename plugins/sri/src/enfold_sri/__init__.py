"""SRI-4: the SLE Responder Index, judged at every planned visit after infusion."""

from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files

from enfold.contract import Clauses, Declaration, Endpoint, Parameters, hookimpl


@dataclass(frozen=True)
class SriParameters(Parameters):
    """Thresholds as published; `sledai_drop` 5 to 8 gives SRI-5 to SRI-8.

    A negative `antimalarial_until_day` or `prednisone_mg_cap` means that the protocol declares none.
    A failure that what is known proves always decides; `use_bounds` lets an incomplete SLEDAI or BILAG
    also pass where its bounds suffice.
    """

    sledai_drop: int = 4
    pga_worsening: Decimal = Decimal("0.30")  # on 0 to 3
    pga_worsening_inclusive: bool = True  # a rise of exactly this much fails
    new_b_allowed: int = 1
    use_bounds: bool = False
    antimalarial_until_day: int = -1
    prednisone_mg_cap: Decimal = Decimal("-1")


sri = Endpoint(
    id="sri",
    version="2009/2K",
    citation="Furie RA et al. Arthritis Rheum 2009;61:1143-51, doi 10.1002/art.24698; on SLEDAI-2K",
    grain="visit",
    reads={
        "visits": ("visit_id", "scheduled", "target_day", "status", "date", "window_until"),
        "occasions": ("occasion_id", "baseline_for", "date"),
        "subjects": ("infusion_date",),
        "exposures": (
            "kind",
            "drug_class",
            "role",
            "indication",
            "first_day_earliest",
            "first_day_latest",
            "last_day_earliest",
            "last_day_latest",
            "ongoing",
            "contested",
            "event_ids",
            "substance",
            "exposure_id",
        ),
        "coverage": ("data_kind", "from_date", "until_date"),
        "reviews": ("data_kind", "from_date", "until_date", "event_ids"),
        "occurrences": ("kind", "from_at", "from_latest", "from_date", "event_ids"),
    },
    needs=("sledai_2k", "bilag_change", "pga", "prednisone"),
    rule=Clauses((files(__package__) / "sri.sql").read_text("utf-8")),
    parameters=SriParameters(),
    criteria={
        "sledai": "SLEDAI-2K has fallen from baseline by at least `sledai_drop`",
        "bilag": "no new BILAG A and at most `new_b_allowed` new B against baseline",
        "pga": "PGA (0 to 3) has risen from baseline by less than `pga_worsening`",
        "no_treatment_failure": "no rescue or prohibited therapy, discontinuation or death up to the visit; "
        "therapy that the protocol mandates for CRS or ICANS is exempt",
        "overall": "all of them",
    },
)


@hookimpl
def enfold_declarations() -> list[Declaration]:
    """Register SRI."""
    return [sri]
