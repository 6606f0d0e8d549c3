"""LLDAS, adult definition: low lupus disease activity, judged at every planned visit after infusion."""

from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files

from enfold.contract import Declaration, Endpoint, Parameters, SqlRule, hookimpl


@dataclass(frozen=True)
class LldasParameters(Parameters):
    """Thresholds of the adult definition, and how item 2 compares."""

    sledai_max: int = 4
    pga_max: Decimal = Decimal("1")  # on 0 to 3
    prednisone_mg_max: Decimal = Decimal("7.5")  # per day
    new_activity_includes_serology: bool = True


lldas = Endpoint(
    id="lldas",
    version="2016",
    citation="Franklyn K et al. Ann Rheum Dis 2016;75:1615-21; Golder V et al. Arthritis Res Ther 2016;18:260",
    grain="visit",
    reads={
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
    },
    needs=("sledai_2k", "sledai_items", "pga", "prednisone", "background"),
    instruments=("SLEDAI2K",),
    rule=SqlRule((files(__package__) / "lldas.sql").read_text("utf-8")),
    parameters=LldasParameters(),
)


@hookimpl
def enfold_declarations() -> list[Declaration]:
    """Register LLDAS."""
    return [lldas]
