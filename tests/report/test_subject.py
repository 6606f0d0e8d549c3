"""One patient: every value with an event that can be walked on from, in the terminal, as JSON and as a page."""

import json
from pathlib import Path
from typing import Any

import pytest

from enfold.cli.main import main as enfold
from enfold.errors import UsageError
from enfold.report.course import course, statement
from enfold.report.plots import profile
from enfold.report.plots.plan import figure
from enfold.report.subject_page import subject_page
from enfold.serve.build import current
from enfold.serve.study import answer, connect
from report.browsing import NASTY, Read, axe_finds, opened
from report.served import COHORTS, changed, study_of

pytest.importorskip("vl_convert")
WHO = "DEMO-010"


@pytest.fixture(scope="module")
def written(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("subject") / "subject.html"
    assert enfold(["subject", str(demo), WHO, "--html", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def found(demo: Path) -> dict[str, Any]:
    with connect(current(demo)) as con:
        return course(con, study_of(demo), WHO)


def test_every_value_has_an_event_that_stands(demo: Path, found: dict[str, Any]) -> None:
    with connect(current(demo)) as con:
        standing = {
            i
            for (i,) in con.execute("SELECT event_id FROM events WHERE subject_id = ? AND effective", [WHO]).fetchall()
        }
    rows = [*found["course"], *found["findings"]]
    assert all(set(r["event_ids"]) <= standing for r in rows)
    assert all(r["event_ids"] for r in rows if r.get("value") is not None)
    assert all(r["event_ids"] for r in found["findings"])


def test_nothing_of_the_patient_is_left_out(demo: Path, found: dict[str, Any]) -> None:
    shown = {i for r in [*found["course"], *found["findings"], found["subject"]] for i in r["event_ids"]}
    with connect(current(demo)) as con:
        for state in ("exposures", "occurrences", "findings", "visits", "periods"):
            ids = con.execute(f"SELECT unnest(event_ids) FROM {state} WHERE subject_id = ?", [WHO]).fetchall()
            assert {i for (i,) in ids} <= shown, state


def test_the_course_in_words(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert enfold(["subject", str(demo), WHO]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "SYNTHETIC data: no real patient."
    assert lines[1].startswith("DEMO-010  Sex: F; Age: 9 years;")
    for line in (
        "    -7  2024-09-26  activity       SLEDAI-2K 20, BL  [DEMO-010/sledai/BL/ALOP and 23 more]",
        "     0  2024-10-03  dose           cd19_car_t 300000 cells/kg, study product  [DEMO-010/car-t]",
        "     0  2024-10-03  level          CAR_COPIES < 50 copies/ug  [DEMO-010/car/0/CAR_COPIES]",
        "    49  2024-11-21  steroid        prednisolone 7.5 mg prednisone equivalent a dosing day, until day 76, background,"
        " daily  [DEMO-010/pred/3]",
    ):
        assert line in lines
    assert any("CRS grade 3, until day 5" in line for line in lines)
    assert any("sri4, met, W4" in line for line in lines)
    assert not any("ALOP" in line and "SLEDAI2K" in line for line in lines)


def test_findings_and_every_event_on_request(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert enfold(["subject", str(demo), WHO, "--findings", "--events"]) == 0
    out = capsys.readouterr().out
    assert "SLEDAI2K       ALOP" in out
    assert "DEMO-010/sledai/BL/ALOP DEMO-010/sledai/BL/ARTHR" in out
    assert " more]" not in out


def test_json_is_what_the_statement_returns(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert enfold(["subject", str(demo), WHO, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told) == ["course", "findings", "subject"]
    shown = answer(demo, statement(study_of(demo), WHO)).to_pylist()
    assert told["course"] == json.loads(json.dumps(shown, default=str))


def test_events_and_answers_can_be_walked_on_from(
    demo: Path, found: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    event = next(r["event_ids"][0] for r in found["course"] if r["item"] == "CRS")
    assert enfold(["history", str(demo), "--subject", WHO, "--event", event]) == 0
    assert event in capsys.readouterr().out
    row = next(r for r in found["course"] if r["item"] == "sri4" and r["status"] == "not met")
    visit = row["said"].split(",")[0]
    assert enfold(["explain", str(demo), "sri4", "--subject", WHO, "--visit", visit, "--no-flip", "--events"]) == 0
    out = capsys.readouterr().out
    assert f"sri4  {WHO} {visit}: not met" in out


@pytest.mark.parametrize("subject", ["DEMO-999", "x' OR '1' = '1", ""])
def test_a_subject_that_is_not_there(demo: Path, subject: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert enfold(["subject", str(demo), subject]) == UsageError.exit_code
    told = capsys.readouterr().err
    assert "this run knows no such subject" in told


def test_the_page_holds_every_event_and_the_same_bytes(demo: Path, written: Path, found: dict[str, Any]) -> None:
    with connect(current(demo)) as con:
        assert subject_page(con, WHO).encode() == written.read_bytes()
    read = Read(written.read_text("utf-8"))
    for row in [*found["course"], *found["findings"]]:
        assert all(i in read.text for i in row["event_ids"])
    assert "SYNTHETIC data" in read.text
    assert "enfold subject STUDY DEMO-010 --picture profile.svg" in read.text
    assert read.all("img")[0]["alt"].startswith("Synthetic data. Course of DEMO-010")  # type: ignore[union-attr]


def test_the_page_in_a_browser(chromium: Any, written: Path) -> None:
    with opened(chromium, written, script=False) as (sheet, seen):
        assert sheet.locator("#profile img").bounding_box()["height"] > 400
        folded = sheet.locator("#findings summary", has_text="SLEDAI2K")
        folded.click()
        assert sheet.locator("#findings td", has_text="DEMO-010/sledai/BL/ALOP").first.is_visible()
        assert seen == [written.as_uri()]
    with opened(chromium, written, width=390) as (sheet, _):
        assert axe_finds(sheet) == ""
        assert sheet.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_picture_as_a_file(demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert enfold(["subject", str(demo), WHO, "--picture", str(tmp_path / "p.svg")]) == 0
    with connect(current(demo)) as con:
        expected = figure(con, study_of(demo), profile.plan(study_of(demo), WHO)).svg
    assert (tmp_path / "p.svg").read_text("utf-8") == expected
    assert enfold(["subject", str(demo), WHO, "--picture", str(tmp_path / "p.png")]) == 0
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    assert enfold(["subject", str(demo), WHO, "--picture", str(tmp_path / "p.gif")]) == UsageError.exit_code
    assert "ends in .svg or .png" in capsys.readouterr().err


def test_whatever_an_id_says_is_text(demo: Path) -> None:
    subject = f"O'Neil {NASTY}"
    escaped = subject.replace("'", "''")
    tables = ("subjects", "visits", "verdicts", "derived", "findings", "exposures", "occurrences", "occasions")
    con = changed(demo, *(f"UPDATE {t} SET subject_id = '{escaped}' WHERE subject_id = '{WHO}'" for t in tables))
    read = Read(subject_page(con, subject))
    assert not {t for t, _ in read.elements} & {"script", "b"}
    assert subject in read.text


@pytest.mark.parametrize("cohort", ["nobody infused", "nothing evaluable", "no sample", "levels of nought"])
def test_patients_of_whom_little_is_known(demo: Path, cohort: str) -> None:
    con = changed(demo, *COHORTS[cohort])
    read = Read(subject_page(con, WHO))
    assert "None" not in read.text
    assert "NaN" not in read.text


def test_a_patient_who_only_consented(demo: Path) -> None:
    tables = ("visits", "verdicts", "derived", "findings", "exposures", "occurrences", "occasions", "periods")
    con = changed(
        demo,
        *(f"DELETE FROM {t}" for t in tables),
        "UPDATE subjects SET infusion_date = NULL, last_contact_date = NULL, age_years = NULL",
    )
    assert "No finding is known." in Read(subject_page(con, WHO)).text
    assert "Nothing dated is known of DEMO-010." in figure(con, study_of(demo), profile.plan(study_of(demo), WHO)).alt


def test_toxicity_without_an_end_is_drawn_at_its_start_and_treatment_to_the_last_day(
    demo: Path, found: dict[str, Any]
) -> None:
    rows = [r | {"until_day": None} if r["item"] == "White blood cell decreased" else r for r in found["course"]]
    spec = profile.plan(study_of(demo), WHO).draw(rows).spec
    assert isinstance(spec, dict)
    drawn = {v["item"]: v for panel in spec["vconcat"] for v in panel["data"]["values"]}
    assert (drawn["White blood cell decreased"]["day"], drawn["White blood cell decreased"]["until"]) == (-2, -2)
    assert (drawn["hydroxychloroquine"]["day"], drawn["hydroxychloroquine"]["until"]) == (-60, 270)
    assert drawn["hydroxychloroquine"]["ongoing"]
