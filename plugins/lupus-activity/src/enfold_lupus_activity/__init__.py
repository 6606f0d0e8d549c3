"""Lupus activity: the derivations that lupus endpoints read."""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from importlib.resources import files

from enfold.contract import Declaration, Derivation, Parameters, SqlRule, hookimpl

SLEDAI_2K = (
    "Gladman DD, Ibanez D, Urowitz MB. J Rheumatol 2002;29:288-91; 30-day window: Touma Z et al. Lupus 2010;19:49-51"
)


def _sql(name: str) -> SqlRule:
    return SqlRule((files(__package__) / f"{name}.sql").read_text("utf-8"))


class IndexVariant(Enum):
    """Which published index the tick boxes are scored as; S2K is SELENA with the 2K proteinuria rule."""

    SLEDAI_2K = "SLEDAI_2K"
    SELENA = "SELENA"
    S2K = "S2K"


class Source(Enum):
    """Whether the visit's form alone speaks, or other forms within the window add to it."""

    FORM = "form"
    WINDOW = "window"


@dataclass(frozen=True)
class SledaiItems(Parameters):
    """Which items count: variant of the index, window, and attribution after infusion.

    `guarded_until_day`: up to this day cytopenia, fever and CNS items need positive attribution.
    `window_days`: 10 or 30, as the protocol fixes; used where `source` is `window`.
    """

    index_variant: IndexVariant = IndexVariant.SLEDAI_2K
    window_days: int = 30
    source: Source = Source.FORM
    guarded_until_day: int = 28


@dataclass(frozen=True)
class SteroidWindow(Parameters):
    """Days over which the prednisone equivalent is summed, the visit date included.

    The `include_...` switches give the sensitivity readings without adrenal replacement or without
    glucocorticoids for toxicity. `pulse_mg`: a dosing day of at least this much is flagged as a pulse.
    """

    days: int = 7
    days_if_not_daily: int = 14
    carried_days: int = 7
    include_replacement: bool = True
    include_toxicity: bool = True
    pulse_mg: int = 250


@dataclass(frozen=True)
class Background(Parameters):
    """Days in which a start or an increase is unstable (both ends included); maxima that the study adds.

    `maximum_per_week`: `substance amount unit` per week, separated by semicolons.
    """

    days: int = 28
    maximum_per_week: str = ""


@dataclass(frozen=True)
class WeightWindow(Parameters):
    """How old a body weight may be."""

    valid_days: int = 90


@dataclass(frozen=True)
class FlareIndex(Parameters):
    """Thresholds of the SELENA Flare Index; PGA on 0 to 3. `flare_items`: items of a complete FLARE form."""

    sledai_rise: int = 3
    severe_sledai: int = 12
    pga_rise: Decimal = Decimal("1.0")
    severe_pga: Decimal = Decimal("2.5")
    severe_mg_per_kg: Decimal = Decimal("0.5")
    flare_items: int = 13


VISITS = ("visit_id", "date", "status", "infusion_day")
FINDINGS = (
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
    "attribution",
    "known",
    "doubt",
    "event_ids",
)
OCCASIONS = (
    "occasion_id",
    "instrument",
    "visit_id",
    "chosen",
    "baseline_for",
    "from_at",
    "until_at",
    "date",
    "infusion_day",
)
REVIEWED = ("data_kind", "from_date", "until_date", "event_ids")

sledai_items = Derivation(
    id="sledai_items",
    version="2K/2",
    citation=SLEDAI_2K,
    grain="visit",
    reads={"occasions": OCCASIONS, "findings": FINDINGS},
    instruments=("SLEDAI2K",),
    rule=_sql("sledai_items"),
    parameters=SledaiItems(),
)
sledai_2k = Derivation(
    id="sledai_2k",
    version="2K/1",
    citation=SLEDAI_2K,
    grain="visit",
    reads={},
    needs=("sledai_items",),
    instruments=("SLEDAI2K",),
    rule=_sql("sledai_2k"),
)
bilag_change = Derivation(
    id="bilag_change",
    version="2004/3",
    citation="Isenberg DA et al. Rheumatology 2005;44:902-6; Gordon C et al. Rheumatology 2003;42:1372-9",
    grain="visit",
    reads={
        "periods": ("period", "starts_at", "starts_date"),
        "occasions": OCCASIONS,
        "findings": FINDINGS,
    },
    instruments=("BILAG2004",),
    rule=_sql("bilag_change"),
)
pga = Derivation(
    id="pga",
    version="0-3/1",
    citation="Piga M et al. Lancet Rheumatol 2022;4:e441-9",
    grain="visit",
    reads={"occasions": OCCASIONS, "findings": FINDINGS},
    instruments=("PGA",),
    rule=_sql("pga"),
)
weight = Derivation(
    id="weight",
    version="1",
    citation="Last body weight on or before the visit, at most 90 days old; our decision",
    grain="visit",
    reads={"visits": VISITS, "findings": FINDINGS},
    instruments=("WEIGHT",),
    rule=_sql("weight"),
    parameters=WeightWindow(),
)
prednisone = Derivation(
    id="prednisone",
    version="2",
    citation="Anti-inflammatory equivalence of prednisone 5 mg; see docs/reference/definitions.md",
    grain="visit",
    reads={
        "visits": VISITS,
        "exposures": (
            "exposure_id",
            "substance",
            "drug_class",
            "route",
            "role",
            "indication",
            "every_n_days",
            "first_day_earliest",
            "first_day_latest",
            "last_day_earliest",
            "last_day_latest",
            "ongoing",
            "frequency",
            "contested",
            "prednisone_units_per_dosing_day",
            "from_latest",
            "event_ids",
        ),
        "coverage": REVIEWED,
        "reviews": REVIEWED,
    },
    rule=_sql("prednisone"),
    parameters=SteroidWindow(),
)
background = Derivation(
    id="background",
    version="2",
    citation="Stability of background treatment: 28 days, our reading of 'stable' in DORIS 2021; maxima: Golder 2016",
    grain="visit",
    reads={
        "visits": VISITS,
        "exposures": (
            "exposure_id",
            "substance",
            "drug_class",
            "role",
            "change_reason",
            "dose",
            "unit",
            "every_n_days",
            "doses_per_dosing_day",
            "from_date",
            "first_day_earliest",
            "first_day_latest",
            "last_day_earliest",
            "last_day_latest",
            "ongoing",
            "contested",
            "event_ids",
        ),
        "coverage": REVIEWED,
        "reviews": REVIEWED,
    },
    rule=_sql("background"),
    parameters=Background(),
)
flare_index = Derivation(
    id="flare_index",
    version="SELENA/1",
    citation="Petri M et al. Lupus 1999;8:685-91, from secondary renderings; used in N Engl J Med 2005;353:2550-8",
    grain="visit",
    reads={
        "visits": VISITS,
        "occasions": OCCASIONS,
        "findings": FINDINGS,
        "exposures": (
            "exposure_id",
            "kind",
            "substance",
            "drug_class",
            "role",
            "indication",
            "first_day_earliest",
            "first_day_latest",
            "last_day_earliest",
            "last_day_latest",
            "ongoing",
            "contested",
            "event_ids",
        ),
        "coverage": REVIEWED,
        "reviews": REVIEWED,
    },
    needs=("sledai_2k", "pga", "prednisone", "weight"),
    instruments=("FLARE",),
    rule=_sql("flare_index"),
    parameters=FlareIndex(),
)


@hookimpl
def enfold_declarations() -> list[Declaration]:
    """Register the derivations."""
    return [sledai_items, sledai_2k, bilag_change, pga, weight, prednisone, background, flare_index]
