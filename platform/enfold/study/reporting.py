"""What the study file says about its report: estimands, analysis sets, and the choices that a footnote prints."""

from collections.abc import Collection
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from enfold.study.wrong import wrong

SETS = ("enrolled", "infused", "efficacy_evaluable", "dlt_evaluable", "pk")
# names of ICH E9(R1), section A.3.2
STRATEGIES = ("treatment_policy", "hypothetical", "composite", "while_on_treatment", "principal_stratum")
SUMMARIES = ("proportion", "maximum_grade", "time_to_event", "duration", "median")
CHOICES: dict[str, tuple[Any, ...]] = {
    "rounding": ("half_up", "half_even"),
    "quantile": (2, 7),
    "interval": ("clopper_pearson", "wilson"),
    "trend_scores": ("rank", "dose"),
}


@dataclass(frozen=True)
class Estimand:
    """What a table estimates, in the five attributes of ICH E9(R1); treatment is the study's.

    Args:
        id: cited by tables.
        population: an analysis set.
        variable: alias of the endpoint.
        at: of a response: a visit, `any` (any planned visit, also if none is named) or `last` (the last one attended).
        intercurrent: strategy by intercurrent event.
        summary: what is compared or described over the population.
    """

    id: str
    population: str
    variable: str
    at: str | None
    intercurrent: tuple[tuple[str, str], ...]
    summary: str


@dataclass(frozen=True)
class Choices:
    """How numbers are made and printed; every choice is printed in the footnotes that it concerns.

    Args:
        rounding: of what is printed, and only then: `half_up` (away from zero) or `half_even`.
        percent_places: decimals of a percentage.
        quantile: 2 or 7 of Hyndman and Fan (Am Stat 1996;50:361); 2 is SAS's default, 7 that of R.
        interval: of a proportion: `clopper_pearson` (exact) or `wilson` (score).
        level: coverage of every interval.
        landmarks: months after the start of a time to event at which its curve is printed.
        trend_scores: of ordered levels in the trend test: their `rank` or their `dose`.
    """

    rounding: str = "half_up"
    percent_places: int = 1
    quantile: int = 2
    interval: str = "clopper_pearson"
    level: Decimal = Decimal("0.95")
    landmarks: tuple[int, ...] = (6, 12)
    trend_scores: str = "rank"


def choices(entry: dict[str, Any]) -> Choices:
    """Return the table `[report]`, checked."""
    for key, value in entry.items():
        if key in CHOICES and (value not in CHOICES[key] or isinstance(value, bool)):
            raise wrong("report", key, f"must be one of {', '.join(map(str, CHOICES[key]))}")
    places, level = entry.get("percent_places", 1), entry.get("level", Decimal("0.95"))
    if type(places) is not int or not 0 <= places <= 6:
        raise wrong("report", "percent_places", "must be a whole number from 0 to 6")
    if type(level) is not Decimal or not Decimal("0.5") <= level < 1:
        raise wrong("report", "level", "must be a number from 0.5 to below 1, such as 0.95")
    landmarks = entry.get("landmarks", [6, 12])
    if not isinstance(landmarks, list) or not all(type(m) is int and m > 0 for m in landmarks):
        raise wrong("report", "landmarks", "must be a list of whole months above 0")
    return Choices(**{**entry, "landmarks": tuple(sorted({*landmarks}))})


REPORT_KEYS = {f.name for f in fields(Choices)}


def analysis_sets(entry: dict[str, Any], aliases: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return the table `[analysis_sets]`: for a set, the aliases of the endpoints that must be evaluable."""
    for key, value in entry.items():
        if not isinstance(value, list) or not value or not all(v in aliases for v in value):
            raise wrong("analysis_sets", key, "must be a list of aliases of endpoints that the study asks for")
    return {k: tuple(v) for k, v in entry.items()}


def estimands(entries: list[dict[str, Any]], aliases: Collection[str], visits: Collection[str]) -> tuple[Estimand, ...]:
    """Return the tables `[[estimands]]`, checked against the endpoints and visits of the study."""
    out = []
    for e in entries:
        where = f"estimands {e.get('id')}"
        if not isinstance(e.get("id"), str) or not e["id"]:
            raise wrong("estimands", "id", "must be a non-empty string")
        if e.get("population") not in SETS:
            raise wrong(where, "population", f"must be one of {', '.join(SETS)}")
        if e.get("variable") not in aliases:
            raise wrong(where, "variable", "must be the alias of an endpoint that the study asks for")
        if e.get("summary") not in SUMMARIES:
            raise wrong(where, "summary", f"must be one of {', '.join(SUMMARIES)}")
        at = e.get("at")
        if at not in {*visits, "any", "last", None}:
            raise wrong(where, "at", "must be a visit of the study, any or last")
        events = e.get("intercurrent", {})
        if not isinstance(events, dict):
            raise wrong(where, "intercurrent", "must be a table of strategies by intercurrent event")
        for event, strategy in events.items():
            if strategy not in STRATEGIES:
                raise wrong(where, f"intercurrent.{event}", f"must be one of {', '.join(STRATEGIES)}")
        out.append(Estimand(e["id"], e["population"], e["variable"], at, tuple(sorted(events.items())), e["summary"]))
    if len({e.id for e in out}) != len(out):
        raise wrong("estimands", "id", "must be given once for each estimand")
    return tuple(out)
