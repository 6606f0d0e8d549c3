"""Best overall response in the manner of RECIST 1.1, from SDTM TR and RS records; an example of a plugin."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from enfold.contract import Declaration, Endpoint, Parameters, Patient, PatientRule, Verdict, hookimpl

INSTRUMENT = "example_recist__RESPONSE"
RESPONSES = ("CR", "PR")


@dataclass(frozen=True)
class Settings(Parameters):
    """Published thresholds; a study overrides them in study.toml."""

    partial_decrease_percent: int = 30  # of the baseline sum
    progression_increase_percent: int = 20  # of the smallest sum so far
    progression_increase_mm: Decimal = Decimal(5)  # and at least so much
    confirmed_after_days: int = 28  # a response must be seen again so much later
    stable_from_day: int = 42  # stable disease must be seen on or after this day of treatment


@dataclass(frozen=True)
class Seen:
    """One assessment: its day of treatment, and what is known of it (None: unknown)."""

    day: int
    until: datetime
    measured: bool  # a sum was asked for, known or not
    sum_mm: Decimal | None
    non_target: str | None
    new_lesions: bool | None
    event_ids: tuple[str, ...]


@dataclass(frozen=True)
class Before:
    """What went before an assessment: the baseline sum, and the smallest known one so far."""

    baseline: Decimal | None
    nadir: Decimal | None
    all_known: bool  # no sum before was unknown, so `nadir` is the smallest


def target(seen: Seen, before: Before, at: Settings) -> tuple[str, str]:
    """Return the worst and the best response of the target lesions that what is known allows; whole comparisons."""

    def progressed(nadir: Decimal) -> bool:
        grown = seen.sum_mm - nadir
        return grown >= at.progression_increase_mm and 100 * grown >= at.progression_increase_percent * nadir

    if seen.sum_mm is None:
        return "PD", "CR"
    if seen.sum_mm == 0:
        return "CR", "CR"
    if before.nadir is not None and progressed(before.nadir):
        return "PD", "PD"  # a smaller one that nobody knows would only make it more
    if before.baseline is None:
        worst, best_ = "SD", "PR"
    else:
        less = 100 * (before.baseline - seen.sum_mm) >= at.partial_decrease_percent * before.baseline
        worst = best_ = "PR" if less else "SD"
    return ("PD" if not before.all_known and progressed(Decimal(0)) else worst), best_


def overall(seen: Seen, before: Before, at: Settings) -> tuple[str, str]:
    """Return the worst and the best response at one assessment; progression anywhere decides."""

    def joined(measured: str, non_target: str, new_lesions: bool) -> str:
        if "PD" in (measured, non_target) or new_lesions:
            return "PD"
        return "PR" if measured == "CR" and non_target not in ("CR", "NONE") else measured

    worst, best_ = target(seen, before, at)
    new = seen.new_lesions
    return (
        joined(worst, seen.non_target or "PD", new is None or new),
        joined(best_, seen.non_target or "CR", bool(new)),
    )


def best(responses: list[tuple[int, str]], at: Settings) -> str:
    """Return the best response of assessments in order of day; nothing after the first progression counts."""
    ends = next((place for place, (_, kind) in enumerate(responses, 1) if kind == "PD"), len(responses))
    counted = responses[:ends]

    def again(day: int, kinds: tuple[str, ...]) -> bool:
        return any(later - day >= at.confirmed_after_days and kind in kinds for later, kind in counted)

    if any(kind == "CR" and again(day, ("CR",)) for day, kind in counted):
        return "CR"
    if any(kind in RESPONSES and again(day, RESPONSES) for day, kind in counted):
        return "PR"
    if any(kind in ("SD", *RESPONSES) and day >= at.stable_from_day for day, kind in counted):
        return "SD"
    return "PD" if counted and counted[-1][1] == "PD" else "NE"


def judge(patient: Patient, at: Settings) -> Iterator[Verdict]:
    """Judge one patient: baseline, then each assessment up to a progression that is certain.

    What is unknown is taken at its worst and at its best; a better response is never a worse answer, so the two say
    whether the unknown matters.
    """
    seen = assessments(patient)
    start = [s for s in seen if s.day <= 0 and s.measured][-1:]
    base = start[0].sum_mm if start else None
    before = Before(base, base, bool(start) and base is not None)
    cited, worst, finest = list(start), [], []
    for one in (s for s in seen if s.day > 0):
        low, high = overall(one, before, at)
        cited.append(one)
        worst.append((one.day, low))
        finest.append((one.day, high))
        if high == "PD":
            break
        sums = [v for v in (before.nadir, one.sum_mm) if v is not None]
        before = Before(base, min(sums, default=None), before.all_known and one.sum_mm is not None)
    low, high = best(worst, at), best(finest, at)
    responds = set() if "NE" in (low, high) else {low in RESPONSES, high in RESPONSES}
    ended = bool(finest) and finest[-1][1] == "PD"
    yield Verdict(
        status=("met" if responds == {True} else "not_met") if len(responds) == 1 else "not_evaluable",
        value_code=low if low == high else None,
        reason=None if len(responds) == 1 else "too few assessments, or what is unknown could change the answer",
        compared="; ".join(
            f"day {day} {a}" if a == b else f"day {day} {a} to {b}"
            for (day, a), (_, b) in zip(worst, finest, strict=True)
        ),
        # before progression a later assessment can still be a better one
        known_from=max(one.until for one in cited) if ended else None,
        event_ids=sorted({i for one in cited for i in one.event_ids}),
    )


def assessments(patient: Patient) -> list[Seen]:
    """Return the assessments in order of day; two forms of one day stand in order of their ids."""
    forms: dict[tuple[int, str], list[Any]] = {}
    for f in patient.findings:
        if f.instrument == INSTRUMENT and f.infusion_day is not None:
            forms.setdefault((f.infusion_day, f.occasion_id), []).append(f)
    out = []
    for (day, _), findings in sorted(forms.items(), key=lambda form: form[0]):
        known: dict[str, Any] = {}
        for item in ("SUMDIAM", "NTRGRESP", "NEWLES"):
            values = {(f.value_number, f.value_code) if f.known else None for f in findings if f.item == item}
            found = values.pop() if len(values) == 1 else None  # two answers are none
            known[item] = found or (None, None)
        new, other = known["NEWLES"][1], known["NTRGRESP"][1]
        out.append(
            Seen(
                day=day,
                until=max(f.until_at for f in findings),
                measured=any(f.item == "SUMDIAM" for f in findings),
                sum_mm=known["SUMDIAM"][0],
                non_target=None if other == "NE" else other,
                new_lesions=None if new is None else new == "Y",
                event_ids=tuple(i for f in findings for i in f.event_ids),
            )
        )
    return out


best_overall_response = Endpoint(
    id="example_recist_best_response",
    version="1.1",
    citation="Eisenhauer EA et al. Eur J Cancer 2009;45:228-247 (RECIST 1.1), simplified: nodes are not told apart",
    grain="subject",
    reads={
        "subjects": ("subject_id",),
        "findings": ("occasion_id", "instrument", "item", "infusion_day", "until_at", "value_number", "value_code",
                     "known", "event_ids"),
    },
    instruments=(INSTRUMENT,),
    parameters=Settings(),
    rule=PatientRule(judge),
    criteria={"overall": "best response is a confirmed complete or partial one"},
)  # fmt: skip


@hookimpl
def enfold_declarations() -> list[Declaration]:
    """Register the endpoint."""
    return [best_overall_response]
