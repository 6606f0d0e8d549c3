"""Cells as the study file wants them printed: counts first, then percentage and interval."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from enfold.report.proportion import proportion_interval
from enfold.report.rounding import exact, rounded
from enfold.report.sheet import NOT_ESTIMABLE, Cell, Value
from enfold.study.reporting import Choices

METHODS = {"clopper_pearson": "Clopper-Pearson (exact)", "wilson": "Wilson (score)"}
Number = Fraction | Decimal | int


def count(k: int) -> Cell:
    """Return a count."""
    return Cell(str(k), (Value("n", str(k)),))


def words(text: str) -> Cell:
    """Return a cell that holds no number."""
    return Cell(text)


@dataclass(frozen=True)
class Cells:
    """Makes cells by the choices of the study file."""

    choices: Choices

    def number(self, value: Number | None, statistic: str, method: str, places: int = 1) -> Cell:
        """Return one number, or NE."""
        if value is None:
            return Cell(NOT_ESTIMABLE, (Value(statistic, None, method),))
        return Cell(self.rounded(value, places), (Value(statistic, exact(value), method),))

    def span(
        self,
        limits: tuple[Number | None, Number | None] | None,
        method: str,
        places: int = 1,
        names: tuple[str, str] = ("lower", "upper"),
    ) -> Cell:
        """Return `lower to upper`, each NE where it does not exist."""
        low, high = limits or (None, None)
        shown = [NOT_ESTIMABLE if v is None else self.rounded(v, places) for v in (low, high)]
        text = NOT_ESTIMABLE if low is None and high is None else f"{shown[0]} to {shown[1]}"
        named = zip(names, (low, high), strict=True)
        return Cell(text, tuple(Value(n, None if v is None else exact(v), method) for n, v in named))

    def share(self, k: int, n: int) -> tuple[Cell, Cell, Cell]:
        """Return `k/n`, its percentage, and its interval in percent."""
        return self.known(k, n), self.percent(k, n), self.interval(k, n)

    def percent(self, k: int, n: int) -> Cell:
        """Return k of n in percent, or NE of nobody."""
        places = self.choices.percent_places
        return self.number(Fraction(100 * k, n) if n else None, "percent", "proportion", places)

    def interval(self, k: int, n: int) -> Cell:
        """Return the interval of k of n in percent."""
        found = proportion_interval(k, n, self.choices.level, self.choices.interval)
        places = self.choices.percent_places
        return self.span(found and (100 * found[0], 100 * found[1]), self.choices.interval, places)

    def counted(self, k: int, n: int) -> Cell:
        """Return `k (percent)`."""
        share = self.percent(k, n)
        return Cell(f"{k} ({share.text} %)" if n else str(k), (Value("n", str(k)), Value("of", str(n)), *share.values))

    def known(self, k: int, n: int) -> Cell:
        """Return `k/n` alone."""
        return Cell(f"{k}/{n}", (Value("n", str(k)), Value("of", str(n))))

    def median(self, value: Number | None, places: int = 1) -> Cell:
        """Return a median."""
        return self.number(value, "median", self.quartile, places)

    def quartiles(self, low: Number | None, high: Number | None, places: int = 1) -> Cell:
        """Return `Q1 to Q3`."""
        return self.span((low, high), self.quartile, places, ("q1", "q3"))

    def range(self, low: Number | None, high: Number | None, places: int = 1) -> Cell:
        """Return `least to greatest`."""
        return self.span((low, high), "order", places, ("least", "greatest"))

    def summary(self, row: Mapping[str, Any], places: int = 1) -> tuple[Cell, Cell, Cell]:
        """Return median, quartiles and range from a row with `median`, `q1`, `q3`, `least` and `greatest`."""
        return (
            self.median(row["median"], places),
            self.quartiles(row["q1"], row["q3"], places),
            self.range(row["least"], row["greatest"], places),
        )

    @property
    def quartile(self) -> str:
        """The macro of the serving file that the study's definition of quantiles means."""
        return f"quartile_{self.choices.quantile}"

    def rounding_note(self) -> str:
        """What a footnote says of rounding."""
        return f"Rounded {self.choices.rounding.replace('_', ' ')}, at display only. {NOT_ESTIMABLE}: not estimable."

    def rounded(self, value: Number, places: int) -> str:
        """Return a number as the study file rounds it."""
        return rounded(value, places, self.choices.rounding)

    @property
    def level(self) -> str:
        """The level of intervals as a heading says it."""
        return f"{(self.choices.level * 100).normalize():f} % CI"

    def interval_note(self) -> str:
        """What a footnote says of percentages and their intervals."""
        c = self.choices
        return (
            f"Counts first; percentages with {c.percent_places} decimals, {self.level} by {METHODS[c.interval]}."
            f" {self.rounding_note()}"
        )

    def quantile_note(self) -> str:
        """What a footnote says of medians and quartiles."""
        return f"Median and quartiles: definition {self.choices.quantile} of Hyndman and Fan. {self.rounding_note()}"
