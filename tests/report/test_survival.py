"""Kaplan-Meier against a published table, lifelines, and the laws that it must keep."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enfold.report.survival import at_risk, kaplan_meier, median, median_limits, reversed_roles

# 6-MP arm of Freireich et al., Blood 1963;21:699: weeks in remission, 9 relapses, 12 censored
MP6 = [(t, True) for t in (6, 6, 6, 7, 10, 13, 16, 22, 23)] + [
    (t, False) for t in (6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35)
]
# time, at risk, events, survival as printed in textbooks (Collett, Modelling Survival Data; Kleinbaum and Klein)
PUBLISHED = [(6, 21, 3, "0.8571"), (7, 17, 1, "0.8067"), (10, 15, 1, "0.7529"), (13, 12, 1, "0.6902"),
             (16, 11, 1, "0.6275"), (22, 7, 1, "0.5378"), (23, 6, 1, "0.4482")]  # fmt: skip


def test_the_published_table() -> None:
    steps = [s for s in kaplan_meier(MP6) if s.events]
    assert [(s.time, s.at_risk, s.events, f"{float(s.survival):.4f}") for s in steps] == PUBLISHED
    assert median(kaplan_meier(MP6)) == 23
    assert median_limits(kaplan_meier(MP6)) == (13, None)  # survfit(conf.type = "log-log")


def test_one_half_over_a_stretch_has_its_middle_as_median() -> None:
    assert median(kaplan_meier([(t, True) for t in (1, 2, 3, 4)])) == Fraction(5, 2)


@pytest.mark.parametrize(
    ("observed", "expected_median"),
    [([], None), ([(5, False)], None), ([(5, True)], 5), ([(0, True), (0, True)], 0), ([(3, False), (9, False)], None)],
)
def test_the_least_of_data(observed: list[tuple[int, bool]], expected_median: int | None) -> None:
    steps = kaplan_meier(observed)
    assert median(steps) == expected_median
    assert all(s.band() is None for s in steps)
    assert at_risk(observed, 0) == len(observed)


observations = st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(observations)
def test_as_lifelines(observed: list[tuple[int, bool]]) -> None:
    from lifelines import KaplanMeierFitter

    fitted = KaplanMeierFitter().fit([t for t, _ in observed], [e for _, e in observed])
    band = fitted.confidence_interval_survival_function_
    for step in kaplan_meier(observed):
        assert float(step.survival) == pytest.approx(fitted.predict(step.time), abs=1e-12)
        if step.band() is not None:
            low, high = band.loc[step.time]
            assert [float(v) for v in step.band() or ()] == pytest.approx([low, high], abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(observations)
def test_laws(observed: list[tuple[int, bool]]) -> None:
    steps = kaplan_meier(observed)
    assert steps == kaplan_meier(reversed(observed))
    assert sum(s.events + s.censored for s in steps) == len(observed)
    values = [Fraction(1), *(s.survival for s in steps)]
    assert values == sorted(values, reverse=True)
    for s in steps:
        assert s.at_risk == at_risk(observed, s.time)
        limits = s.band()
        if limits is not None:
            assert 0 <= limits[0] <= Decimal(s.survival.numerator) / s.survival.denominator <= limits[1] <= 1
    assert reversed_roles(reversed_roles(observed)) == list(observed)
