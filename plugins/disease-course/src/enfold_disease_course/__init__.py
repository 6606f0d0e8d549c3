"""Disease course: relapse after response, and follow-up."""

from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files

from enfold.contract import Declaration, Endpoint, Parameters, SqlRule, hookimpl


def _sql(name: str) -> SqlRule:
    return SqlRule((files(__package__) / f"{name}.sql").read_text("utf-8"))


@dataclass(frozen=True)
class RelapseParameters(Parameters):
    """Thresholds of the composite; our decision, since no published definition exists."""

    sledai_rise: int = 4  # from the nadir, with a clinical item that was absent there
    flare_rise: int = 3  # from the previous visit (SELENA Flare Index)
    pga_rise: Decimal = Decimal("1.0")  # from the previous visit
    new_b: int = 2  # from the previous visit; a new A needs no second


relapse = Endpoint(
    id="relapse",
    version="1",
    citation="Composite of flare, SLEDAI rise, BILAG flare and re-treatment after LLDAS or DORIS; our definition",
    grain="subject",
    reads={
        "visits": ("visit_id", "scheduled", "target_day", "ordinal", "date", "from_at", "status"),
        "subjects": ("infusion_date", "last_contact_date"),
        "exposures": (
            "exposure_id",
            "kind",
            "drug_class",
            "role",
            "indication",
            "from_date",
            "from_latest",
            "until_date",
            "prednisone_units_per_dosing_day",
            "substance",
            "event_ids",
        ),
        "findings": (
            "instrument",
            "item",
            "visit_id",
            "chosen",
            "value_code",
            "known",
            "attribution",
            "until_at",
            "event_ids",
        ),
        "coverage": ("data_kind", "from_date", "until_date", "event_ids"),
    },
    needs=("sledai_2k", "sledai_items", "pga", "lldas", "doris"),
    instruments=("SLEDAI2K",),
    rule=_sql("relapse"),
    parameters=RelapseParameters(),
)
follow_up = Endpoint(
    id="follow_up",
    version="1",
    citation="Days from infusion to the last contact or death",
    grain="subject",
    reads={"subjects": ("infusion_date", "last_contact_date", "death_date", "event_ids")},
    rule=_sql("follow_up"),
)


@hookimpl
def enfold_declarations() -> list[Declaration]:
    """Register relapse and follow-up."""
    return [relapse, follow_up]
