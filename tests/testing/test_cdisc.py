"""The CDISC pilot, landed from SDTM, against its published ADaM."""

from pathlib import Path

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

import enfold as package
from adam_rules import RULES
from awkward import digest
from enfold.cli.export import FORMATS
from enfold.cli.main import main as enfold
from enfold.ledger.ledger import Ledger
from enfold.serve import write
from enfold.serve.specification import adam
from enfold.testing import conformance
from enfold.testing.cdisc import compare
from enfold.testing.cdisc.main import DOMAINS, ENDPOINT, QUESTIONS, commands, source
from read_back import read


@pytest.fixture(scope="module")
def pilot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pilot landed without the derived reference dates that DM carries."""
    root = tmp_path_factory.mktemp("pilot")
    sources = {d: source(d) for d in DOMAINS}
    rows = pq.read_table(sources["dm"])
    sources["dm"] = root / "dm.parquet"
    pq.write_table(rows.drop_columns([c for c in rows.column_names if c.startswith("RF")]), sources["dm"])
    for words in commands(root, sources):
        assert enfold(words) == 0
    return root / "study"


def published(name: str) -> str:
    return f"'{source(name, 'cdiscpilotadam')}'"


def test_every_source_row_became_an_event(pilot: Path) -> None:
    counts = dict(package.open(str(pilot)).sql("SELECT event_type, count(*) FROM events GROUP BY 1").fetchall())
    assert counts == {
        "enrolment": 306, "infusion": 591, "adverse_event": 1191, "disposition": 596, "visit": 3559,
        "assessment": 29643 + 254 + 1817 + 1524 + 12241 + 562 + 4913,
    }  # fmt: skip


def test_first_dose_date_of_all_254_treated_subjects(pilot: Path) -> None:
    ours = dict(package.open(str(pilot)).sql("SELECT USUBJID, TRTSDT FROM adsl WHERE TRTSDT IS NOT NULL").fetchall())
    theirs = dict(duckdb.sql(f"SELECT USUBJID, TRTSDT FROM {published('adsl')}").fetchall())
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
        for subject, seq, flag in duckdb.sql(f"SELECT USUBJID, AESEQ, TRTEMFL FROM {published('adae')}").fetchall()
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


@pytest.fixture(scope="module")
def compared(pilot: Path) -> list[compare.Compared]:
    return compare.compare(pilot)


def test_each_variable_is_recomputed_or_has_a_reason(compared: list[compare.Compared]) -> None:
    for name, told in compare.reasons().items():
        done = {c.variable for c in compared if c.dataset == name}
        assert not done & set(told["not_recomputed"])
        assert done | set(told["not_recomputed"]) == set(compare.published(name).column_names)


def test_each_difference_has_a_reason_and_each_reason_a_difference(compared: list[compare.Compared]) -> None:
    assert {(c.dataset, c.variable) for c in compared if c.differs} == {
        (name, variable) for name, told in compare.reasons().items() for variable in told["differs"]
    }


def test_how_much_agrees(pilot: Path) -> None:
    assert compare.summary(pilot) == [("ADSL", 46, 11684, 11680), ("ADAE", 34, 40494, 40336), ("ADTTE", 23, 5842, 5840)]


def test_the_pilots_own_endpoint_keeps_every_law(pilot: Path) -> None:
    found = conformance.check(f"local-{ENDPOINT.replace('_', '-')}", pilot)
    assert len(found) == 8
    assert [f for f in found if f.wrong] == []


def test_adsl_differs_for_two_subjects_only(compared: list[compare.Compared]) -> None:
    where = {
        c.variable: {key[0] for key in c.differs} for c in compared if c.dataset in ("ADSL", "ADTTE") and c.differs
    }
    assert where.pop("BMIBLGR1") == {"01-702-1082"}
    assert set(map(frozenset, where.values())) == {frozenset({"01-710-1083"})}


@pytest.mark.parametrize(("flag", "within"), [("AOCCFL", ()), ("AOCCSFL", ("AEBODSYS",)), ("AOCC01FL", ())])
def test_first_occurrence_flags_that_differ_stand_on_the_same_day(
    pilot: Path, flag: str, within: tuple[str, ...]
) -> None:
    ours, theirs = compare.recomputed(pilot)["ADAE"], compare.published("ADAE")
    flagged = [
        sorted((r["USUBJID"], *(r[w] for w in within), r["ASTDT"]) for r in table.to_pylist() if r[flag] == "Y")
        for table in (ours, theirs)
    ]
    assert flagged[0] == flagged[1]


def test_tables_of_the_study_report(pilot: Path) -> None:
    ours = compare.counted(pilot)
    quoted = 0
    for number, table in compare.tables().items():
        for line in table["lines"]:
            for printed, own in zip(line["printed"], ours[number][line["label"]], strict=True):
                assert printed in ("", own), (number, line["label"])
                quoted += printed != ""
    assert quoted == 3 * 3 + 2 * 3 + 2 * 2 + 19 * 3 - 1
    assert ours["14-5.01"]["any body system: events"] == ["281", "412", "433"]


def test_the_page_shows_what_was_measured(pilot: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "pilot.md"
    assert page.read_text("utf-8") == compare.page(pilot)


@pytest.mark.parametrize("form", FORMATS)
def test_the_pilot_reads_back_from_every_format(pilot: Path, form: str, tmp_path: Path) -> None:
    assert enfold(["export", str(pilot), str(tmp_path / "out"), "--adam", "--format", form]) == 0
    study = package.open(str(pilot))
    names = {p.stem for p in (tmp_path / "out").iterdir()} - {"define"}
    assert names == {"adsl", "adae", "adlb", "adtte", "adsrc"}
    for name in names:
        dataset = adam()[name.upper()]
        columns = ", ".join(v.name for v in dataset.variables)
        view = study.sql(f"SELECT {columns} FROM {name}").to_arrow_table()
        found = read(tmp_path / "out" / f"{name}{write.FORMATS[form]}", dataset.variables)
        order = [(k, "ascending") for k in dataset.key]
        assert found.sort_by(order).equals(view.cast(found.schema).sort_by(order)), name


def test_the_pilot_as_meds_lands_again_with_the_same_cut_digest(pilot: Path, tmp_path: Path) -> None:
    assert enfold(["export", str(pilot), str(tmp_path / "out"), "--meds"]) == 0
    words = ["--mapping", "meds/enfold", "--strict", "--author", "test"]
    *first, run = commands(tmp_path, {})
    for done in (*first, ["land", str(tmp_path / "study"), str(tmp_path / "out" / "data" / "0.parquet"), *words], run):
        assert enfold(done) == 0
    assert digest(tmp_path / "study") == digest(pilot)


def test_the_pilot_as_delta_tables_is_what_the_ledger_holds(pilot: Path, tmp_path: Path) -> None:
    assert enfold(["export", str(pilot), str(tmp_path / "lake"), "--delta"]) == 0
    ledger = Ledger(pilot / "ledger")
    for event_type in (p.name for p in (tmp_path / "lake").iterdir()):
        wanted = ledger.read(event_type)
        wanted = wanted.drop_columns([c for c in ("content", "salt", "slot") if c in wanted.column_names])
        read = pl.read_delta(str(tmp_path / "lake" / event_type)).to_arrow().select(wanted.column_names)
        order = [("event_id", "ascending"), ("position", "ascending")]
        assert read.cast(wanted.schema).sort_by(order).equals(wanted.sort_by(order)), event_type


def test_the_pilots_instruments_have_no_place_in_the_lupus_domains(
    pilot: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """SDTM out is of the trials whose domains schemas/mappings/lupus describes; anything else is named, not dropped."""
    assert enfold(["export", str(pilot), str(tmp_path / "out"), "--sdtm"]) == 2
    assert "no domain of schemas/mappings/lupus takes" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("rule", RULES)
def test_rules_of_analysis_datasets_hold(pilot: Path, rule: str) -> None:
    assert package.open(str(pilot)).sql(RULES[rule]).fetchall() == []


def test_laboratory_results_have_one_code_for_one_test_and_unit(pilot: Path) -> None:
    study = package.open(str(pilot))
    rows = study.sql("SELECT DISTINCT PARAMCD, PARAM FROM adlb").fetchall()
    assert len({code for code, _ in rows}) == len({param for _, param in rows}) == len(rows) > 5
    limits = study.sql("SELECT count(*), count(AVAL) FROM adlb WHERE AVALC LIKE '<%' OR AVALC LIKE '>%'").fetchall()
    texts = study.sql("SELECT count(*) FROM adlb WHERE AVAL IS NULL AND AVALC IS NOT NULL").fetchall()
    assert limits[0][1] == 0
    assert texts[0][0] >= limits[0][0]


def test_tables_of_a_report_say_what_the_study_report_prints(pilot: Path) -> None:
    """Disposition, age and sex, and subjects with an adverse event, as the pilot's study report has them."""
    from enfold.report.question import source as reported
    from enfold.report.tables import sheets
    from enfold.serve.build import current
    from enfold.serve.study import connect

    con = connect(current(pilot))
    rows = {s.key: {r[0]: r[1:] for r in s.table().rows} for s in sheets(con, reported(con).study)}
    steps = ("Screened", "Screen failure", "Infused", "Infused, completed", "Infused, died")
    assert [rows["disposition"][s][0] for s in steps] == ["306", "52", "254", "110", "3"]
    assert rows["baseline-measures"]["Age, years: median"] == (
        "76.0",
        "76.0",
        "77.5",
        "77.0",
    )  # placebo, high, low, all
    assert rows["baseline-measures"]["Age, years: range"][:3] == ("52.0 to 89.0", "56.0 to 88.0", "51.0 to 88.0")
    assert rows["baseline"]["Sex: F"][:3] == ("53 (61.6 %)", "40 (47.6 %)", "50 (59.5 %)")
    assert rows["baseline"]["Race: WHITE"] == ("78 (90.7 %)", "74 (88.1 %)", "78 (92.9 %)", "230 (90.6 %)")
    assert rows["baseline"]["Ethnicity: HISPANIC OR LATINO"] == ("3 (3.5 %)", "3 (3.6 %)", "6 (7.1 %)", "12 (4.7 %)")
    assert rows["adverse-events"]["Any class"][:2] == ("218/254", "85.8")
