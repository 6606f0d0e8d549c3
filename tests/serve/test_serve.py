"""The serving file: documented queries, views, and what it refuses."""

import re
from pathlib import Path

import duckdb
import pytest

import enfold as package
from enfold import schema
from enfold.cli.main import main as enfold
from enfold.errors import UsageError

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "queries.md").read_text("utf-8")
QUERIES = re.findall(r"^## (.*?)\n.*?```sql\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.S | re.M)


def test_there_are_twelve_documented_queries() -> None:
    assert len(QUERIES) == PAGE.count("```sql") == 12


@pytest.mark.parametrize(("title", "query", "printed"), QUERIES, ids=[q[0] for q in QUERIES])
def test_documented_queries_print_what_the_page_prints(
    demo: Path, title: str, query: str, printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert enfold(["sql", str(demo), query, "--format", "csv"]) == 0
    assert capsys.readouterr().out == printed, title


def test_every_table_of_the_schemas_is_served_with_its_columns(demo: Path) -> None:
    study = package.open(str(demo))
    for name, table in {**schema.state(), **schema.results()}.items():
        assert tuple(study.table(name).column_names) == table.names


def test_a_study_can_be_opened_twice_at_once(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    one, two = package.open(demo), package.open(demo)
    zone = "SELECT current_setting('TimeZone'), current_setting('enable_external_access')"
    assert one.sql(zone).fetchall() == two.sql(zone).fetchall() == [("UTC", False)]
    with pytest.raises(duckdb.Error, match="locked"):
        two.sql("SET enable_external_access = true")


@pytest.mark.parametrize("query", [
    "COPY (SELECT 1) TO '{}' (FORMAT csv, USE_TMP_FILE false)",
    "/* a */ copy subjects TO '{}'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{}' (FORMAT csv, USE_TMP_FILE false)",
    "COPY (PIVOT (SELECT 1 AS a, 2 AS b) ON a USING max(b)) TO '{}'",
    "SELECT 'ää'; COPY (SELECT 1) TO '{}'",
    "SELECT 1; EXPORT DATABASE '{}'",
])  # fmt: skip
def test_no_query_writes_over_what_is_served(demo_copy: Path, query: str) -> None:
    before = {p: p.read_bytes() for p in (demo_copy / "serve").iterdir()}
    study = package.open(demo_copy)
    for path in before:
        with pytest.raises(UsageError, match="would write a file"):
            study.sql(query.format(path))
        assert enfold(["sql", str(demo_copy), query.format(path)]) == 2
    assert {p: p.read_bytes() for p in (demo_copy / "serve").iterdir()} == before
    words = "SELECT 'COPY me' AS \"copy\" -- copy: words in quotes and comments are none"
    assert study.sql(words).fetchall() == [("COPY me",)]


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
