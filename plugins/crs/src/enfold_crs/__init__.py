"""Cytokine release syndrome by the ASTCT consensus of 2019: timeline, episodes, and one answer per infusion."""

from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files

from enfold.contract import Declaration, Derivation, Endpoint, Parameters, SqlRule, hookimpl


@dataclass(frozen=True)
class Signs(Parameters):
    """Thresholds of the consensus, and how readings are held.

    `vasopressin_alone_grade` is not addressed by the consensus. `inotrope_counts`: dobutamine and its kin
    count as vasopressors.
    """

    fever_celsius: Decimal = Decimal("38.0")  # at or above
    low_flow_max: Decimal = Decimal("6")  # L/min
    hold_hours: int = 12
    episode_gap_hours: int = 24
    vasopressin_alone_grade: int = 3
    inotrope_counts: bool = True


@dataclass(frozen=True)
class Episodes(Parameters):
    """Signs this far apart belong to different episodes; a later onset than expected is flagged."""

    episode_gap_hours: int = 24
    expected_days: int = 14


@dataclass(frozen=True)
class Watch(Parameters):
    """Without fever, grade 0 needs a review of fever over this many days."""

    observed_days: int = 14


CITATION = "Lee DW et al. Biol Blood Marrow Transplant 2019;25:625-38, doi 10.1016/j.bbmt.2018.12.758"
DRUGS = (
    "exposure_id",
    "kind",
    "drug_class",
    "route",
    "substance",
    "indication",
    "from_at",
    "until_at",
    "from_date",
    "until_date",
    "ongoing",
    "prednisone_units_per_dosing_day",
    "event_ids",
)
SEEN = ("data_kind", "from_at", "until_at")
CRITERIA = {
    "overall": "worst instant: fever (or its waiver after antipyretic, anticytokine or steroid) with hypotension "
    "and hypoxia; "
    "grade 5 only for a death due to CRS",
    "hypotension": "2 without vasopressor, 3 with one, 4 with several (vasopressin not counted among them)",
    "hypoxia": "2 low-flow cannula or blow-by, 3 high-flow or mask, 4 positive pressure",
    "onset_hours": "whole hours from infusion to the first fever",
    "peak_hours": "whole hours from infusion to the first instant at the highest grade",
    "duration_hours": "whole hours from onset to the last sign",
    "duration_days": "calendar days from onset to the last sign, both included",
    "resolved": "no sign for `episode_gap_hours` after the last one, and somebody looked",
    "recurrence": "a second episode after the same infusion",
}


def _sql(name: str) -> SqlRule:
    return SqlRule((files(__package__) / f"{name}.sql").read_text("utf-8"))


crs_timeline = Derivation(
    id="crs_timeline",
    version="ASTCT/2019/1",
    citation=CITATION,
    grain="interval",
    reads={
        "periods": ("period", "starts_at", "ends_at"),
        "findings": (
            "instrument",
            "item",
            "from_at",
            "date",
            "value_number",
            "value_code",
            "unit",
            "known",
            "attribution",
            "event_ids",
        ),
        "exposures": DRUGS,
        "occurrences": (
            "kind",
            "term",
            "category",
            "flow",
            "attribution",
            "from_at",
            "from_date",
            "until_at",
            "event_ids",
        ),
        "coverage": SEEN,
    },
    rule=_sql("timeline"),
    parameters=Signs(),
)
crs_episode = Endpoint(
    id="crs_episode",
    met_means="event",
    version="ASTCT/2019",
    citation=CITATION,
    grain="episode",
    reads={
        "periods": ("period", "starts_at", "ends_at"),
        "occurrences": ("kind", "category", "from_at", "until_at"),
        "coverage": SEEN,
    },
    needs=("crs_timeline",),
    rule=_sql("episodes"),
    parameters=Episodes(),
    criteria=CRITERIA,
)
crs = Endpoint(
    id="crs",
    met_means="event",
    version="ASTCT/2019",
    citation=CITATION,
    grain="period",
    reads={
        "periods": ("period", "starts_at", "ends_at"),
        "exposures": DRUGS,
        "findings": ("instrument", "item", "from_at", "known", "doubt", "event_ids"),
        "occurrences": ("kind", "category", "from_at", "event_ids"),
        "coverage": SEEN,
        "reviews": (*SEEN, "event_ids"),
    },
    needs=("crs_timeline", "crs_episode"),
    rule=_sql("crs"),
    parameters=Watch(),
    criteria=CRITERIA,
)


@hookimpl
def enfold_declarations() -> list[Declaration]:
    """Register CRS."""
    return [crs_timeline, crs_episode, crs]
