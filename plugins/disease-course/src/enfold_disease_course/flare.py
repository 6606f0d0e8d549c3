"""Flare at a visit, by three published definitions."""

from dataclasses import dataclass

from enfold.contract import Endpoint, Parameters, SqlRule
from enfold_disease_course.rules import text


@dataclass(frozen=True)
class FlareParameters(Parameters):
    """Thresholds of the BILAG and SLEDAI definitions; those of the SELENA Flare Index belong to `flare_index`."""

    sledai_rise: int = 4  # mild to moderate
    severe_sledai_rise: int = 8  # much worse
    moderate_new_b: int = 2  # one new B is mild
    mild_new_c: int = 3


flare = Endpoint(
    id="flare",
    version="1",
    citation="SELENA Flare Index: Petri M et al. Lupus 1999;8:685-91; BILAG: Isenberg DA et al. 2011, "
    "doi 10.1136/ard.2010.132068; SLEDAI change: PMC8766607; that any of them is a flare is our reading",
    grain="visit",
    reads={
        "visits": ("visit_id", "scheduled", "target_day", "infusion_day", "status", "date", "window_until"),
        "findings": ("instrument", "visit_id", "chosen"),
    },
    needs=("sledai_2k", "bilag_change", "pga", "flare_index"),
    rule=SqlRule(text("flare")),
    parameters=FlareParameters(),
    met_means="event",
    criteria={
        "sfi": "SELENA Flare Index against the previous visit: grade 1 mild or moderate, 2 severe",
        "bilag": "BILAG-2004 against the previous form: grade 3 a new A; 2 `moderate_new_b` new B or more; "
        "1 one new B, or `mild_new_c` new C or more",
        "sledai_rise": "SLEDAI-2K against the previous visit: grade 1 up by `sledai_rise` or more; "
        "2 by `severe_sledai_rise` or more",
        "overall": "any of them",
    },
)
