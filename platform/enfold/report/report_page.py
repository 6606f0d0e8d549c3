"""The report of a run as one HTML file: run, estimands, abstract, tables, pictures, each with how to get it again."""

import json
from collections.abc import Iterable
from typing import Any

import duckdb

from enfold.report.html import Html, code, element, folded, joined, paragraph, table, text
from enfold.report.model import Figure, Table
from enfold.report.page import described, figure_section, links, page, table_section
from enfold.report.plots.catalogue import figures
from enfold.report.published import Published
from enfold.report.question import source
from enfold.report.tables import OF_OTHERS, sheets
from enfold.study import StudyFile


def report_page(con: duckdb.DuckDBPyConnection, published: Published | None = None) -> str:
    """Return the report of an opened serving file; the same run gives the same bytes.

    With `published`, what was published stands beside the sentences of the abstract.
    """
    study = source(con).study
    ((run,),) = con.execute("SELECT run FROM served").fetchall()
    pins = {k: json.loads(v) for k, v in con.execute("SELECT key, value FROM run_pins ORDER BY key").fetchall()}
    made = [sheet.table() for sheet in sheets(con, study, published)]
    return laid_out(study, run, pins, made, figures(con, study))


def laid_out(study: StudyFile, run: str, pins: dict[str, Any], made: list[Table], pictures: list[Figure]) -> str:
    """Return a report from its parts."""
    first = [table_section(t) for t in made if t.key in OF_OTHERS]
    if not study.estimands:
        first.append(paragraph("The study file declares no estimand: every table describes, none estimates."))
    sections = [
        _section("run", "Run", [_run(study, run, pins)]),
        _section("results", "Results and estimands", first),
        _section("tables", "Tables", [table_section(t) for t in made if t.key not in OF_OTHERS]),
        _section("figures", "Figures", [figure_section(f) for f in pictures]),
    ]
    titles = {t.key: t.title for t in made} | {f.key: f.title for f in pictures}
    contents = links({"run": "Run", **titles})
    return page(study.title, joined(sections), contents=contents, run=run, synthetic=study.synthetic)


def _section(key: str, title: str, parts: Iterable[Html]) -> Html:
    heading = element("h2", text(title), id=f"{key}-title")
    return element("section", heading, joined(parts), aria_labelledby=f"{key}-title", id=key)


def _run(study: StudyFile, run: str, pins: dict[str, Any]) -> Html:
    facts = {
        "Study": study.id,
        "Run": run,
        "Ledger position": str(pins["position"]),
        "Recorded until": pins["recorded_until"] or "no bound",
        "Occurred until": pins["occurred_until"] or "no bound",
        "Data cut-off": str(study.data_cutoff or "not stated"),
        "Head of the ledger": pins["head"],
        "Study file": pins["study"],
        "Schemas": pins["schemas"],
        "Lock of libraries": pins["lock"],
        "Libraries": ", ".join(f"{k} {v}" for k, v in sorted(pins["libraries"].items())),
    }
    asked = {e.alias for e in study.endpoints}
    rules = table(
        text("Rules in force"),
        ("Name", "Definition", "Version", "Parameters", "Plugin", "Code"),
        [
            [text(alias), text(id_), text(version), text(parameters), text(f"{plugin} {its}"), text(hash_)]
            for alias, id_, version, parameters, plugin, its, hash_ in pins["tasks"]
        ],
        label="Table: rules in force",
        class_="words",
    )
    words = (
        f"{len(asked)} endpoints are asked for. Digests are SHA-256; of parameters and code, the first 16 digits. "
        "The same run gives this page again, byte for byte."
    )
    again = folded("Show command", code("enfold report STUDY --html report.html"))
    return joined([described(facts), paragraph(words), element("div", again, folded("Rules", rules), class_="shown")])
