"""Landing: every row and every event accounted for, good ones in, bad ones named."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from enfold.errors import ConflictError, FindingsError, UsageError
from enfold.land import mapping, readers
from enfold.land.landing import Report, land
from enfold.ledger.ledger import Ledger

HEAD = "event_id,subject_id,visit_id,occurred,instrument,item,value_code,value_number,supersedes,reason"
GOOD = "e1,01,V1,2026-01-05,PGA,PGA_0_3,,1.5,,"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    Ledger.create(tmp_path / "study" / "ledger")
    return tmp_path / "study"


def put(study: Path, *lines: str, name: str = "assessment.csv", head: str = HEAD, **options: bool) -> Report:
    path = study.parent / name
    path.write_text("\n".join([head, *lines]) + "\n", "utf-8")
    source = readers.read(path)
    chosen = mapping.native(path.stem, source.rows.column_names)
    return land(study, source, chosen, study_id="S", author="me", reason="test", **options)


@pytest.mark.parametrize(
    ("line", "column", "code"),
    [
        ("e2,,V1,2026-01-05,PGA,PGA_0_3,,1.5,,", "subject_id", "missing"),
        ("e2,0 1,V1,2026-01-05,PGA,PGA_0_3,,1.5,,", "subject_id", "not_an_id"),
        (",01,V1,2026-01-05,PGA,PGA_0_3,,1.5,,", "event_id", "missing"),
        ("e2,01,V1,2026-13-05,PGA,PGA_0_3,,1.5,,", "occurred", "not_a_time"),
        ("e2,01,V1,2026-02-30,PGA,PGA_0_3,,1.5,,", "occurred", "not_a_time"),
        ("e2,01,V1,2026-02-03T25:00,PGA,PGA_0_3,,1.5,,", "occurred", "not_a_time"),
        ("e2,01,V1,2026-02-03T24:00,PGA,PGA_0_3,,1.5,,", "occurred", "not_a_time"),
        ("e2,01,V1,2026-02-03T10:00+99:00,PGA,PGA_0_3,,1.5,,", "occurred", "not_a_time"),
        ("e2,01,V1,2026-02-03T10:00[Mars/Base],PGA,PGA_0_3,,1.5,,", "occurred", "not_a_time"),
        ("e2,01,V1,0000-02-03,PGA,PGA_0_3,,1.5,,", "occurred", "not_a_time"),
        ("e2,01,V1,2026-01-05,PGA,PGA_0_3,,one,,", "value_number", "not_a_number"),
        ("e2,01,V1,2026-01-05,PGA,PGA_0_3,,NaN,,", "value_number", "not_a_number"),
        ("e2,01,V1,2026-01-05,PGA,PGA_0_3,,1e3,,", "value_number", "not_a_number"),
        ("e2,01,V1,2026-01-05,PGA,PGA_0_3,,1.0000000001,,", "value_number", "excess_scale"),
        ("e2,01,V1,2026-01-05,PGA,PGA_9,,1,,", "item", "unknown_item"),
        ("e2,01,V1,2026-01-05,XYZ,X,,1,,", "instrument", "unknown_instrument"),
        ("e2,01,V1,2026-01-05,PGA,PGA_0_3,,,,", "value_number", "no_value"),
        ("e2,01,V1,2026-01-05,PGA,PGA_0_3,,1,e1,", "reason", "no_reason"),
    ],
)
def test_a_bad_record_is_refused_and_the_good_one_lands(study: Path, line: str, column: str, code: str) -> None:
    report = put(study, GOOD, line)
    assert (report.rows, report.mapped, report.refused, report.landed) == (2, 1, 1, 1)
    assert (column, code) in {(r["column_name"], r["code"]) for r in report.refusals}
    assert all(r["source_row"] == 2 and r["reason"] and r["remedy"] for r in report.refusals)
    (kept,) = [json.loads(p.read_text("utf-8")) for p in (study / "refused").iterdir()]
    assert [r["row"] for r in kept["records"]] == [2]


@pytest.mark.parametrize(
    ("column", "bad", "code"),
    [("value_number", "low", "not_a_number"), ("recorded_at", "soon", "not_an_instant")],
)
def test_a_bad_value_among_many_that_repeat_refuses_its_record_alone(
    study: Path, column: str, bad: str, code: str
) -> None:
    lines = [f"e{n},01,,2026-01-05,PGA,PGA_0_3,,{n % 3},{n},2026-01-06T10:0{n % 3}:00Z" for n in range(400)]
    place = {"value_number": 7, "recorded_at": 9}[column]
    cells = lines[250].split(",")
    lines[250] = ",".join([*cells[:place], bad, *cells[place + 1 :]])
    head = "event_id,subject_id,visit_id,occurred,instrument,item,value_code,value_number,occasion_id,recorded_at"
    report = put(study, *lines, head=head)
    assert (report.mapped, report.refused, report.landed) == (399, 1, 399)
    assert {(r["source_row"], r["column_name"], r["code"]) for r in report.refusals} == {(251, column, code)}
    numbers = Ledger(study / "ledger").read("assessment").column("value_number").to_pylist()
    assert sorted(numbers) == sorted(n % 3 for n in range(400) if n != 250)


def test_landing_twice_lands_nothing_twice_whatever_the_name_and_column_order(study: Path) -> None:
    put(study, GOOD)
    again = put(study, GOOD)
    assert (again.landed, again.already, again.position) == (0, 1, None)
    columns = HEAD.split(",")
    order = list(reversed(range(len(columns))))
    values = GOOD.split(",")
    head = ",".join(columns[i] for i in order)
    path = study.parent / "renamed.csv"
    path.write_text(f"{head}\n{','.join(values[i] for i in order)}\n")
    source = readers.read(path)
    chosen = mapping.native("assessment", source.rows.column_names)
    turned = land(study, source, chosen, study_id="S", author="me", reason="test")
    assert (turned.landed, turned.already) == (0, 1)
    assert Ledger(study / "ledger").position == 1


def test_same_id_other_content_is_kept_as_a_conflict_once(study: Path) -> None:
    put(study, GOOD)
    other = GOOD.replace("1.5", "1.6")
    assert put(study, other).conflicting == 1
    assert put(study, other).already == 1
    assert Ledger(study / "ledger").read("assessment").num_rows == 2


def test_two_contents_under_one_id_in_one_file_refuse_the_file(study: Path) -> None:
    with pytest.raises(ConflictError, match="rows 1, 2"):
        put(study, GOOD, GOOD.replace("1.5", "1.6"))
    assert Ledger(study / "ledger").position == 0


def test_a_correction_gets_an_id_of_its_own_that_repeats(study: Path) -> None:
    line = ",01,V1,2026-01-05,PGA,PGA_0_3,,1.7,e1,typing error"
    assert put(study, GOOD, line).landed == 2
    assert put(study, line).already == 1


def test_strict_and_dry_run_write_nothing(study: Path) -> None:
    with pytest.raises(FindingsError, match="1 of 2"):
        put(study, GOOD, GOOD.replace("e1", "e2").replace("1.5", "x"), strict=True)
    assert put(study, GOOD, dry_run=True).landed == 1
    assert Ledger(study / "ledger").position == 0
    assert not (study / "refused").exists()


def test_unknown_columns_are_refused_not_dropped(study: Path) -> None:
    with pytest.raises(UsageError, match="colour"):
        put(study, GOOD + ",red", head=HEAD + ",colour")


def test_messages_never_quote_a_value(study: Path) -> None:
    report = put(study, "e2,01,V1,2026-01-05,PGA,PGA_0_3,,SECRET,,")
    assert "SECRET" not in json.dumps([report.refusals, report.queries])


def test_the_gate_refuses_by_record_and_queries_beyond_it(study: Path) -> None:
    head = "event_id,subject_id,occurred,instrument,item,value_number,range_low,range_high"
    report = put(
        study,
        "l1,01,2026-01-05,LABORATORY,C3,1,3,2",
        "w1,01,2026-01-05,WEIGHT,WEIGHT,300.5,,",
        "l2,01,2026-01-05,LABORATORY,C3,1,2,3",
        head=head,
    )
    assert [(r["source_row"], r["code"]) for r in report.refusals] == [(1, "range_reversed")]
    assert [(q["code"], q["event_ids"]) for q in report.queries] == [("implausible_weight", ["w1"])]
    commit = Ledger(study / "ledger").commits[0]
    assert commit.details["queries"] == report.queries
    assert set(commit.details["suites"]) == {"assessment"}


def test_arrow_objects_land_like_files(study: Path) -> None:
    rows = pa.table({"event_id": ["v1"], "subject_id": ["01"], "occurred": ["2026-01-05"], "status": ["held"]})
    source = readers.from_arrow(rows, "from python")
    chosen = mapping.native("visit", source.rows.column_names)
    assert land(study, source, chosen, study_id="S", author="me", reason="test").landed == 1


def test_reconciliation_is_enforced() -> None:
    from enfold.errors import EnfoldError

    with pytest.raises(EnfoldError, match="accounted for"):
        Report("f", "m", rows=2, mapped=1, ignored={}, refused=0).check()


@pytest.mark.parametrize(
    ("name", "octets", "message"),
    [
        ("x.csv", b"a,a\n1,2\n", "every column once"),
        ("x.csv", b"\xff\xfe\x00", "not readable"),
        ("x.parquet", b"PAR1nonsense", "not readable"),
        ("x.doc", b"", "not a format"),
    ],
)
def test_unreadable_files_are_a_usage_error(tmp_path: Path, name: str, octets: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(octets)
    with pytest.raises(UsageError, match=message):
        readers.read(path)
