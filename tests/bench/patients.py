"""Rules of the demo trial written anew for one patient, in plain Python: what the per-patient style is measured with.

`remission` says what plugins/doris/src/enfold_doris/remission.sql says, criterion by criterion, without its words;
`assessed` what plugins/lupus-activity/src/enfold_lupus_activity/pga.sql says, `timing` what
plugins/conduct/src/enfold_conduct/visit_timing.sql says. tests/bench/plugins.py compares their answers.
"""

from collections.abc import Iterator
from typing import Any

from enfold.contract import Measure, Patient, Verdict, all_met, status

SCALES = {"PGA_0_3": (1, 0), "PGA_0_10": (3, 1), "PGA_0_100": (3, 2)}  # times, and decimal places


# rows that a rule has no use for need not become Python objects
RULES = {
    "remission": {
        "findings": "instrument = 'ORGAN_ACTIVITY' AND chosen AND known AND value_code = 'present'",
        "visits": "scheduled AND target_day > 0",
    },
    "assessed": {"findings": "instrument = 'PGA' AND known", "occasions": "instrument = 'PGA'"},
    "timing": {"occasions": "collected_visit_id IS NOT NULL AND visit_id IS DISTINCT FROM collected_visit_id",
               "visits": "scheduled"},
}  # fmt: skip


def _one(rows: tuple[Any, ...], measure: str) -> dict[str, Any]:
    """Return the rows of one measure by visit."""
    return {r.visit_id: r for r in rows if r.measure == measure and r.visit_id is not None}


def remission(patient: Patient, at: Any) -> Iterator[Verdict]:
    """Judge remission at each planned visit after infusion."""
    sledai = _one(patient.sledai_2k, "clinical")
    beyond = {f.visit_id for f in patient.findings if f.attribution != "not_disease"}
    pga = {r.visit_id: r for r in patient.pga}
    units, days = _one(patient.prednisone, "units"), _one(patient.prednisone, "days")
    weight = {r.visit_id: r for r in patient.weight}
    changed = _one(patient.background, "changed_unexcused" if at.excused_increases else "changed")
    suppressing, antimalarial = _one(patient.background, "suppressing"), _one(patient.background, "antimalarial")
    for visit in patient.visits:
        if not visit.scheduled or visit.target_day <= 0:
            continue
        key = visit.visit_id
        parts = {
            "clinical_sledai": _clinical(sledai.get(key)),
            "pga": _below(pga.get(key), at),
            "prednisone": _capped(units.get(key), days.get(key), weight.get(key), at),
            "stable_background": _none(changed.get(key)),
        }
        if at.off_treatment:
            parts["no_suppressant"] = _unsuppressed(suppressing.get(key), antimalarial.get(key), at)
        if visit.status == "not_due":
            parts = dict.fromkeys(parts, ("not_applicable", ()))
        for criterion, (answer, ids) in parts.items():
            flags = ["non_sledai_activity"] if criterion == "clinical_sledai" and key in beyond else ()
            yield Verdict(answer, criterion, period=1, visit_id=key, event_ids=ids, flags=flags)
        every = sorted({i for _, ids in parts.values() for i in ids})
        yield Verdict(all_met(a for a, _ in parts.values()), period=1, visit_id=key, event_ids=every)


def _clinical(row: Any) -> tuple[str, Any]:
    if row is None:
        return "not_evaluable", ()
    known = row.value_number
    if row.lower is not None and row.lower > 0:
        return "not_met", row.event_ids
    return status(None if known is None else known == 0), row.event_ids


def _below(row: Any, at: Any) -> tuple[str, Any]:
    if row is None or row.value_number is None:
        return "not_evaluable", () if row is None else row.event_ids
    return status(row.value_number < at.pga_below), row.event_ids


def _capped(units: Any, days: Any, weight: Any, at: Any) -> tuple[str, Any]:
    if units is None:
        return "not_evaluable", ()
    kg = weight.value_number if weight else None
    ids = list(units.event_ids)
    if at.weight_based and units.value_number is not None and units.value_number != 0 and weight:
        ids += weight.event_ids
    cap = at.prednisone_mg_max
    if at.weight_based and kg is not None:
        cap = min(cap, at.prednisone_mg_per_kg_max * kg)
    span = days.value_number if days else None
    most = None if span is None else cap * 60000 * span
    if units.lower is not None and most is not None and units.lower > most:
        return "not_met", ids
    if units.value_number == 0:
        return "met", ids
    exact = span is not None and units.value_number == at.prednisone_mg_max * 60000 * span
    if exact and not at.prednisone_max_inclusive:
        return "not_met", ids
    if units.value_number is None or (at.weight_based and kg is None):
        return "not_evaluable", ids
    return "met", ids


def _none(row: Any) -> tuple[str, Any]:
    if row is None:
        return "not_evaluable", ()
    if row.lower is not None and row.lower > 0:
        return "not_met", row.event_ids
    return status(None if row.value_number is None else row.value_number == 0), row.event_ids


def _unsuppressed(used: Any, malarial: Any, at: Any) -> tuple[str, Any]:
    ids = used.event_ids if used else ()
    lower, also = (r.lower if r else None for r in (used, malarial))
    if (lower or 0) > 0 or (not at.antimalarial_allowed and (also or 0) > 0):
        return "not_met", ids
    none = None if not used or used.value_number is None else used.value_number == 0
    if at.antimalarial_allowed or none is False:
        return status(none), ids
    free = None if not malarial or malarial.value_number is None else malarial.value_number == 0
    return status(False if free is False else None if none is None or free is None else True), ids


def assessed(patient: Patient, _: Any) -> Iterator[Measure]:
    """Say the PGA on the scale 0 to 3 for each form."""
    standing: dict[str, dict[str, Any]] = {}
    for f in patient.findings:
        if f.instrument != "PGA" or not f.known:
            continue
        best = standing.setdefault(f.occasion_id, {}).get(f.item)
        later = best is None or (f.from_at, best.finding_id) > (best.from_at, f.finding_id)
        if later:
            standing[f.occasion_id][f.item] = f
    for o in patient.occasions:
        if o.instrument != "PGA":
            continue
        mine = standing.get(o.occasion_id, {})
        value = None
        if len(mine) == 1:
            item, f = next(iter(mine.items()))
            times, places = SCALES[item]
            value = (f.value_number * times).scaleb(-places)
        yield Measure(
            "pga", period=1, visit_id=o.visit_id if o.chosen else None, occasion_id=o.occasion_id, value_number=value,
            event_ids=sorted({i for f in mine.values() for i in f.event_ids}),
        )  # fmt: skip


def timing(patient: Patient, _: Any) -> Iterator[Verdict]:
    """Judge whether each planned visit was held in its window."""
    strayed: dict[str, list[str]] = {}
    for o in patient.occasions:
        if o.collected_visit_id is not None and o.visit_id != o.collected_visit_id:
            strayed.setdefault(o.collected_visit_id, []).extend(o.event_ids)
    said = {"held": "met", "missed": "not_met", "not_due": "not_applicable"}
    for v in patient.visits:
        if not v.scheduled:
            continue
        own = strayed.get(v.visit_id)
        answer = "not_met" if own is not None else said.get(v.status, "not_evaluable")
        ids = sorted({*v.event_ids, *(own or ())})
        for criterion in ("in_window", "overall"):
            yield Verdict(answer, criterion, period=v.period, visit_id=v.visit_id, event_ids=ids)
