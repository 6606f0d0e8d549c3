"""Kaplan-Meier with exact arithmetic: integers and fractions, and decimals where a logarithm is needed.

At ties events come before censorings (Kaplan and Meier, J Am Stat Assoc 1958;53:457). The variance is
Greenwood's; the band is on the log-log scale; where the curve is 1 or 0 there is none. The median is the
first time at which the curve is at most one half; where it is one half over a stretch, the middle of the
stretch. Its interval inverts the band (Brookmeyer and Crowley, Biometrics 1982;38:29).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction

Z_95 = Decimal("1.959963984540054235524594430521")  # 0.975 quantile of the normal distribution
EXACT = Context(prec=40)


@dataclass(frozen=True)
class Step:
    """One distinct time: what was at risk just before it, what happened at it, and the curve from it on.

    Args:
        time: days.
        at_risk: subjects at risk just before `time`.
        events: events at `time`.
        censored: subjects last seen at `time` without the event.
        survival: the curve at `time` and until the next step.
        greenwood: sum of events/(at risk x (at risk - events)) so far; None once the curve is 0.
    """

    time: int
    at_risk: int
    events: int
    censored: int
    survival: Fraction
    greenwood: Fraction | None

    def band(self, z: Decimal = Z_95) -> tuple[Decimal, Decimal] | None:
        """Return the log-log limits of the curve here, or None where it is 1 or 0."""
        if self.greenwood is None or not 0 < self.survival < 1:
            return None
        log = EXACT.ln(_decimal(self.survival))
        wide = EXACT.multiply(z, EXACT.divide(EXACT.sqrt(_decimal(self.greenwood)), log))  # negative: log is
        low, high = (EXACT.exp(EXACT.multiply(log, EXACT.exp(w))) for w in (-wide, wide))
        return low, high


def kaplan_meier(observed: Iterable[tuple[int, bool]]) -> tuple[Step, ...]:
    """Return the curve, one step for each distinct time; `observed` holds days and whether the event happened then."""
    happened: Counter[int] = Counter()
    last_seen: Counter[int] = Counter()
    for day, event in observed:
        (happened if event else last_seen)[day] += 1
    return curve(happened, last_seen)


def curve(happened: Mapping[int, int], last_seen: Mapping[int, int]) -> tuple[Step, ...]:
    """Return the curve from how many had the event, and how many were last seen without it, on each day."""
    happened, last_seen = Counter(happened), Counter(last_seen)
    at_risk = happened.total() + last_seen.total()
    survival, greenwood = Fraction(1), Fraction(0)
    steps = []
    for time in sorted(happened | last_seen):
        d, c = happened[time], last_seen[time]
        survival *= Fraction(at_risk - d, at_risk)
        if d < at_risk:
            greenwood += Fraction(d, at_risk * (at_risk - d))
        steps.append(Step(time, at_risk, d, c, survival, greenwood if survival else None))
        at_risk -= d + c
    return tuple(steps)


def reversed_roles(observed: Iterable[tuple[int, bool]]) -> list[tuple[int, bool]]:
    """Return the observations for follow-up by reverse Kaplan-Meier: the event censors, the end of follow-up counts."""
    return [(day, not event) for day, event in observed]


def at_risk(observed: Iterable[tuple[int, bool]], day: int) -> int:
    """Return how many are at risk just before `day`."""
    return sum(1 for time, _ in observed if time >= day)


def median(steps: tuple[Step, ...]) -> Fraction | None:
    """Return the median time in days, or None where the curve does not come down to one half."""
    half = Fraction(1, 2)
    for place, step in enumerate(steps):
        if step.survival < half:
            return Fraction(step.time)
        if step.survival == half:
            later = next((s.time for s in steps[place + 1 :] if s.events), None)
            return Fraction(step.time if later is None else step.time + later, 1 if later is None else 2)
    return None


def median_limits(steps: tuple[Step, ...], z: Decimal = Z_95) -> tuple[int | None, int | None]:
    """Return the limits of the median in days; None where a limit is not reached."""
    half = Decimal("0.5")
    limits: list[int | None] = [None, None]
    for step in steps:
        band = step.band(z) if step.survival else (Decimal(0), Decimal(0))
        for side in (0, 1):
            if limits[side] is None and band is not None and band[side] <= half:
                limits[side] = step.time
    return limits[0], limits[1]


def _decimal(value: Fraction) -> Decimal:
    return EXACT.divide(Decimal(value.numerator), Decimal(value.denominator))
