"""The study file: the protocol as data, parsed and checked with errors that name the key."""

import datetime as dt
import tomllib
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from enfold.errors import UsageError
from enfold.study.reporting import REPORT_KEYS, SETS, Choices, Estimand, analysis_sets, choices, estimands
from enfold.study.trust import Trusted as Trusted
from enfold.study.trust import pinned, plugin_names
from enfold.study.trust import with_trust as with_trust
from enfold.study.wrong import SEE
from enfold.study.wrong import wrong as _wrong

KEYS = {
    "study": {"id", "title", "time_zone", "data_cutoff", "synthetic", "baseline_instruments"},
    "visits": {"id", "label", "day", "window", "baseline"},
    "dose_levels": {"id", "label", "dose", "unit"},
    "conditioning": {"id", "label"},
    "endpoints": {"alias", "endpoint", "version", "parameters", "imputation"},
    "derivations": {"id", "parameters"},
    "cut_rules": {"default", "types", "death_after"},
    "isolation": {"seconds", "memory", "output", "answer"},
    "report": REPORT_KEYS,
    "analysis_sets": {*SETS} - {"enrolled", "infused"},
    "estimands": {"id", "population", "variable", "at", "intercurrent", "summary"},
    "dose_limiting": {
        "id",
        "source",
        "category",
        "grade_from",
        "within_days",
        "longer_than_days",
        "except_categories",
        "except_attributions",
    },
}
TOP = {*KEYS, "plugins"}
SINGLE = {"study", "cut_rules", "isolation", "report", "analysis_sets"}  # tables that stand once
# the efficacy baseline is the last visit before lymphodepletion that has all of these complete
BASELINE_INSTRUMENTS = ("SLEDAI2K", "BILAG2004", "PGA")


@dataclass(frozen=True)
class Visit:
    """A planned visit; days count from the infusion (day 0), the window is half-open."""

    id: str
    label: str
    day: int
    window_from: int
    window_until: int
    baseline: bool
    ordinal: int


@dataclass(frozen=True)
class Level:
    """A dose level or conditioning regimen of the protocol."""

    id: str
    label: str
    dose: Decimal | None = None
    unit: str | None = None


@dataclass(frozen=True)
class Asked:
    """An endpoint that the study asks for, with the parameters that it sets."""

    alias: str
    endpoint: str
    version: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    imputation: str | None = None  # non_responder: what is not evaluable counts as not met, in a column of its own


@dataclass(frozen=True)
class DoseLimiting:
    """One rule of the protocol that makes an event a dose-limiting toxicity; days count from infusion."""

    id: str
    source: str  # adverse_event, crs or icans
    category: str | None = None
    grade_from: int = 3
    within_days: int = 28
    longer_than_days: int | None = None
    except_categories: tuple[str, ...] = ()
    except_attributions: tuple[str, ...] = ()


@dataclass(frozen=True)
class CutRules:
    """What a bound in clinical time leaves of each event type: by `date`, by `subject`, or `none`."""

    default: str = "date"
    types: dict[str, str] = field(default_factory=dict)
    blank_death: bool = True


@dataclass(frozen=True)
class StudyFile:
    """One parsed study file; `text` is what was landed."""

    id: str
    title: str
    time_zone: str
    synthetic: bool
    data_cutoff: dt.date | None
    visits: tuple[Visit, ...]
    dose_levels: tuple[Level, ...]
    conditioning: tuple[Level, ...]
    plugins: tuple[str, ...]
    endpoints: tuple[Asked, ...]
    derivations: dict[str, dict[str, Any]]
    dose_limiting: tuple[DoseLimiting, ...]
    cut_rules: CutRules
    baseline_instruments: tuple[str, ...]
    text: str
    trusted: dict[str, Trusted] = field(default_factory=dict)
    isolation: dict[str, int] = field(default_factory=dict)  # limits of guest processes that are not the default
    report: Choices = field(default_factory=Choices)
    analysis_sets: dict[str, tuple[str, ...]] = field(default_factory=dict)  # endpoints that must be evaluable
    estimands: tuple[Estimand, ...] = ()


