"""Remission: DORIS 2021 on and off treatment, drug-free remission, childhood clinical remission."""

from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files

from enfold.contract import Clauses, Declaration, Endpoint, Parameters, hookimpl


@dataclass(frozen=True)
class Remission(Parameters):
    """Thresholds of DORIS 2021; the other definitions change what they change.

    Table 2 of the paper prints a dose below 5 mg: `prednisone_max_inclusive = false`. `weight_based` adds the
    cap per kg; `excused_increases` lets increases for side effect, weight, adherence or building up pass;
    `off_treatment` asks that no immunosuppressant or biologic is in use.
    """

    pga_below: Decimal = Decimal("0.5")  # on 0 to 3
    prednisone_mg_max: Decimal = Decimal("5")  # per day
    prednisone_max_inclusive: bool = True
    prednisone_mg_per_kg_max: Decimal = Decimal("0.1")  # per day, where weight_based
    weight_based: bool = False
    excused_increases: bool = False
    off_treatment: bool = False
    antimalarial_allowed: bool = True


DORIS = "van Vollenhoven RF et al. Lupus Sci Med 2021;8:e000538, doi 10.1136/lupus-2021-000538"
CHILDHOOD = "Smith EMD et al. Clin Immunol 2024;263:110214, doi 10.1016/j.clim.2024.110214"
RULE = Clauses((files(__package__) / "remission.sql").read_text("utf-8"))
CRITERIA = {
    "clinical_sledai": "clinical SLEDAI-2K (without low complement and anti-dsDNA) is 0",
    "pga": "PGA (0 to 3) is below `pga_below`",
    "prednisone": "prednisone equivalent at most `prednisone_mg_max` mg a day; where `weight_based`, also at most "
    "`prednisone_mg_per_kg_max` mg/kg",
    "stable_background": "no antimalarial, immunosuppressant or biologic started or raised within the stability window",
    "no_suppressant": "no immunosuppressant or biologic in use on the visit date",
    "overall": "all of them",
}


def _remission(id_: str, version: str, citation: str, parameters: Remission) -> Endpoint:
    return Endpoint(
        id=id_,
        version=version,
        citation=citation,
        grain="visit",
        reads={
            "visits": ("visit_id", "scheduled", "target_day", "status", "date", "window_until"),
            "findings": ("instrument", "item", "visit_id", "chosen", "known", "value_code", "attribution"),
        },
        needs=("sledai_2k", "pga", "weight", "prednisone", "background"),
        rule=RULE,
        parameters=parameters,
        criteria=CRITERIA,
    )


doris = _remission("doris", "2021", DORIS, Remission())
doris_off = _remission(
    "doris_off", "2021", f"{DORIS}; off treatment", Remission(prednisone_mg_max=Decimal(0), off_treatment=True)
)
drug_free = _remission(
    "drug_free_remission",
    "1",
    f"{DORIS}, free of glucocorticoids, immunosuppressants, biologics and antimalarials; our definition",
    Remission(prednisone_mg_max=Decimal(0), off_treatment=True, antimalarial_allowed=False),
)
ccr = _remission("ccr", "2024", CHILDHOOD, Remission(weight_based=True, excused_increases=True))
ccr0 = _remission(
    "ccr0",
    "2024",
    f"{CHILDHOOD}; free of glucocorticoids",
    Remission(prednisone_mg_max=Decimal(0), weight_based=True, excused_increases=True),
)


@hookimpl
def enfold_declarations() -> list[Declaration]:
    """Register the remission definitions."""
    return [doris, doris_off, drug_free, ccr, ccr0]
