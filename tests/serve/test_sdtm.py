"""The demo trial written as SDTM and landed again is the same trial: the cut digest says so."""

from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import awkward
import enfold as package
from awkward import digest
from enfold.cli.main import main as enfold
from enfold.land import mapping, readers
from enfold.serve import sdtm, write


def land_again(written: Path, study_file: Path, study: Path) -> None:
    assert enfold(["init", str(study), str(study_file), "--author", "test"]) == 0
    for path in sorted(written.iterdir()):
        if path.stem.startswith("supp"):
            continue
        supp = written / f"supp{path.name}"
        words = ["--mapping", f"lupus/{path.stem}", "--strict", "--author", "test"]
        words += ["--supp", str(supp)] if supp.exists() else []
        assert enfold(["land", str(study), str(path), *words]) == 0
    assert enfold(["run", str(study)]) == 0


@pytest.fixture(scope="module")
def written(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdtm") / "out"
    assert enfold(["export", str(demo), str(folder), "--sdtm"]) == 0
    return folder


def test_landed_again_it_has_the_same_cut_digest(demo: Path, written: Path, tmp_path: Path) -> None:
    land_again(written, demo.parent / "incoming" / "study.toml", tmp_path / "study")
    assert digest(tmp_path / "study") == digest(demo)


@pytest.mark.parametrize("form", [f for f in write.FORMATS if f != "parquet"])
def test_every_format_lands_the_same_texts(demo: Path, written: Path, form: str, tmp_path: Path) -> None:
    """What landing reads from the file is what it reads from Parquet, of which the test above compares the digest."""
    assert enfold(["export", str(demo), str(tmp_path / "out"), "--sdtm", "--format", form]) == 0
    paths = sorted((tmp_path / "out").iterdir())
    assert [p.stem for p in paths] == sorted(p.stem for p in written.iterdir())
    for path in paths:
        ours, theirs = (readers.read(p).rows for p in (path, written / f"{path.stem}.parquet"))
        assert ours.column_names == theirs.column_names
        assert ours.to_pylist() == theirs.to_pylist(), path.name


@pytest.fixture(scope="module")
def awkward_studies(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Studies of awkward values: those that a transport file holds, and others too."""
    root, study_file = tmp_path_factory.mktemp("awkward"), demo.parent / "incoming" / "study.toml"
    rows = {"ascii": awkward.ASCII, "any": awkward.ROWS}
    return {name: awkward.land(found, root / name, study_file) for name, found in rows.items()}


@pytest.mark.parametrize("form", write.FORMATS)
def test_awkward_values_come_back_the_same(
    demo: Path, awkward_studies: dict[str, Path], form: str, tmp_path: Path
) -> None:
    study = awkward_studies["ascii" if form == "xpt" else "any"]
    assert enfold(["export", str(study), str(tmp_path / "out"), "--sdtm", "--format", form]) == 0
    land_again(tmp_path / "out", demo.parent / "incoming" / "study.toml", tmp_path / "again")
    assert digest(tmp_path / "again") == digest(study)


def test_what_a_transport_file_cannot_hold_refuses_the_export(
    awkward_studies: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert enfold(["export", str(awkward_studies["any"]), str(tmp_path / "out"), "--sdtm", "--format", "xpt"]) == 2
    assert "values are not ASCII" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_corrected_fact_is_written_as_it_stands(demo: Path, demo_copy: Path, tmp_path: Path) -> None:
    words = ["DEMO-001/pga/BL/PGA_0_3", "value_number=1.11", "--reason", "typo", "--author", "test"]
    assert enfold(["correct", str(demo_copy), *words]) == 0
    assert enfold(["run", str(demo_copy)]) == 0
    assert enfold(["export", str(demo_copy), str(tmp_path / "out"), "--sdtm"]) == 0
    again = tmp_path / "again"
    land_again(tmp_path / "out", demo.parent / "incoming" / "study.toml", again)
    assert digest(again) != digest(demo_copy)  # the link is content
    for query in (
        "SELECT subject_id, instrument, item, period, visit_id, date, value_number, value_code, baseline_number, change_number FROM findings",
        "SELECT subject_id, alias, criterion, period, visit_id, from_at, status, grade, value_number FROM verdicts",
        "SELECT * FROM data_findings",
    ):
        ours, theirs = (package.open(str(s)).sql(f"{query} ORDER BY ALL").fetchall() for s in (demo_copy, again))
        assert ours == theirs, query
    corrected = (
        "SELECT value_number FROM findings WHERE subject_id = 'DEMO-001' AND item = 'PGA_0_3' AND visit_id = 'BL'"
    )
    assert package.open(str(again)).sql(corrected).fetchall() == [(Decimal("1.11"),)]


def test_every_domain_is_within_the_bounds_of_sdtm(written: Path) -> None:
    for path in sorted(written.glob("*.parquet")):
        table = pq.read_table(path)
        assert all(len(c) <= 8 for c in table.column_names), path.stem
        if path.stem.startswith("supp"):
            assert all(len(q) <= 8 for q in table.column("QNAM").to_pylist())
            continue
        domain = path.stem.upper()
        assert set(table.column("DOMAIN").to_pylist()) == {domain}
        if domain != "DM":
            keys = list(zip(*(table.column(c).to_pylist() for c in ("USUBJID", f"{domain}SEQ")), strict=True))
            assert len(set(keys)) == table.num_rows
        if f"{domain}TESTCD" in table.column_names:
            assert all(len(c) <= 8 and not c[0].isdigit() for c in table.column(f"{domain}TESTCD").to_pylist())
            assert all(len(c) <= 40 for c in table.column(f"{domain}TEST").to_pylist())


def test_code_lists_of_the_set_can_be_turned_round() -> None:
    for domain, chosen in sdtm.domains().items():
        for rule in chosen.rules:
            for spec in rule.fields.values():
                codes = {} if isinstance(spec, str) else spec.get("codes", {})
                assert len(set(codes.values())) == len(codes), domain
                assert "*" not in codes


def test_an_existing_folder_is_not_written_into(demo: Path, written: Path, tmp_path: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in written.iterdir()}
    assert enfold(["export", str(demo), str(written), "--sdtm"]) == 2
    assert {p: p.stat().st_mtime_ns for p in written.iterdir()} == before
    assert enfold(["export", str(tmp_path / "none"), str(tmp_path / "x"), "--sdtm"]) == 2


def test_an_event_without_a_place_is_named_and_nothing_is_written(
    demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fewer = {d: m for d, m in sdtm.domains().items() if d not in {"XR", "FT"}}
    monkeypatch.setattr(sdtm, "domains", lambda: fewer)
    assert enfold(["export", str(demo), str(tmp_path / "out"), "--sdtm"]) == 2
    assert "takes 900 assessment, 658 review" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_page_names_every_domain() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "sdtm-lupus.md").read_text("utf-8")
    for domain in sdtm.domains():
        assert f"| {domain} |" in page
    assert mapping.load("lupus/rs").rules[0].when.equals["RSCAT"][0] == "SLEDAI2K"
