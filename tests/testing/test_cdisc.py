"""The CDISC pilot, landed from SDTM, against its published ADaM."""

from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

import enfold as package
from enfold.cli.main import main as enfold
from enfold.shipped import package_file
from enfold.testing.cdisc.main import DOMAINS, QUESTIONS, source


@pytest.fixture(scope="module")
def pilot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pilot landed without the derived reference dates that DM carries."""
    root = tmp_path_factory.mktemp("pilot")
    (root / "study.toml").write_text(package_file("testing/cdisc/study.toml"))
    study = root / "study"
    assert enfold(["init", str(study), str(root / "study.toml")]) == 0
    for domain in DOMAINS:
        path = source(domain)
        if domain == "dm":
            rows = pq.read_table(path)
            derived = [c for c in rows.column_names if c.startswith("RF")]
            path = root / "dm.parquet"
            pq.write_table(rows.drop_columns(derived), path)
        assert enfold(["land", str(study), str(path), "--mapping", f"sdtm/{domain}", "--strict"]) == 0
    assert enfold(["run", str(study)]) == 0
    return study


def adam(name: str) -> str:
    return f"'{source(name, 'cdiscpilotadam')}'"


def test_every_source_row_became_an_event(pilot: Path) -> None:
    counts = dict(package.open(str(pilot)).sql("SELECT event_type, count(*) FROM events GROUP BY 1").fetchall())
    assert counts == {"enrolment": 306, "infusion": 591, "adverse_event": 1191, "disposition": 596}


def test_first_dose_date_of_all_254_treated_subjects(pilot: Path) -> None:
    ours = dict(package.open(str(pilot)).sql("SELECT USUBJID, TRTSDT FROM adsl WHERE TRTSDT IS NOT NULL").fetchall())
    theirs = dict(duckdb.sql(f"SELECT USUBJID, TRTSDT FROM {adam('adsl')}").fetchall())
    assert len(theirs) == 254
    assert ours == theirs


def test_treatment_emergent_flag_row_by_row(pilot: Path) -> None:
    rows = (
        package.open(str(pilot))
        .sql("SELECT e.source_row, a.USUBJID, a.TRTEMFL FROM adae a JOIN events e ON e.event_id = a.event_ids[1]")
        .fetchall()
    )
    keys = duckdb.sql(f"SELECT row_number() OVER (), USUBJID, AESEQ FROM '{source('ae')}'").fetchall()
    key = {row: (subject, seq) for row, subject, seq in keys}
    ours = {key[row]: flag == "Y" for row, _, flag in rows}
    theirs = {
        (subject, seq): flag == "Y"
        for subject, seq, flag in duckdb.sql(f"SELECT USUBJID, AESEQ, TRTEMFL FROM {adam('adae')}").fetchall()
    }
    assert len(theirs) == 1191
    assert ours == theirs


def test_partial_onsets_of_earlier_years_are_not_treatment_emergent(pilot: Path) -> None:
    found = (
        package.open(str(pilot))
        .sql(
            "SELECT count(*), count(*) FILTER (o.treatment_emergent) FROM occurrences o"
            " JOIN events e ON e.event_id = o.event_ids[1] WHERE length(e.occurred) = 4"
        )
        .fetchall()
    )
    assert found == [(11, 0)]


def test_landing_the_pilot_again_lands_nothing(pilot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert enfold(["land", str(pilot), str(source("ex")), "--mapping", "sdtm/ex"]) == 0
    assert "0 landed, 591 already there" in capsys.readouterr().out


def test_the_three_questions_have_answers(pilot: Path) -> None:
    study = package.open(str(pilot))
    answers = {name: study.sql(query).fetchall() for name, query in QUESTIONS.items()}
    by_arm: dict[str, int] = {}
    for arm, _, n in answers["subjects by arm and status"]:
        by_arm[arm] = by_arm.get(arm, 0) + n
    assert by_arm == {"Placebo": 86, "Screen Failure": 52, "Xanomeline High Dose": 84, "Xanomeline Low Dose": 84}
    assert [r[:2] for r in answers["exposure by arm"]] == [
        ("Placebo", 86),
        ("Xanomeline High Dose", 84),
        ("Xanomeline Low Dose", 84),
    ]
    assert sum(r[2] for r in answers["treatment-emergent adverse events by arm and severity"]) == 1126


def test_a_key_that_is_not_unique_refuses_the_file(pilot: Path, tmp_path: Path) -> None:
    from enfold.shipped import shipped

    text = (shipped("schemas") / "mappings" / "sdtm" / "ae.toml").read_text("utf-8")
    narrow = tmp_path / "ae.toml"
    text = text.replace('key   = ["AESPID", "AEDTC", "AEOUT"]', 'key   = ["AESPID"]')
    narrow.write_text(text.replace('columns = ["AETRTEM"]', 'columns = ["AETRTEM", "AEDTC"]'))
    assert enfold(["land", str(pilot), str(source("ae")), "--mapping", str(narrow)]) == 7
