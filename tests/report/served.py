"""Serving files of other cohorts than the demo's: its rows, changed in memory by a statement or two."""

from pathlib import Path

import duckdb

from enfold import schema, study
from enfold.serve.build import create_views, current
from enfold.serve.study import connect
from enfold.study import StudyFile

OTHERS = ("run_pins", "rules", "asked", "analysis_set_rules", "levels", "served")


def changed(demo: Path, *statements: str) -> duckdb.DuckDBPyConnection:
    """Return a copy of the demo's serving file, in memory, after the statements."""
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    with connect(current(demo)) as source:
        for name in (*schema.state(), *schema.results(), *OTHERS):
            con.register("part", source.table(name).to_arrow_table())
            con.execute(f'CREATE TABLE "{name}" AS FROM part')
            con.unregister("part")
    create_views(con)
    for statement in statements:
        con.execute(statement)
    return con


def study_of(demo: Path) -> StudyFile:
    """Return the demo's study file."""
    return study.parse((demo / "study.toml").read_text("utf-8"))


def only(condition: str) -> list[str]:
    """Return statements that leave the subjects of a condition."""
    tables = (
        "coverage", "data_findings", "derived", "events", "exposures", "findings", "occasions", "occurrences", "periods",
        "reviews", "visits", "verdicts", "subjects",
    )  # fmt: skip
    kept = f"subject_id IN (SELECT subject_id FROM subjects WHERE {condition})"
    return [f"DELETE FROM {t} WHERE NOT ({kept})" for t in tables]


COHORTS = {
    "nobody": only("false"),
    "one patient": only("subject_id = 'DEMO-010'"),
    "an arm without patients": only("dose_level <> '0.3'"),
    "no dose level assigned": ["UPDATE subjects SET dose_level = NULL"],
    "nobody infused": ["UPDATE subjects SET infusion_date = NULL", "DELETE FROM verdicts", "DELETE FROM derived",
                       "DELETE FROM periods"],
    "nobody responds": ["UPDATE verdicts SET status = 'not_met' WHERE status = 'met' AND grain = 'visit'",
                        "UPDATE verdicts SET status = 'not_met', value_number = NULL WHERE id = 'response_course'"],
    "everybody responds": ["UPDATE verdicts SET status = 'met' WHERE status <> 'not_applicable' AND grain = 'visit'"],
    "nothing evaluable": ["UPDATE verdicts SET status = 'not_evaluable', value_number = NULL",
                          "UPDATE derived SET value_number = NULL, lower = NULL, upper = NULL"],
    "nothing due": ["UPDATE verdicts SET status = 'not_applicable' WHERE grain = 'visit'"],
    "everybody censored": ["UPDATE verdicts SET status = 'not_met' WHERE id = 'relapse_free_survival'"
                           " AND criterion = 'overall'"],
    "everybody relapses on one day": ["UPDATE verdicts SET value_number = 90 WHERE id = 'relapse_free_survival'",
                                      "UPDATE verdicts SET status = 'met' WHERE id = 'relapse_free_survival'"],
    "everybody dies on day 0": ["UPDATE verdicts SET value_number = 0 WHERE id = 'relapse_free_survival'",
                                "UPDATE verdicts SET status = 'met' WHERE id = 'relapse_free_survival'",
                                "UPDATE subjects SET death_date = infusion_date, last_contact_date = infusion_date"],
    "nobody's last contact known": ["UPDATE subjects SET last_contact_date = NULL, death_date = NULL"],
    "no sample": ["DELETE FROM findings WHERE instrument = 'CELL_KINETICS'"],
    "all below quantification": ["UPDATE findings SET comparator = '<', value_number = 50 WHERE item = 'CAR_COPIES'"],
    "levels of nought": ["UPDATE findings SET comparator = NULL, value_number = 0 WHERE item = 'CAR_COPIES'"],
    "two units": ["UPDATE findings SET unit = 'copies/mL' WHERE item = 'CAR_COPIES' AND subject_id = 'DEMO-001'"],
    "no baseline": ["UPDATE occasions SET baseline_for = NULL"],
}  # fmt: skip
