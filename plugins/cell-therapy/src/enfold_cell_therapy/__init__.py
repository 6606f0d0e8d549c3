"""Cell therapy: CAR-T expansion."""

from dataclasses import dataclass
from importlib.resources import files

from enfold.contract import Declaration, Endpoint, Parameters, SqlRule, hookimpl


@dataclass(frozen=True)
class ExpansionParameters(Parameters):
    """Sampling window of the expansion, and how late its last sample must be."""

    until_day: int = 28
    last_sample_from_day: int = 26


expansion = Endpoint(
    id="expansion",
    version="linear/1",
    citation="Cmax, Tmax, Tlast, AUC by linear trapezoid; below quantification: 0 before Tmax, omitted after",
    grain="period",
    reads={
        "periods": ("period", "starts_at", "ends_at", "starts_date"),
        "findings": (
            "instrument",
            "item",
            "from_at",
            "until_at",
            "date",
            "value_number",
            "comparator",
            "known",
            "event_ids",
        ),
    },
    rule=SqlRule((files(__package__) / "expansion.sql").read_text("utf-8")),
    parameters=ExpansionParameters(),
)


@hookimpl
def enfold_declarations() -> list[Declaration]:
    """Register expansion."""
    return [expansion]
