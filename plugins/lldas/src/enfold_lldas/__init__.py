"""LLDAS, adult and childhood: low lupus disease activity, judged at every planned visit after infusion."""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from importlib.resources import files

from enfold.contract import Clauses, Declaration, Endpoint, Parameters, hookimpl


class NewActivity(Enum):
    """Item 2 in print: no new SLEDAI item (Oon), no flare (Golder), no new severe flare since baseline (Parodis)."""

    OON = "oon"
    GOLDER = "golder"
    PARODIS = "parodis"
    NONE = "none"  # sensitivity: LLDAS without item 2


@dataclass(frozen=True)
class LldasParameters(Parameters):
    """Thresholds of the adult definition, and how its items are read.

    `weight_based` adds the cap per kg of body weight; `stable_background` asks that nothing was started or
    raised within the stability window, `excused_increases` lets increases for side effect, weight,
    adherence or building up pass. `bilag_fallback` lets BILAG stand in for organ boxes not ticked.
    """

    sledai_max: int = 4
    pga_max: Decimal = Decimal("1")  # on 0 to 3
    prednisone_mg_max: Decimal = Decimal("7.5")  # per day
    prednisone_mg_per_kg_max: Decimal = Decimal("0.15")  # per day, where weight_based
    weight_based: bool = False
    new_activity: NewActivity = NewActivity.OON
    new_activity_includes_serology: bool = True
    stable_background: bool = False
    excused_increases: bool = False
    bilag_fallback: bool = False
    bilag_fallback_counts_c: bool = False
    use_bounds: bool = False


RULE = Clauses((files(__package__) / "lldas.sql").read_text("utf-8"))
READS = {
    "visits": ("visit_id", "scheduled", "target_day", "ordinal", "status", "date", "window_until"),
    "occasions": ("occasion_id", "instrument", "visit_id", "chosen", "baseline_for"),
    "findings": (
        "instrument",
        "item",
        "visit_id",
        "chosen",
        "value_code",
        "known",
        "attribution",
        "event_ids",
        "until_at",
    ),
}
NEEDS = ("sledai_2k", "sledai_items", "pga", "weight", "prednisone", "background", "flare_index")
CRITERIA = {
    "low_activity": "SLEDAI-2K at most `sledai_max` with no renal, CNS, serosal, vascular item or fever, "
    "no haemolytic anaemia and no gastrointestinal activity",
    "no_new_activity": "nothing new against the previous assessment, in the reading `new_activity`",
    "pga": "PGA (0 to 3) at most `pga_max`",
    "prednisone": "prednisone equivalent at most `prednisone_mg_max` mg a day; where `weight_based`, also at most "
    "`prednisone_mg_per_kg_max` mg/kg",
    "maintenance": "tolerated standard maintenance; the study's own cells are not an investigational drug here",
    "overall": "all of them",
}

lldas = Endpoint(
    id="lldas",
    version="2016",
    citation="Franklyn K et al. Ann Rheum Dis 2016;75:1615-21; Golder V et al. Arthritis Res Ther 2016;18:260",
    grain="visit",
    reads=READS,
    needs=NEEDS,
    instruments=("SLEDAI2K",),
    rule=RULE,
    parameters=LldasParameters(),
    criteria=CRITERIA,
)
clldas = Endpoint(
    id="clldas",
    version="2023",
    citation="Smith EMD et al. Clin Immunol 2023;250:109296, doi 10.1016/j.clim.2023.109296",
    grain="visit",
    reads=READS,
    needs=NEEDS,
    instruments=("SLEDAI2K",),
    rule=RULE,
    parameters=LldasParameters(weight_based=True, stable_background=True, excused_increases=True),
    criteria=CRITERIA,
)


@hookimpl
def enfold_declarations() -> list[Declaration]:
    """Register LLDAS and cLLDAS."""
    return [lldas, clldas]
