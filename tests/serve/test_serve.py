"""The serving file: documented queries, views, and what it refuses."""

import re
from pathlib import Path

import pytest

import enfold as package
from enfold import schema
from enfold.errors import UsageError

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "queries.md").read_text("utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE, re.S)


@pytest.mark.parametrize("query", QUERIES, ids=["responders", "reasons", "source rows"])
def test_documented_queries_have_answers(demo: Path, query: str) -> None:
    assert package.open(str(demo)).sql(query).fetchall()


def test_every_table_of_the_schemas_is_served_with_its_columns(demo: Path) -> None:
    study = package.open(str(demo))
    for name, table in {**schema.state(), **schema.results()}.items():
        assert tuple(study.table(name).column_names) == table.names


def test_every_cited_event_is_one_that_stands(demo: Path) -> None:
    missing = package.open(str(demo)).sql(
        "SELECT count(*) FROM (SELECT DISTINCT subject_id, unnest(event_ids) AS event_id FROM verdicts)"
        " ANTI JOIN (FROM events WHERE effective) USING (subject_id, event_id)"
    )
    assert missing.fetchall() == [(0,)]


def test_adae_and_adsl_speak_adam(demo: Path) -> None:
    study = package.open(str(demo))
    assert {"STUDYID", "USUBJID", "TRTSDT", "AGE", "SEX", "ARM"} <= set(study.table("adsl").column_names)
    assert {"USUBJID", "AETERM", "TRTEMFL", "AETOXGR"} <= set(study.table("adae").column_names)


def test_nothing_run_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing has been run"):
        package.open(str(tmp_path))
