"""A slow, obvious fold of one subject in plain Python; shares no code with the platform."""

import calendar
import datetime as dt
import re
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

Event = dict[str, Any]
ENVELOPE = {"study_id", "subject_id", "event_id", "occasion_id", "visit_id", "occurred", "event_type"}
HOW = {"recorded_at", "source_system", "source_file", "source_row", "author", "reason", "position"}
ZONE = ZoneInfo("Europe/Berlin")
COMPLETE_WITH_ANY = {"PGA"}
ITEMS = {
    "PGA": ["PGA_0_3", "PGA_0_10", "PGA_0_100"],
    "BILAG2004": ["CONST", "MUCO", "NEURO", "MSK", "CARDIO", "GI", "OPHTH", "RENAL", "HAEM"],
}
WINDOWS = {"BL": (-60, -4, -7), "W4": (1, 56, 28), "W12": (56, 112, 84)}
FACTOR = {"prednisolone": Decimal(60000), "dexamethasone": Decimal(400000), "hydrocortisone": Decimal(15000)}
PER_DAY = {"daily": (1, 1), "twice_daily": (1, 2), "every_2_days": (2, 1), "once": (None, 1)}


def interval(text: str | None) -> tuple[dt.datetime, dt.datetime, dt.date | None] | None:
    """Return start, end (exclusive) in UTC and the local date where the day is known."""
    if text is None:
        return None
    m = re.fullmatch(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?(?:T(\d\d):(\d\d))?(Z|[+-]\d\d:\d\d)?", text)
    assert m
    year, month, day, hour, minute = (int(g) if g else None for g in m.groups()[:5])
    assert year
    begin = dt.datetime(year, month or 1, day or 1, hour or 0, minute or 0)
    if month is None:
        end = dt.datetime(year + 1, 1, 1)
    elif day is None:
        end = begin + dt.timedelta(days=calendar.monthrange(year, month)[1])
    elif hour is None:
        end = begin + dt.timedelta(days=1)
    else:
        end = begin + dt.timedelta(minutes=1)
    zone: dt.tzinfo = ZONE
    if m.group(6):
        sign = m.group(6)
        hours = 0 if sign == "Z" else int(sign[:3])
        zone = dt.timezone(dt.timedelta(hours=hours))
    return (
        begin.replace(tzinfo=zone).astimezone(dt.UTC),
        end.replace(tzinfo=zone).astimezone(dt.UTC),
        begin.date() if day else None,
    )


def content(e: Event) -> tuple[Any, ...]:
    return tuple(
        sorted(
            (k, str(sorted(v) if isinstance(v, list) else v))
            for k, v in e.items()
            if v is not None and k not in HOW | {"event_id", "supersedes", "retracts"}
        )
    )


def resolve(events: list[Event]) -> tuple[list[Event], set[str]]:
    """Return the standing facts and the ids of pending changes."""
    by_id: dict[str, list[Event]] = {}
    for e in events:
        by_id.setdefault(e["event_id"], []).append(e)

    def stands(retraction: str) -> bool:
        return not any(stands(o["event_id"]) for o in events if o.get("retracts") == retraction)

    withdrawn = {e["retracts"] for e in events if e.get("retracts") in by_id and stands(e["event_id"])}
    pending = {e["event_id"] for e in events if e.get("retracts") and e["retracts"] not in by_id}

    def parents(i: str) -> list[str]:
        named = {t for e in by_id[i] for t in e.get("supersedes") or []}
        types = {e["event_type"] for e in by_id[i]}
        found = [t for t in named if any(o["event_type"] in types for o in by_id.get(t, []))]
        if len(found) < len(named):
            pending.add(i)
        return found

    up = {i: parents(i) for i in by_id}

    def roots(i: str) -> set[str]:
        """Ids of first versions from which `i` is reached over living versions."""
        if i in withdrawn:
            return set()
        if not any(e.get("supersedes") for e in by_id[i]):
            return {i}
        return set().union(*(roots(p) for p in up[i])) if up[i] else set()

    living = {i: roots(i) for i in by_id}
    facts: dict[str, list[Event]] = {}
    for i, first in living.items():
        replaced = any(i in up[c] and living[c] for c in by_id)
        if first and not replaced:
            facts.setdefault(min(first), []).extend(e for e in by_id[i] if not e.get("retracts"))
    out = []
    for fact, versions in facts.items():
        if not versions:
            continue
        distinct = {content(v) for v in versions}
        keys = {k for v in versions for k in v} - HOW - {"supersedes", "retracts", "event_id"}
        merged: Event = {}
        for k in keys:
            values = [v.get(k) for v in versions]
            merged[k] = values[0] if all(x == values[0] for x in values) else None
        seats = [v["occasion_id"] for v in versions if v.get("occasion_id")]
        seats = seats or [e["occasion_id"] for e in by_id[fact] if e.get("occasion_id")]
        merged["occasion_id"] = min(seats) if seats else None
        merged |= {
            "fact_id": fact,
            "event_ids": sorted({v["event_id"] for v in versions}),
            "contested": len(distinct) > 1,
            "time": interval(merged.get("occurred")),
        }
        out.append(merged)
    return out, pending


def fold_subject(events: list[Event]) -> dict[str, Any]:
    """Return the compared parts of the state of one subject."""
    facts, pending = resolve(events)
    of = lambda t: [f for f in facts if f["event_type"] == t]  # noqa: E731
    doses = sorted((f["time"], f) for f in of("infusion") if f.get("role") == "study_product" and f["time"])
    doses = sorted((f for _, f in doses), key=lambda f: (f["time"][0], f["fact_id"]))
    start = doses[0]["time"] if doses else None
    prior = [f["time"] for f in of("infusion") if f.get("role") == "lymphodepletion" and f["time"]]
    anchor = min((t for t in prior if start and t[0] <= start[0]), default=start)
    return {
        "pending": pending,
        "contested": {f["fact_id"] for f in facts if f["contested"]},
        "infusion_date": start[2] if start else None,
        "coverage": coverage(of("review")),
        "exposures": {f["fact_id"]: units(f) for f in of("medication")},
        "emergent": {f["fact_id"]: emergent(f, start) for f in of("adverse_event")},
        "findings": findings(of("assessment"), start, anchor),
        "subject": subject(of, start, anchor),
        "periods": [d["time"][0] for d in doses],
        "courses": {f["fact_id"]: (f["time"][2] if f["time"] else None, last_day(f)) for f in of("medication")},
        "planned": planned(of, start),
    }


def last_day(f: Event) -> dt.date | None:
    """Return the last day of a course, where the day is known; one given once ends on its day."""
    if f.get("ended") is not None:
        return interval(f["ended"])[2]  # type: ignore[index]
    return f["time"][2] if f["time"] and f.get("frequency") == "once" else None


def years(born: dt.date, at: dt.date) -> int:
    return at.year - born.year - ((at.month, at.day) < (born.month, born.day))


def subject(of: Any, start: Any, anchor: Any) -> dict[str, Any]:
    """Return who it is, how far the course has come, and the dates that later steps count from."""
    first = sorted(of("enrolment"), key=lambda f: (f["time"] is None, f["time"] and f["time"][0], f["fact_id"]))
    enrolled = first[0] if first else {}
    born = interval(enrolled.get("birth_date"))
    consent = enrolled["time"][2] if enrolled.get("time") else None
    age = enrolled.get("age_years")
    if born and born[2] and ((start and start[2]) or consent):
        age = years(born[2], start[2] if start and start[2] else consent)
    ends: dict[str, list[Any]] = {}
    for f in of("disposition"):
        ends.setdefault(f["milestone"], []).append(f["time"][2] if f["time"] else None)
    left = [d for m in ("discontinued", "lost_to_follow_up") for d in ends.get(m, [])]
    status = (
        "died" if "death" in ends else "discontinued" if left else "completed" if "completed" in ends
        else "infused" if start else "screen_failure" if "screen_failure" in ends else "enrolled"
    )  # fmt: skip
    seen = [f for f in of("assessment") if not f.get("not_done")]
    seen += [f for f in of("visit") if f.get("status") == "held"]
    seen += [*of("infusion"), *of("procedure"), *(f for f in of("disposition") if f["milestone"] != "other")]
    dates = [f["time"][2] for f in seen if f["time"] and f["time"][2]]
    return {
        "age_years": age,
        "consent_date": consent,
        "conditioning_start_date": anchor[2] if anchor and anchor != start else None,
        "last_contact_date": max(dates, default=None),
        "death_date": min((d for d in ends.get("death", []) if d), default=None),
        "discontinued_date": min((d for d in left if d), default=None),
        "status": status,
    }


def planned(of: Any, start: Any) -> dict[str, tuple[str, dt.date | None]]:
    """Return status and date of each planned visit; there are none without an infusion."""
    if not start or not start[2]:
        return {}
    last = subject(of, start, None)["last_contact_date"]
    out = {}
    for visit, (low, high, target) in WINDOWS.items():
        dates = {f["time"][2] for f in of("visit") if f.get("status") == "held" and f["time"] and f["time"][2]}
        forms: dict[Any, list[Event]] = {}
        for f in of("assessment"):
            if f.get("instrument") and f.get("item"):
                forms.setdefault((f["occasion_id"] or f["fact_id"], f["instrument"]), []).append(f)
        for members in forms.values():
            days = [m["time"][2] for m in members if m["time"] and m["time"][2]]
            if any(m.get("visit_id") for m in members) and days:
                dates.add(max(days))
        inside = [d for d in dates if low <= (d - start[2]).days < high]
        best = min(inside, key=lambda d: (abs((d - start[2]).days - target), -d.toordinal()), default=None)
        stated = any(f.get("status") == "missed" and f.get("visit_id") == visit for f in of("visit"))
        closed = last is not None and last >= start[2] + dt.timedelta(days=high)
        out[visit] = ("held" if best else "missed" if stated or closed else "unknown", best)
    return out


def coverage(reviews: list[Event]) -> set[tuple[Any, ...]]:
    spans: dict[str, list[tuple[Any, Any]]] = {}
    for r in reviews:
        end = interval(r.get("until"))
        if r["contested"] or not r["time"] or not end or not r["time"][2] or not end[2] or end[1] <= r["time"][0]:
            continue
        spans.setdefault(r["data_kind"], []).append((r["time"][0], end[1]))
    out = set()
    for kind, parts in spans.items():
        merged: list[list[Any]] = []
        for a, b in sorted(parts):
            if merged and a <= merged[-1][1]:
                merged[-1][1] = max(merged[-1][1], b)
            else:
                merged.append([a, b])
        out |= {(kind, a, b) for a, b in merged}
    return out


def units(f: Event) -> int | None:
    if f.get("drug_class") != "glucocorticoid" or f.get("route") != "oral" or f.get("dose") is None:
        return None
    if f["dose"] == 0:
        return 0
    if f.get("unit") != "mg" or f.get("substance") not in FACTOR or f.get("frequency") not in PER_DAY:
        return None
    value = f["dose"] * FACTOR[f["substance"]] * PER_DAY[f["frequency"]][1]
    return int(value) if value == int(value) else None


def emergent(f: Event, start: Any) -> bool | None:
    if start is None or start[2] is None:
        return None
    day = start[2]

    def local(text: str, last: bool) -> dt.date:
        parts = [int(p) for p in text[:10].split("-")]
        if len(parts) == 1:
            return dt.date(parts[0], 12, 31) if last else dt.date(parts[0], 1, 1)
        if len(parts) == 2:
            return dt.date(parts[0], parts[1], calendar.monthrange(*parts)[1] if last else 1)
        return dt.date(*parts)

    if f.get("occurred"):
        if len(f["occurred"]) >= 10:
            return local(f["occurred"], False) >= day
        if local(f["occurred"], True) < day:
            return False
        if local(f["occurred"], False) > day:
            return True
    return not (f.get("ended") and local(f["ended"], True) < day)


BOTH_STAND = {"VITAL_SIGNS", "ICE", "CAPD", "ICANS_SIGNS", "LABORATORY"}  # rules of safety take the worse


def findings(facts: list[Event], start: Any, anchor: Any) -> dict[str, Any]:
    forms: dict[tuple[str, str], list[Event]] = {}
    for f in facts:
        if f.get("instrument") and f.get("item"):
            forms.setdefault((f["occasion_id"] or f["fact_id"], f["instrument"]), []).append(f)
    rows: dict[str, Any] = {}
    standing: dict[tuple[str, str], dict[str, Event]] = {}
    for key, members in forms.items():
        for item in {m["item"] for m in members}:
            records = [m for m in members if m["item"] == item]
            good = [m for m in records if known(m)]
            times = [m["time"][0] for m in good if m["time"]]
            top = max(times) if times else None
            last = [m for m in good if (m["time"][0] if m["time"] else None) == top]
            clash = (
                len({(m.get("value_number"), m.get("value_code"), m.get("value_text"), m.get("unit")) for m in last})
                > 1
                and key[1] not in BOTH_STAND
            )
            for m in records:
                here = m in good and not clash
                rows[m["fact_id"]] = {"known": here, "number": m.get("value_number") if here else None,
                                      "code": m.get("value_code") if here else None}  # fmt: skip
            if last and not clash:
                standing.setdefault(key, {})[item] = min(last, key=lambda m: m["fact_id"])
    complete = {}
    place = {}
    for key, members in forms.items():
        have = standing.get(key, {})
        if key[1] in COMPLETE_WITH_ANY:
            complete[key] = bool(have)
        else:
            complete[key] = all(i in have for i in ITEMS[key[1]])
        dates = [m["time"][2] for m in members if m["time"] and m["time"][2]]
        place[key] = max(dates) if dates else None
    return {
        "rows": rows,
        "complete": complete,
        "visits": visits(forms, place, start),
        "baseline": base(forms, place, complete, anchor),
    }


def known(f: Event) -> bool:
    number, code = f.get("value_number"), f.get("value_code")
    if f["contested"] and number is None and code is None and f.get("value_text") is None:
        return False
    if f.get("not_done") or code == "unknown":
        return False
    if f["instrument"] == "BILAG2004":
        return code in set("ABCDE")
    top = {"PGA_0_3": 3, "PGA_0_10": 10, "PGA_0_100": 100}[f["item"]]
    return number is not None and 0 <= number <= top


def visits(forms: Any, place: Any, start: Any) -> dict[tuple[str, str], tuple[str | None, bool]]:
    """Return for each form its visit and whether it was chosen for it."""
    out: dict[tuple[str, str], tuple[str | None, bool]] = {}
    rivals: dict[tuple[str, str], list[Any]] = {}
    for key, members in forms.items():
        collected = min((m["visit_id"] for m in members if m.get("visit_id")), default=None)
        date = place[key]
        visit = None
        if collected and date:
            if start and start[2]:
                off = (date - start[2]).days
                visit = next((v for v, (a, b, _) in WINDOWS.items() if a <= off < b), None)
            if visit is None:
                visit = f"unscheduled/{date}" if collected in WINDOWS else collected
        out[key] = (visit, False)
        if visit:
            target = WINDOWS[visit][2] if visit in WINDOWS and start and start[2] else None
            gap = abs((date - start[2]).days - target) if target is not None else 10**6
            at = min(m["time"][0] for m in members if m["time"])
            rivals.setdefault((visit, key[1]), []).append((gap, -date.toordinal(), -at.timestamp(), key[0]))
    for (visit, instrument), candidates in rivals.items():
        out[(min(candidates)[3], instrument)] = (visit, True)
    return out


def base(forms: Any, place: Any, complete: Any, anchor: Any) -> set[tuple[str, str]]:
    """Return the forms of the efficacy baseline visit (PGA and BILAG)."""
    if anchor is None:
        return set()
    before = []
    for key, members in forms.items():
        if place[key] is None:
            continue
        until = max(m["time"][1] for m in members if m["time"])
        collected = min((m["visit_id"] for m in members if m.get("visit_id")), default=None)
        if until <= anchor[0] or (place[key] == anchor[2] and collected == "BL"):
            before.append(key)
    days: dict[dt.date, set[str]] = {}
    for key in before:
        days.setdefault(place[key], set())
        if complete[key]:
            days[place[key]].add(key[1])
    if not days:
        return set()
    best = max(days, key=lambda d: (days[d] >= {"PGA", "BILAG2004"}, d))
    out = set()
    for instrument in ("PGA", "BILAG2004"):
        same = [k for k in before if k[1] == instrument and place[k] == best]
        if same:
            at = {k: min(m["time"][0] for m in forms[k] if m["time"]) for k in same}
            out.add(min(same, key=lambda k: (-at[k].timestamp(), k[0])))
    return out
