"""ICANS by the ASTCT consensus of 2019: timeline, episodes, and one answer per infusion."""

from dataclasses import dataclass
from importlib.resources import files

from enfold.contract import Declaration, Derivation, Endpoint, Parameters, SqlRule, hookimpl


@dataclass(frozen=True)
class Rows(Parameters):
    """Which instrument at what age (completed years at infusion), and the threshold of CAPD."""

    ice_from_age: int = 12
    capd_grade_3: int = 9


@dataclass(frozen=True)
class Episodes(Parameters):
    """Signs this far apart belong to different episodes; a later onset than expected is flagged."""

    episode_gap_hours: int = 24
    expected_days: int = 28


@dataclass(frozen=True)
class Watch(Parameters):
    """Without any sign, grade 0 needs a neurological review over this many days."""

    observed_days: int = 14
    ice_from_age: int = 12


CITATION = (
    "Lee DW et al. Biol Blood Marrow Transplant 2019;25:625-38; CAPD: Traube C et al. Crit Care Med 2014;42:656-63"
)
READ = (
    "instrument",
    "item",
    "from_at",
    "date",
    "doubt",
    "value_number",
    "value_code",
    "known",
    "attribution",
    "event_ids",
)
CRITERIA = {
    "overall": "the worst row assessed together; grade 5 only for a death due to ICANS",
    "ice": "ICE 7 to 9 grade 1, 3 to 6 grade 2, 0 to 2 awake grade 3, 0 because unarousable grade 4",
    "capd": "CAPD 9 or more grade 3, unable to perform grade 4; below 9 consciousness decides",
    "consciousness": "awakens spontaneously 1, to voice 2, to touch only 3, unarousable 4",
    "seizure": "resolving 3, prolonged (more than 5 minutes) or repetitive 4",
    "motor": "deep focal weakness 4",
    "oedema": "focal 3, diffuse or signs of raised pressure 4",
    "onset_hours": "whole hours from infusion to the first sign",
    "peak_hours": "whole hours from infusion to the first instant at the highest grade",
    "duration_hours": "whole hours from the first to the last sign",
    "duration_days": "calendar days from the first to the last sign, both included",
    "return_hours": "whole hours from the first sign to the first later assessment of grade 0",
    "recurrence": "a second episode after the same infusion",
}


def _sql(name: str) -> SqlRule:
    return SqlRule((files(__package__) / f"{name}.sql").read_text("utf-8"))


icans_timeline = Derivation(
    id="icans_timeline",
    version="ASTCT/2019/1",
    citation=CITATION,
    grain="interval",
    reads={
        "periods": ("period", "starts_at", "ends_at"),
        "subjects": ("age_years", "developmental_delay"),
        "findings": READ,
        "coverage": ("data_kind", "from_at", "until_at"),
    },
    rule=_sql("timeline"),
    parameters=Rows(),
)
icans_episode = Endpoint(
    id="icans_episode",
    met_means="event",
    version="ASTCT/2019",
    citation=CITATION,
    grain="episode",
    reads={"periods": ("period", "starts_at", "ends_at")},
    needs=("icans_timeline",),
    rule=_sql("episodes"),
    parameters=Episodes(),
    criteria={**CRITERIA, "score": "ICE or CAPD, whichever was chosen"},
)
icans = Endpoint(
    id="icans",
    met_means="event",
    version="ASTCT/2019",
    citation=CITATION,
    grain="period",
    reads={
        "periods": ("period", "starts_at", "ends_at"),
        "subjects": ("age_years", "developmental_delay"),
        "findings": READ,
        "occurrences": ("kind", "category", "from_at", "event_ids"),
        "coverage": ("data_kind", "from_at", "until_at"),
        "reviews": ("data_kind", "from_at", "until_at", "event_ids"),
    },
    needs=("icans_timeline", "icans_episode"),
    rule=_sql("icans"),
    parameters=Watch(),
    criteria=CRITERIA,
)


@hookimpl
def enfold_declarations() -> list[Declaration]:
    """Register ICANS."""
    return [icans_timeline, icans_episode, icans]
