"""What a table is made of before it is printed: lines of cells, each cell with the numbers that it shows.

A printed table and the rows of `analysis_results` are two readings of the same sheet.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from enfold.report.model import Table

SYNTHETIC = "SYNTHETIC data"  # how a footnote on made-up data begins
NOT_ESTIMABLE = "NE"  # printed where a number does not exist: of nobody, at a limit, not reached


@dataclass(frozen=True)
class Value:
    """One number of one cell.

    Args:
        statistic: what it is: n, of, percent, lower, upper, median, p …
        value: exact text (rounding.exact), or 12 significant digits where SciPy made it; None where it does not exist.
        method: how it was made: count, clopper_pearson, kaplan_meier …
    """

    statistic: str
    value: str | None
    method: str = "count"


@dataclass(frozen=True)
class Cell:
    """One printed cell and its numbers; a cell of words alone has none."""

    text: str
    values: tuple[Value, ...] = ()


@dataclass(frozen=True)
class Line:
    """One row of a table.

    Args:
        label: first column.
        filter: which rows of the population it speaks of, in the names of the table's statement.
        cells: one a column after the first.
        estimand: the estimand that this line estimates, where not all lines of the table do.
    """

    label: str
    filter: str
    cells: tuple[Cell, ...]
    estimand: str | None = None


@dataclass(frozen=True)
class Sheet:
    """One table with its numbers; see model.Table."""

    key: str
    title: str
    population: str
    estimand: str | None
    header: tuple[str, ...]
    lines: tuple[Line, ...]
    footnotes: tuple[str, ...]
    sql: str

    def table(self) -> Table:
        """Return it as printed."""
        return Table(
            key=self.key,
            title=self.title,
            estimand=self.estimand,
            header=self.header,
            rows=tuple((line.label, *(c.text for c in line.cells)) for line in self.lines),
            footnotes=self.footnotes,
            sql=self.sql,
            command=f"enfold report STUDY --table {self.key}",
        )

    def results(self) -> Iterator[dict[str, Any]]:
        """Yield one row for each number, and one for each cell that holds none.

        Where lines name their own estimands, the others estimate none.
        """
        own = any(line.estimand for line in self.lines)
        for row, line in enumerate(self.lines, start=1):
            for column, (title, cell) in enumerate(zip(self.header[1:], line.cells, strict=True), start=1):
                for part, value in enumerate(cell.values or (Value("text", None, "text"),), start=1):
                    yield {
                        "table_key": self.key, "row": row, "column": column, "part": part,
                        "label": line.label, "header": title, "population": self.population,
                        "estimand": line.estimand if own else self.estimand, "filter": line.filter,
                        "method": value.method, "statistic": value.statistic, "value": value.value,
                        "printed": cell.text, "synthetic": any(n.startswith(SYNTHETIC) for n in self.footnotes),
                    }  # fmt: skip