def parse(text: str) -> StudyFile:
    """Parse and check a study file.

    Raises:
        UsageError: names the table and key that is wrong, and what is allowed.
    """
    try:
        doc = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        msg = f"study.toml: not valid TOML: {error}"
        raise UsageError(msg, remedy=SEE) from None
    _check_keys(doc)
    head = doc.get("study", {})
    for key in ("id", "title", "time_zone"):
        if not isinstance(head.get(key), str) or not head[key]:
            raise _wrong("study", key, "must be a non-empty string")
    try:
        ZoneInfo(head["time_zone"])
    except (ZoneInfoNotFoundError, ValueError):
        raise _wrong("study", "time_zone", "is not an IANA zone such as Europe/Berlin") from None
    cutoff = head.get("data_cutoff")
    if cutoff is not None and not (isinstance(cutoff, dt.date) and not isinstance(cutoff, dt.datetime)):
        raise _wrong("study", "data_cutoff", "must be a date, YYYY-MM-DD without quotes")
    asked, visits = _endpoints(doc.get("endpoints", [])), _visits(doc.get("visits", []))
    return StudyFile(
        id=head["id"],
        title=head["title"],
        time_zone=head["time_zone"],
        synthetic=_flag(head, "study", "synthetic"),
        data_cutoff=cutoff,
        visits=visits,
        dose_levels=_levels(doc, "dose_levels"),
        conditioning=_levels(doc, "conditioning"),
        plugins=plugin_names(doc.get("plugins", [])),
        endpoints=asked,
        derivations={d["id"]: d.get("parameters", {}) for d in doc.get("derivations", [])},
        dose_limiting=_dose_limiting(doc.get("dose_limiting", [])),
        cut_rules=_cut_rules(doc.get("cut_rules", {})),
        baseline_instruments=tuple(head.get("baseline_instruments", BASELINE_INSTRUMENTS)),
        text=text,
        trusted=pinned(doc.get("plugins", [])),
        isolation=_isolation(doc.get("isolation", {})),
        report=choices(doc.get("report", {})),
        analysis_sets=analysis_sets(doc.get("analysis_sets", {}), {a.alias for a in asked}),
        estimands=estimands(doc.get("estimands", []), {a.alias for a in asked}, {v.id for v in visits}),
    )


def _check_keys(doc: dict[str, Any]) -> None:
    for key in doc:
        if key not in TOP:
            raise _wrong("top level", key, f"is not known; use one of {', '.join(sorted(TOP))}")
    for table, allowed in KEYS.items():
        entries = doc.get(table, {} if table in SINGLE else [])
        for entry in entries if isinstance(entries, list) else [entries]:
            for key in entry:
                if key not in allowed:
                    raise _wrong(table, key, f"is not known; use one of {', '.join(sorted(allowed))}")


def _visits(entries: list[dict[str, Any]]) -> tuple[Visit, ...]:
    """Return the visits with their windows.

    Windows not given: half-open midpoints between the targets after infusion; the first opens on
    day 1, the last is symmetric about its target.
    """
    ids = [e.get("id") for e in entries]
    if len(set(ids)) != len(ids) or not all(isinstance(i, str) and i for i in ids):
        raise _wrong("visits", "id", "must be given once for each visit")
    for e in entries:
        if not isinstance(e.get("day"), int):
            raise _wrong(f"visits {e['id']}", "day", "must be a whole number of days, infusion = 0")
    days = [e["day"] for e in entries]
    if days != sorted(set(days)):
        raise _wrong("visits", "day", "must rise from visit to visit")
    after = [d for d in days if d > 0]
    out = []
    for ordinal, e in enumerate(entries, start=1):
        day = e["day"]
        if "window" in e:
            window = e["window"]
            if not (len(window) == 2 and all(isinstance(w, int) for w in window) and window[0] < window[1]):
                raise _wrong(f"visits {e['id']}", "window", "must be [first day, first day after]")
            low, high = window
        elif day <= 0:
            raise _wrong(f"visits {e['id']}", "window", "must be given for a visit before infusion")
        else:
            place = after.index(day)
            low = 1 if place == 0 else _midpoint(after[place - 1], day)
            high = _midpoint(day, after[place + 1]) if place + 1 < len(after) else 2 * day - low
        out.append(Visit(e["id"], e.get("label", e["id"]), day, low, high, _flag(e, "visits", "baseline"), ordinal))
    for a, b in pairwise(out):
        if a.window_until > b.window_from:
            raise _wrong(f"visits {b.id}", "window", f"overlaps that of {a.id}")
    return tuple(out)


