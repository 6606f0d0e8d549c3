"""What every table starts from: the serving file, the study file, and statements in plain SQL."""

from dataclasses import dataclass
from typing import Any

import duckdb

from enfold import study
from enfold.errors import UsageError
from enfold.quoting import literal
from enfold.report.cells import Cells
from enfold.report.sheet import SYNTHETIC, Line, Sheet
from enfold.study import StudyFile
from enfold.study.reporting import Estimand

# strategies that need data or models which no verdict holds: an estimand with one of them is declared, not estimated
NOT_ESTIMATED = ("hypothetical", "principal_stratum")
POPULATIONS = {
    "all": "all subjects that the cut shows",
    "enrolled": "all enrolled subjects",
    "infused": "all infused subjects",
    "efficacy_evaluable": "efficacy-evaluable subjects",
    "dlt_evaluable": "subjects evaluable for dose-limiting toxicity",
    "pk": "subjects of the pharmacokinetic set",
}


@dataclass(frozen=True)
class Source:
    """An opened serving file and its study file; `only` is the key of the one table that is wanted."""

    con: duckdb.DuckDBPyConnection
    study: StudyFile
    only: str | None = None

    def wants(self, key: str) -> bool:
        """Whether a table is to be made."""
        return self.only in (None, key)

    @property
    def cells(self) -> Cells:
        """Makes cells by the study's choices."""
        return Cells(self.study.report)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Return the rows of a statement."""
        return [dict(r) for r in self.con.sql(sql).to_arrow_table().to_pylist()]

    def aliases(self, endpoint: str) -> list[str]:
        """Return the names under which the study asks for an endpoint, sorted."""
        found = self.con.execute("SELECT alias FROM asked WHERE id = ? ORDER BY alias", [endpoint]).fetchall()
        return [a for (a,) in found]

    def estimands(self, alias: str, summary: str) -> list[Estimand]:
        """Return the study's estimands of an endpoint that a table can estimate, in the order of the study file."""
        return [
            e
            for e in self.study.estimands
            if e.variable == alias
            and e.summary == summary
            and not any(strategy in NOT_ESTIMATED for _, strategy in e.intercurrent)
        ]

    def estimand(self, alias: str, summary: str) -> tuple[Estimand | None, str]:
        """Return the first of them, and the population of the table that estimates it."""
        found = next(iter(self.estimands(alias, summary)), None)
        return found, found.population if found else "infused"

    def sheet(
        self,
        key: str,
        title: str,
        sql: str,
        header: tuple[str, ...],
        lines: list[Line],
        footnotes: list[str],
        *,
        population: str = "infused",
        estimand: Estimand | None = None,
    ) -> Sheet:
        """Return a table over a population, labelled synthetic where the study is."""
        synthetic = [f"{SYNTHETIC}: no real patient."] if self.study.synthetic else []
        notes = [*synthetic, *([intercurrent(estimand)] if estimand else []), *footnotes]
        words = POPULATIONS[population]
        return Sheet(
            key,
            f"{title}; {words}",
            population,
            estimand.id if estimand else None,
            header,
            tuple(lines),
            tuple(notes),
            sql,
        )


def source(con: duckdb.DuckDBPyConnection) -> Source:
    """Return what an opened serving file holds: the study file is the one that the run followed.

    Raises:
        UsageError: the file was made before reports needed what it lacks.
    """
    try:
        ((text,),) = con.execute("SELECT study_file FROM served").fetchall()
    except duckdb.CatalogException:
        msg = "the serving file was made by an earlier enfold and does not hold its study file"
        raise UsageError(msg, remedy="Make it anew: enfold run STUDY.") from None
    return Source(con, study.parse(text))


def intercurrent(e: Estimand) -> str:
    """Return an estimand in one sentence."""
    how = ", ".join(f"{event.replace('_', ' ')}: {s.replace('_', ' ')}" for event, s in e.intercurrent)
    at = {None: "", "any": " at any planned visit", "last": " at the last visit attended"}.get(e.at, f" at {e.at}")
    return (
        f"Estimand {e.id}: {e.summary.replace('_', ' ')} of {e.variable}{at} in {POPULATIONS[e.population]};"
        f" intercurrent events: {how or 'none declared'}."
    )


def population(name: str) -> str:
    """Return the common table expression of an analysis set."""
    return (
        "population AS (\n    SELECT study_id, subject_id FROM analysis_sets"
        f" WHERE set = {literal(name)} AND included = 'yes'\n)"
    )
