"""What a report is made of: tables and pictures that carry how to reproduce them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """One printed table; every printed cell is a row of `analysis_results`.

    Args:
        key: stable id, used as anchor and file name (`response-by-visit`).
        title: what it shows, with the population in words.
        estimand: the `[[estimands]]` id that it estimates; None where it only describes.
        header: column titles; the first column labels the rows.
        rows: text as printed, already rounded as the study file declares.
        footnotes: rounding, interval method, imputation, what was left out and why.
        sql: a statement on the serving file that gives the numbers of this table.
        command: the command line that prints this table alone.
    """

    key: str
    title: str
    estimand: str | None
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    footnotes: tuple[str, ...]
    sql: str
    command: str


@dataclass(frozen=True)
class Figure:
    """One picture as self-contained SVG (no script, no outside reference), with its text alternative.

    Args:
        key: stable id, used as anchor and file name (`swimmer`).
        title: what it shows, with the population in words.
        svg: the picture; the same bytes for the same run.
        alt: what it shows for those who don't see it.
        footnotes: conventions (values at the limit, censoring, missing).
        sql: a statement on the serving file that gives the drawn values.
        command: the command line that writes this picture alone.
    """

    key: str
    title: str
    svg: str
    alt: str
    footnotes: tuple[str, ...]
    sql: str
    command: str
