"""DORIS 2021: remission in SLE on treatment, judged at every planned visit after infusion."""

from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files

from enfold.contract import Declaration, Endpoint, Parameters, SqlRule, hookimpl


@dataclass(frozen=True)
class DorisParameters(Parameters):
    """Thresholds of the 2021 definition."""

    pga_below: Decimal = Decimal("0.5")  # on 0 to 3
    prednisone_mg_max: Decimal = Decimal("5")  # per day; table 2 of the paper prints <5
    prednisone_max_inclusive: bool = True


doris = Endpoint(
    id="doris",
    version="2021",
    citation="van Vollenhoven RF et al. Lupus Sci Med 2021;8:e000538, doi 10.1136/lupus-2021-000538",
    grain="visit",
    reads={"visits": ("visit_id", "scheduled", "target_day", "status", "date", "window_until")},
    needs=("sledai_2k", "pga", "prednisone", "background"),
    rule=SqlRule((files(__package__) / "doris.sql").read_text("utf-8")),
    parameters=DorisParameters(),
)


@hookimpl
def enfold_declarations() -> list[Declaration]:
    """Register DORIS."""
    return [doris]
