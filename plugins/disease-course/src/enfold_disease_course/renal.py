"""Complete renal response, in one of the published definitions."""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from enfold.contract import Clauses, Endpoint, Parameters
from enfold_disease_course.rules import text


class RenalVariant(Enum):
    """Published definitions; they differ in limits, units and what they ask."""

    SHARE = "SHARE"
    KDIGO_2024 = "KDIGO_2024"
    PERR = "PERR"
    BLISS_LN_CRR = "BLISS_LN_CRR"
    AURORA_CRR = "AURORA_CRR"  # its text is not confirmed: never evaluated


@dataclass(frozen=True)
class RenalParameters(Parameters):
    """Which definition, and what sources leave open.

    `mg_per_mmol`: one g/g in mg/mmol. `kdigo_percent`: KDIGO prints 10 to 15. `kdigo_rise_passes`: a rise above
    baseline by more than that is no failure. `bliss_crr_inclusive`: a UPCR of exactly 0.5 passes.
    `involvement_upcr`: above it, in mg/mg, the kidneys count as affected at baseline.
    """

    variant: RenalVariant = RenalVariant.SHARE
    mg_per_mmol: Decimal = Decimal("113.1")
    kdigo_percent: int = 15
    kdigo_rise_passes: bool = True
    bliss_crr_inclusive: bool = False
    involvement_upcr: Decimal = Decimal("0.5")


renal_response = Endpoint(
    id="renal_response",
    version="1",
    citation="SHARE: Groot N et al. Ann Rheum Dis 2017;76:1965, doi 10.1136/annrheumdis-2017-211898; KDIGO 2024; "
    "PERR and CRR of BLISS-LN: Furie R et al. N Engl J Med 2020;383:1117; all from secondary renderings",
    grain="visit",
    reads={
        "visits": ("visit_id", "scheduled", "target_day", "status", "date", "window_until"),
        "subjects": ("infusion_date",),
        "periods": ("period", "efficacy_anchor_at"),
        "occasions": ("occasion_id", "instrument", "baseline_for"),
        "findings": (
            "occasion_id",
            "instrument",
            "item",
            "finding_id",
            "visit_id",
            "chosen",
            "date",
            "from_at",
            "until_at",
            "value_number",
            "value_code",
            "comparator",
            "known",
            "event_ids",
        ),
        "exposures": ("kind", "role", "from_date", "first_day_earliest", "first_day_latest", "contested", "event_ids"),
        "coverage": ("data_kind", "from_date", "until_date"),
        "reviews": ("data_kind", "from_date", "until_date", "event_ids"),
    },
    needs=("sledai_items",),
    rule=Clauses(text("renal_response")),
    parameters=RenalParameters(),
    criteria={
        "proteinuria": "UPCR at the visit within the limit of `variant`",
        "kidney_function": "eGFR above the floor of `variant`, or within its percentage of the last before treatment",
        "no_rescue": "PERR: no rescue therapy from infusion to the visit",
        "overall": "all of them; not applicable without renal involvement at baseline",
    },
)
