"""Analysis datasets: as specified, read back the same, described by valid Define-XML, and traced to events."""

import json
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyreadstat
import pytest

import enfold as package
from adam_rules import RULES
from enfold.cli.export import FORMATS
from enfold.cli.main import main as enfold
from enfold.serve import write
from enfold.serve.specification import ORIGINS, Variable, adam, codelists
from enfold.shipped import package_file
from read_back import read

EXPORTED = ("ADSL", "ADAE", "ADEFF", "ADLB", "ADPC", "ADRS", "ADTTE", "ADSRC")


@pytest.fixture(scope="module")
def written(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("adam")
    for form in FORMATS:
        assert enfold(["export", str(demo), str(root / form), "--adam", "--format", form]) == 0
    return {form: root / form for form in FORMATS}


def test_the_command_offers_what_the_writer_knows() -> None:
    assert tuple(write.FORMATS) == FORMATS


def test_specification_is_whole() -> None:
    assert tuple(adam()) == EXPORTED
    for dataset in adam().values():
        assert len(dataset.name) <= 8
        assert len(dataset.label) <= 40
        for v in dataset.variables:
            assert len(v.name) <= 8, v
            assert 0 < len(v.label) <= 40, (dataset.name, v)
            assert v.origin in ORIGINS
            assert v.origin_text, (dataset.name, v)
            assert v.length is None or v.length <= 200
            for term in codelists()[v.codes].terms if v.codes and v.kind == "text" else ():
                assert len(term) <= (v.length or 0), (dataset.name, v, term)
    for terms in codelists().values():
        assert set(terms.codes) <= set(terms.terms)
    assert set(codelists()["ADSET"].terms) == {*EXPORTED} - {"ADSRC"}


def test_the_same_variable_has_the_same_label_and_type_everywhere() -> None:
    seen: dict[str, Any] = {}
    for dataset in adam().values():
        for v in dataset.variables:
            same = (v.label, v.kind if v.name != "AVAL" else "a verdict is 0 or 1")
            assert seen.setdefault(v.name, same) == same, (dataset.name, v.name)


@pytest.mark.parametrize("name", EXPORTED)
def test_view_and_specification_have_the_same_columns_and_the_key_is_one(demo: Path, name: str) -> None:
    study = package.open(str(demo))
    columns = [c for c in study.table(name.lower()).column_names if c != "event_ids"]
    assert columns == [v.name for v in adam()[name].variables]
    key = ", ".join(adam()[name].key)
    assert study.sql(f"SELECT {key} FROM {name.lower()} GROUP BY ALL HAVING count(*) > 1").fetchall() == []
    assert study.sql(f"SELECT count(*) FROM {name.lower()}").fetchall() != [(0,)]


@pytest.mark.parametrize("rule", RULES)
def test_rules_of_analysis_datasets_hold(demo: Path, rule: str) -> None:
    assert package.open(str(demo)).sql(RULES[rule]).fetchall() == []


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", EXPORTED)
def test_every_format_reads_back_as_the_view(demo: Path, written: dict[str, Path], name: str, form: str) -> None:
    dataset = adam()[name]
    columns = ", ".join(v.name for v in dataset.variables)
    view = package.open(str(demo)).sql(f"SELECT {columns} FROM {name.lower()}").to_arrow_table()
    found = read(written[form] / f"{name.lower()}{write.FORMATS[form]}", dataset.variables)
    order = [(k, "ascending") for k in dataset.key]
    assert found.sort_by(order).equals(view.cast(found.schema).sort_by(order))


def test_transport_files_carry_labels_and_names(written: dict[str, Path]) -> None:
    for name in EXPORTED:
        _, meta = pyreadstat.read_xport(written["xpt"] / f"{name.lower()}.xpt", metadataonly=True)
        assert meta.table_name == name
        assert meta.column_names_to_labels == {v.name: v.label for v in adam()[name].variables}


def test_parquet_carries_labels(written: dict[str, Path]) -> None:
    import pyarrow.parquet as pq

    schema = pq.read_schema(written["parquet"] / "adsl.parquet")
    assert schema.field("TRTSDT").metadata[b"label"] == b"Date of First Exposure to Treatment"
    assert schema.metadata[b"label"] == b"Subject-Level Analysis Dataset"


def test_dataset_json_is_what_odmlib_reads(written: dict[str, Path]) -> None:
    from odmlib.dataset_json_1_1.model import DatasetJSON

    text = (written["dataset-json"] / "adae.json").read_text("utf-8")
    found = DatasetJSON.from_dict(json.loads(text))
    assert (found.name, found.records, found.metaDataRef) == ("ADAE", len(found.rows), "define.xml")
    lines = (written["dataset-ndjson"] / "adae.ndjson").read_text("utf-8").splitlines()
    assert [json.loads(line) for line in lines[1:]] == found.rows


@pytest.mark.parametrize("form", ["xpt", "dataset-json"])
def test_define_xml_is_valid_against_its_schema(written: dict[str, Path], form: str) -> None:
    import odmlib.schema_manager
    import xmlschema

    schema = xmlschema.XMLSchema(odmlib.schema_manager.get_schema_path("define", "2.1"))
    path = written[form] / "define.xml"
    assert [str(e.reason) for e in schema.iter_errors(str(path))] == []
    broken = path.read_text("utf-8").replace('Repeating="No"', 'Repeating="Maybe"', 1)
    assert list(schema.iter_errors(broken)) != []  # it can say no


def test_define_xml_marks_a_term_that_the_published_list_lacks() -> None:
    import datetime as dt

    import odmlib.schema_manager
    import pyarrow as pa
    import xmlschema
    from lxml import etree

    from enfold.serve import define
    from enfold.serve.files import File
    from enfold.serve.specification import ARROW

    spec = adam()["ADSL"]
    given = {"STUDYID": ["S", "S"], "USUBJID": ["1", "2"], "RACE": ["MULTIPLE", "ASIAN"], "ETHNIC": ["UNKNOWN", None]}
    rows = pa.table({v.name: pa.array(given.get(v.name, [None, None]), ARROW[v.kind]) for v in spec.variables})
    file = File("ADSL", spec.label, spec.variables, rows, spec.key)
    text = define.encoded("S", "title", [file], ".xpt", dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    schema = xmlschema.XMLSchema(odmlib.schema_manager.get_schema_path("define", "2.1"))
    assert [str(e.reason) for e in schema.iter_errors(text.decode())] == []
    (race,) = etree.fromstring(text).xpath("//*[local-name()='CodeList'][@OID='CL.RACE']")
    items = race.xpath("*[local-name()='CodeListItem']")
    extended = {i.get("CodedValue") for i in items if i.get("{http://www.cdisc.org/ns/def/v2.1}ExtendedValue") == "Yes"}
    assert extended == {"MULTIPLE"}
    assert len(items) == 6


def test_define_xml_points_to_what_is_there(written: dict[str, Path]) -> None:
    from lxml import etree

    root = etree.parse(str(written["xpt"] / "define.xml")).getroot()
    space = {"o": "http://www.cdisc.org/ns/odm/v1.3", "d": "http://www.cdisc.org/ns/def/v2.1"}
    hrefs = root.xpath("//d:leaf/@*[local-name()='href']", namespaces=space)
    assert {*hrefs, "define.xml"} == {p.name for p in written["xpt"].iterdir()}
    for kind, pointing in (("ItemDef", "ItemRef/@ItemOID"), ("CodeList", "CodeListRef/@CodeListOID"), ("MethodDef", "ItemRef/@MethodOID")):  # fmt: skip
        there = root.xpath(f"//o:{kind}/@OID", namespaces=space)
        assert len(there) == len(set(there))
        assert set(there) == set(root.xpath(f"//o:{pointing}", namespaces=space))
    for group in root.xpath("//o:ItemGroupDef", namespaces=space):
        spec = adam()[group.get("Name")]
        refs = group.xpath("o:ItemRef", namespaces=space)
        assert [r.get("ItemOID") for r in refs] == [f"IT.{spec.name}.{v.name}" for v in spec.variables]
        assert [r.get("KeySequence") for r in refs if r.get("KeySequence")] == [
            str(spec.key.index(v.name) + 1) for v in spec.variables if v.name in spec.key
        ]


def test_define_xml_states_the_lengths_of_the_transport_file(written: dict[str, Path]) -> None:
    from lxml import etree

    root = etree.parse(str(written["xpt"] / "define.xml")).getroot()
    for name in EXPORTED:
        _, meta = pyreadstat.read_xport(written["xpt"] / f"{name.lower()}.xpt", metadataonly=True)
        for v in adam()[name].variables:
            (item,) = root.xpath(f"//*[local-name()='ItemDef'][@OID='IT.{name}.{v.name}']")
            if v.kind == "text":
                assert int(item.get("Length")) == meta.variable_storage_width[v.name], (name, v.name)


@pytest.mark.parametrize("form", ["parquet", "xpt", "dataset-json"])
def test_written_again_it_has_the_same_bytes(demo: Path, written: dict[str, Path], form: str, tmp_path: Path) -> None:
    assert enfold(["export", str(demo), str(tmp_path / "again"), "--adam", "--format", form]) == 0
    files = {p.name: p.read_bytes() for p in (tmp_path / "again").iterdir()}
    assert files == {p.name: p.read_bytes() for p in written[form].iterdir()}


def test_every_analysis_row_leads_to_its_events(demo: Path) -> None:
    study = package.open(str(demo))
    for name in EXPORTED[:-1]:
        sequence = "1" if name == "ADSL" else "ASEQ"
        wanted = study.sql(f"SELECT USUBJID, {sequence}, unnest(event_ids) FROM {name.lower()}").fetchall()
        found = study.sql(f"SELECT USUBJID, ASEQ, EVENTID FROM adsrc WHERE ADSET = '{name}'").fetchall()
        assert sorted(found) == sorted(wanted)
        if name != "ADSL":
            lost = study.sql(
                f"SELECT count(*) FROM {name.lower()} a WHERE len(event_ids) > 0 AND NOT EXISTS (FROM adsrc r WHERE"
                f" r.ADSET = '{name}' AND r.USUBJID = a.USUBJID AND r.ASEQ = a.ASEQ AND CASE a.SRCDOM"
                " WHEN 'ADSRC' THEN a.SRCSEQ = r.ASEQ ELSE a.SRCDOM = r.SRCDOM AND a.SRCSEQ = r.SRCSEQ END)"
            ).fetchall()
            assert lost == [(0,)], name
    assert study.sql(
        "SELECT count(*) FROM adsrc WHERE SRCDOM IS NULL OR SRCSEQ IS NULL OR SRCFILE IS NULL"
    ).fetchall() == [(0,)]


def test_srcseq_is_the_place_of_the_event_among_the_subjects_events_of_its_type(demo: Path) -> None:
    study = package.open(str(demo))
    events = study.sql(
        "SELECT subject_id, upper(event_type), event_id FROM events WHERE effective AND subject_id = 'DEMO-003'"
    ).fetchall()
    of_type: dict[str, list[str]] = {}
    for _, domain, event in sorted(events):
        of_type.setdefault(domain, []).append(event)
    rows = study.sql("SELECT DISTINCT SRCDOM, SRCSEQ, EVENTID FROM adsrc WHERE USUBJID = 'DEMO-003'").fetchall()
    assert rows
    assert all(of_type[domain][seq - 1] == event for domain, seq, event in rows)


def test_from_an_analysis_row_to_the_history_of_its_event(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = package.open(str(demo)).sql("SELECT USUBJID, EVENTID FROM adsrc WHERE ADSET = 'ADAE' ORDER BY ALL LIMIT 2")
    for subject, event in rows.fetchall():
        assert enfold(["history", str(demo), "--subject", subject, "--event", event]) == 0
        assert event in capsys.readouterr().out


def test_what_is_exported_lands_nowhere_if_the_folder_exists(demo: Path, written: dict[str, Path]) -> None:
    assert enfold(["export", str(demo), str(written["csv"]), "--adam"]) == 2


@pytest.mark.parametrize("what", ["--meds", "--delta"])
def test_a_format_that_would_be_ignored_is_refused(demo: Path, tmp_path: Path, what: str) -> None:
    assert enfold(["export", str(demo), str(tmp_path / "out"), what, "--format", "xpt"]) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_missing_library_names_the_extra(
    demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pyreadstat", None)
    assert enfold(["export", str(demo), str(tmp_path / "out"), "--adam", "--format", "xpt"]) == 2
    assert "pip install 'enfold[formats]'" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "odmlib.define_2_1.model", None)
    assert enfold(["export", str(demo), str(tmp_path / "out"), "--adam", "--format", "dataset-json"]) == 2
    assert "pip install 'enfold[formats]'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_verdicts_by_visit_are_the_verdicts(demo: Path) -> None:
    study = package.open(str(demo))
    ours = study.sql(
        "SELECT USUBJID, PARCAT1, PARCAT2, VISITID, lower(replace(AVALC, ' ', '_')) FROM adrs ORDER BY ALL"
    )
    theirs = "SELECT subject_id, alias, criterion, visit_id, status FROM verdicts WHERE grain = 'visit' ORDER BY ALL"
    assert ours.fetchall() == study.sql(theirs).fetchall()
    imputed = "SELECT USUBJID, PARCAT1, VISITID, lower(replace(AVALCI, ' ', '_')) FROM adrs WHERE PARCAT2 = 'overall' AND AVISITN IS NOT NULL AND PARCAT1 IN (SELECT alias FROM asked) ORDER BY ALL"
    theirs = "SELECT subject_id, alias, visit_id, status_imputed FROM responses_by_visit ORDER BY ALL"
    assert study.sql(imputed).fetchall() == study.sql(theirs).fetchall()


def test_times_to_event_count_from_their_origin(demo: Path) -> None:
    study = package.open(str(demo))
    assert study.sql("SELECT count(*) FROM adtte WHERE CNSR IS NULL AND AVAL IS NOT NULL").fetchall() == [(0,)]
    assert study.sql("SELECT count(*) FROM adtte WHERE ADT <> STARTDT + CAST(AVAL AS INTEGER)").fetchall() == [(0,)]
    ours = study.sql(
        "SELECT USUBJID, AVAL, CNSR FROM adtte WHERE PARCAT1 = 'relapse_free_survival' ORDER BY ALL"
    ).fetchall()
    theirs = study.sql(
        "SELECT subject_id, value_number, CASE WHEN list_contains(flags, 'censored') THEN 1 ELSE 0 END FROM verdicts"
        " WHERE alias = 'relapse_free_survival' AND criterion = 'time' AND status <> 'not_applicable' ORDER BY ALL"
    ).fetchall()
    assert ours == theirs


def test_a_result_that_is_a_limit_has_no_number(demo: Path) -> None:
    rows = package.open(str(demo)).sql("SELECT AVAL, AVALC FROM adpc WHERE AVALC LIKE '<%'").to_arrow_table()
    assert rows.num_rows == 22
    assert rows.column("AVAL").null_count == 22
    assert isinstance(rows, pa.Table)


AWKWARD = {
    "adverse_event": [
        {"event_id": "x1", "subject_id": "DEMO-001", "occurred": "2025-04", "term": "Fièvre ≥ 38 °C, 发热", "grade": 2, "scale": "CTCAE_5_0", "ended": "2025"},
        {"event_id": "x2", "subject_id": "DEMO-001", "occurred": "2025-04-01", "term": 'said "no",\nthen left', "grade": 1, "scale": "CTCAE_5_0"},
    ],
    "assessment": [
        {"event_id": "x3", "subject_id": "DEMO-001", "occurred": "2025-04-23", "instrument": "LABORATORY", "item": "CRP", "value_number": Decimal("12345678.901234567"), "unit": "mg/L", "visit_id": "W4"},
        {"event_id": "x4", "subject_id": "DEMO-001", "occurred": "2025-04-24", "instrument": "LABORATORY", "item": "CRP", "value_number": Decimal(5), "comparator": "<", "unit": "mg/L"},
        {"event_id": "x5", "subject_id": "DEMO-001", "occurred": "2025-05", "instrument": "LABORATORY", "item": "CRP", "not_done": True},
    ],
}  # fmt: skip


def test_awkward_events_come_back_or_are_named(
    demo_copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for event_type, rows in AWKWARD.items():
        table = pa.table({name: [r.get(name) for r in rows] for name in dict.fromkeys(n for r in rows for n in r)})
        package.land_rows(demo_copy, table, event_type=event_type, author="test", reason="awkward", strict=True)
    assert enfold(["run", str(demo_copy)]) == 0
    study = package.open(str(demo_copy))
    results = study.sql(
        "SELECT AVAL, AVALC, ADTC, ADT, PARAMCD FROM adlb WHERE PARAM = 'CRP (mg/L)' ORDER BY ADTC"
    ).fetchall()
    assert [(str(v and v.normalize(Context(prec=38))), t, d) for v, t, d, *_ in results] == [
        ("12345678.901234567", "12345678.901234567", "2025-04-23"), ("None", "<5", "2025-04-24"), ("None", None, "2025-05"),
    ]  # fmt: skip
    assert results[2][3] is None
    assert {code for *_, code in results} == {"CRP"}
    events = study.sql(
        "SELECT AETERM, AESTDTC, ASTDT, AENDT, TRTEMFL FROM adae WHERE AEID IN ('x1', 'x2') ORDER BY AEID"
    ).fetchall()
    assert events[0] == ("Fièvre ≥ 38 °C, 发热", "2025-04", None, None, "Y")
    assert events[1][:2] == ('said "no",\nthen left', "2025-04-01")
    for form in FORMATS:
        words = ["export", str(demo_copy), str(tmp_path / form), "--adam", "--format", form]
        if form == "xpt":
            assert enfold(words) == 2
            said = capsys.readouterr().err
            assert "ADAE.AETERM: 1 values are not ASCII; first in row 2" in said
            assert "ADLB.AVAL: 1 values have more than 15 significant digits" in said
            assert "Fi" not in said
            continue
        assert enfold(words) == 0
        for name in ("ADAE", "ADLB"):
            columns = ", ".join(v.name for v in adam()[name].variables)
            view = study.sql(f"SELECT {columns} FROM {name.lower()}").to_arrow_table()
            found = read(tmp_path / form / f"{name.lower()}{write.FORMATS[form]}", adam()[name].variables)
            order = [("USUBJID", "ascending"), ("ASEQ", "ascending")]
            assert found.sort_by(order).to_pylist() == view.cast(found.schema).sort_by(order).to_pylist(), (form, name)


def test_a_serving_file_of_an_earlier_enfold_is_named(
    demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from dataclasses import replace

    from enfold.serve import adam as export

    more = replace(adam()["ADSL"], variables=(*adam()["ADSL"].variables, Variable("LATER", length=1)))
    monkeypatch.setattr(export, "adam", lambda: {"ADSL": more})
    assert enfold(["export", str(demo), str(tmp_path / "out"), "--adam"]) == 2
    assert "an earlier enfold made it" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_parameter_codes_are_short_and_one_to_one() -> None:
    con = duckdb.connect()
    con.execute(
        "CREATE TABLE verdicts AS FROM (VALUES ('123', 'overall'), ('sri4', 'overall'), ('sri4', 'sledai'), ('Ähnlich!', 'x')) t(alias, criterion)"
    )
    con.execute("CREATE TABLE derived AS FROM (VALUES ('pga', 'pga')) t(alias, measure)")
    con.execute(
        "CREATE TABLE findings AS FROM (VALUES ('SDTM_LB', '1,5-AG', 'x'), ('SDTM_LB', 'ALT', 'U/L'), ('LABORATORY', 'ALT', 'U/L'), ('SDTM_LB', '25', 'a'),"
        " ('SDTM_LB', 'GLUC', 'mg/dL'), ('SDTM_LB', 'GLUC', 'mmol/L'), ('SDTM_LB', 'GLUC', NULL), ('CELL_KINETICS', 'CAR_COPIES', '1'),"
        " ('PGA', 'PGA_0_3', NULL)) t(instrument, item, unit)"
    )
    for view in ("verdict_parameters", "result_parameters"):
        con.execute(package_file(f"serve/views/{view}.sql"))
    codes = con.sql("SELECT PARAM, PARAMCD FROM verdict_parameters ORDER BY ALL").fetchall()
    assert codes == [
        ("123: overall", "P01"),
        ("pga: pga", "PGA01"),
        ("sri4: overall", "SRI401"),
        ("sri4: sledai", "SRI402"),
        ("Ähnlich!: x", "HNLIC01"),
    ]
    results = con.sql("SELECT DISTINCT PARAM, PARAMCD FROM result_parameters ORDER BY ALL").fetchall()
    assert results == [
        ("1,5-AG (x)", "AG"), ("25 (a)", "P"), ("ALT (U/L)", "ALT"), ("CAR_COPIES (1)", "CAR_C01"), ("GLUC (mg/dL)", "GLUC01"), ("GLUC (mmol/L)", "GLUC02"),
    ]  # fmt: skip
