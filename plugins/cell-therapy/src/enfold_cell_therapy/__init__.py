"""Cell therapy: expansion, B-cell aplasia, laboratory toxicity, infections and dose-limiting events."""

from enfold.contract import Declaration, hookimpl
from enfold_cell_therapy.kinetics import b_cell_aplasia, expansion
from enfold_cell_therapy.laboratory import ctcae_labs, ctcae_labs_worst, hypogammaglobulinaemia
from enfold_cell_therapy.toxicity import dlt, icaht, iec_hs, infections


@hookimpl
def enfold_declarations() -> list[Declaration]:
    """Register what follows an infusion of cells."""
    return [
        expansion,
        b_cell_aplasia,
        ctcae_labs,
        ctcae_labs_worst,
        icaht,
        hypogammaglobulinaemia,
        infections,
        dlt,
        iec_hs,
    ]
