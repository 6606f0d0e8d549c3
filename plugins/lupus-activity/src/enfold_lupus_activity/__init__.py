"""Lupus activity: the derivations that lupus endpoints read."""

from dataclasses import dataclass
from importlib.resources import files

from enfold.contract import Declaration, Derivation, Parameters, SqlRule, hookimpl

SLEDAI_2K = (
    "Gladman DD, Ibanez D, Urowitz MB. J Rheumatol 2002;29:288-91; 30-day window: Touma Z et al. Lupus 2010;19:49-51"
)


def _sql(name: str) -> SqlRule:
    return SqlRule((files(__package__) / f"{name}.sql").read_text("utf-8"))


@dataclass(frozen=True)
class Attribution(Parameters):
    """Days after infusion on which cytopenia, fever and CNS items need positive attribution."""

    guarded_until_day: int = 28


@dataclass(frozen=True)
class SteroidWindow(Parameters):
    """Days over which the prednisone equivalent is summed, the visit date included."""

    days: int = 7
    days_if_not_daily: int = 14
    carried_days: int = 7


@dataclass(frozen=True)
class Stability(Parameters):
    """Days before the visit, both ends included, in which a start or an increase is unstable."""

    days: int = 28


sledai_items = Derivation(
    id="sledai_items",
    version="2K/30d/1",
    citation=SLEDAI_2K,
    grain="visit",
    reads={
        "occasions": ("occasion_id", "instrument", "visit_id", "chosen", "until_at", "infusion_day"),
        "findings": (
            "occasion_id",
            "instrument",
            "item",
            "value_code",
            "known",
            "contested",
            "attribution",
            "until_at",
            "event_ids",
            "finding_id",
        ),
    },
    instruments=("SLEDAI2K",),
    rule=_sql("sledai_items"),
    parameters=Attribution(),
)
sledai_2k = Derivation(
    id="sledai_2k",
    version="2K/30d/1",
    citation=SLEDAI_2K,
    grain="visit",
    reads={},
    needs=("sledai_items",),
    instruments=("SLEDAI2K",),
    rule=_sql("sledai_2k"),
)
bilag_change = Derivation(
    id="bilag_change",
    version="2004/1",
    citation="Isenberg DA et al. Rheumatology 2005;44:902-6; Gordon C et al. Rheumatology 2003;42:1372-9",
    grain="visit",
    reads={
        "occasions": ("occasion_id", "instrument", "visit_id", "chosen", "baseline_for", "until_at"),
        "findings": ("occasion_id", "instrument", "item", "value_code", "known", "until_at", "event_ids"),
    },
    instruments=("BILAG2004",),
    rule=_sql("bilag_change"),
)
pga = Derivation(
    id="pga",
    version="0-3/1",
    citation="Piga M et al. Lancet Rheumatol 2022;4:e441-9",
    grain="visit",
    reads={
        "occasions": ("occasion_id", "instrument", "visit_id", "chosen", "until_at"),
        "findings": ("occasion_id", "instrument", "item", "value_number", "known", "until_at", "event_ids"),
    },
    instruments=("PGA",),
    rule=_sql("pga"),
)
prednisone = Derivation(
    id="prednisone",
    version="1",
    citation="Anti-inflammatory equivalence of prednisone 5 mg; see docs/reference/definitions.md",
    grain="visit",
    reads={
        "visits": ("visit_id", "date"),
        "exposures": (
            "drug_class",
            "route",
            "role",
            "every_n_days",
            "from_date",
            "from_at",
            "until_date",
            "ongoing",
            "frequency",
            "contested",
            "prednisone_units_per_dosing_day",
            "from_latest",
            "event_ids",
        ),
        "coverage": ("data_kind", "from_date", "until_date"),
        "reviews": ("data_kind", "from_date", "until_date", "event_ids"),
    },
    rule=_sql("prednisone"),
    parameters=SteroidWindow(),
)
background = Derivation(
    id="background",
    version="1",
    citation="Stability of background treatment: 28 days, our reading of 'stable' in DORIS 2021",
    grain="visit",
    reads={
        "visits": ("visit_id", "date"),
        "exposures": (
            "exposure_id",
            "substance",
            "drug_class",
            "role",
            "indication",
            "dose",
            "unit",
            "every_n_days",
            "doses_per_dosing_day",
            "from_date",
            "until_date",
            "ongoing",
            "change_reason",
            "contested",
            "event_ids",
        ),
        "coverage": ("data_kind", "from_date", "until_date"),
        "reviews": ("data_kind", "from_date", "until_date", "event_ids"),
    },
    rule=_sql("background"),
    parameters=Stability(),
)


@hookimpl
def enfold_declarations() -> list[Declaration]:
    """Register the derivations."""
    return [sledai_items, sledai_2k, bilag_change, pga, prednisone, background]