def _midpoint(a: int, b: int) -> int:
    """Return the first whole day at or after the midpoint."""
    return -(-(a + b) // 2)


def _levels(doc: dict[str, Any], table: str) -> tuple[Level, ...]:
    out = []
    for e in doc.get(table, []):
        dose = e.get("dose")
        if not isinstance(e.get("id"), str):
            raise _wrong(table, "id", "must be a string")
        if dose is not None and not isinstance(dose, int | Decimal):
            raise _wrong(f"{table} {e['id']}", "dose", "must be a number")
        out.append(Level(e["id"], e.get("label", e["id"]), None if dose is None else Decimal(dose), e.get("unit")))
    return tuple(out)


def _isolation(entry: dict[str, Any]) -> dict[str, int]:
    for key, value in entry.items():
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            raise _wrong("isolation", key, "must be a whole number above 0 (seconds; else octets)")
    return dict(entry)


def _endpoints(entries: list[dict[str, Any]]) -> tuple[Asked, ...]:
    out = []
    for e in entries:
        if not isinstance(e.get("endpoint"), str):
            raise _wrong("endpoints", "endpoint", "must name an endpoint")
        for name, value in e.get("parameters", {}).items():
            if not isinstance(value, Decimal | int | str | bool):
                raise _wrong(f"endpoints {e['endpoint']}", name, "must be a number, text, true or false")
        if e.get("imputation") not in (None, "non_responder"):
            raise _wrong(f"endpoints {e['endpoint']}", "imputation", "must be non_responder, or be left out")
        alias = e.get("alias", e["endpoint"])
        out.append(Asked(alias, e["endpoint"], e.get("version"), e.get("parameters", {}), e.get("imputation")))
    aliases = [a.alias for a in out]
    if len(set(aliases)) != len(aliases):
        raise _wrong("endpoints", "alias", "must be given once for each endpoint")
    return tuple(out)


def _dose_limiting(entries: list[dict[str, Any]]) -> tuple[DoseLimiting, ...]:
    out = []
    for e in entries:
        where = f"dose_limiting {e.get('id')}"
        if not isinstance(e.get("id"), str):
            raise _wrong("dose_limiting", "id", "must be a string")
        if e.get("source") not in ("adverse_event", "crs", "icans"):
            raise _wrong(where, "source", "must be adverse_event, crs or icans")
        for key in ("grade_from", "within_days", "longer_than_days"):
            if key in e and (not isinstance(e[key], int) or isinstance(e[key], bool)):
                raise _wrong(where, key, "must be a whole number")
        lists = {k: tuple(e.get(k, ())) for k in ("except_categories", "except_attributions")}
        out.append(DoseLimiting(**{**e, **lists}))
    if len({r.id for r in out}) != len(out):
        raise _wrong("dose_limiting", "id", "must be given once for each rule")
    return tuple(out)


def _cut_rules(entry: dict[str, Any]) -> CutRules:
    types = entry.get("types", {})
    for name, rule in {"default": entry.get("default", "date"), **types}.items():
        if rule not in ("date", "subject", "none"):
            raise _wrong("cut_rules", name, "must be date, subject or none")
    if entry.get("death_after", "blank") not in ("blank", "keep"):
        raise _wrong("cut_rules", "death_after", "must be blank or keep")
    return CutRules(entry.get("default", "date"), types, entry.get("death_after", "blank") == "blank")


def _flag(entry: dict[str, Any], table: str, key: str) -> bool:
    value = entry.get(key, False)
    if not isinstance(value, bool):
        raise _wrong(table, key, "must be true or false")
    return value
