"""REDCap: the dictionary checks export and mapping; every field and choice is read, left out by name or refused."""

import csv
import gzip
import io
import re
from decimal import Decimal
from pathlib import Path

import pytest

from enfold.cli.main import main as enfold
from enfold.errors import UsageError
from enfold.land import mapping, refused, retry, sources
from enfold.land.redcap_dictionary import choices
from land.exports import EXPORTS, bring, events, staged
from tests_support import STUDY

BOOK = EXPORTS / "redcap-dictionary.csv"
EXPORT = (EXPORTS / "redcap-export.csv").read_text("utf-8")
MAPPING = (EXPORTS / "redcap.toml").read_text("utf-8")


def written(folder: Path, text: str, name: str = "export.csv") -> Path:
    (folder / name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return folder / name


def test_forms_become_events(tmp_path: Path) -> None:
    report = bring(tmp_path / "S", EXPORTS / "redcap-export.csv", MAPPING, BOOK)
    assert (report.rows, report.mapped, report.refused, report.landed) == (5, 5, 0, 22)
    assert events(tmp_path / "S", "enrolment", "subject_id", "occurred", "sex", "birth_date") == [
        ("SYN-101", "2026-01-12", "F", "1988-07"),
        ("SYN-102", "2026-01-19", "M", "1990"),
    ]
    assert events(tmp_path / "S", "adverse_event", "term", "occurred", "grade", "serious") == [
        ('Übelkeit, "mild"', "2026-01", 1, False),
        ("Fever", "2026-01-20", 2, True),
    ]
    found = events(tmp_path / "S", "assessment", "source_row", "item", "occurred", "comparator", "value_number",
                   "value_code", "not_done")  # fmt: skip
    assert {f for f in found if f[0] == 2} == {
        (2, "SYSBP", "2026-02-09T10:05", None, None, None, True),
        (2, "WEIGHT", "2026-02-09T10:05", None, Decimal("60.9"), None, None),
        (2, "CRP", "2026-02-09T10:05", None, Decimal(12), None, None),
        (2, "SEIZ", "2026-02-09", None, None, "absent", None),
        (2, "PSYCH", "2026-02-09", None, None, "unknown", None),
        (2, "ARTHR", "2026-02-09", None, None, "absent", None),
    }
    assert (1, "CRP", "2026-01-12T09:30", "<", Decimal("0.3"), None, None) in found


def test_another_order_packing_or_name_lands_nothing_twice(tmp_path: Path) -> None:
    bring(tmp_path / "S", EXPORTS / "redcap-export.csv", MAPPING, BOOK)
    head, *rows = EXPORT.splitlines()
    turned = written(tmp_path, "\r\n".join([head, *reversed(rows)]) + "\r\n", "other.csv.gz")
    report = bring(tmp_path / "S", turned, MAPPING, BOOK)
    assert (report.landed, report.already) == (0, 22)


def test_a_later_snapshot_corrects_and_withdraws(tmp_path: Path) -> None:
    bring(tmp_path / "S", EXPORTS / "redcap-export.csv", MAPPING, BOOK)
    later = EXPORT.replace(
        "SYN-101,week_4_arm_1,,,,,,0,0,0,0,,,2026-02-09 10:05,-999",
        "SYN-101,week_4_arm_1,,,,,,0,0,0,0,,,2026-02-09 10:05,122",
    )
    later = "\n".join(line for line in later.splitlines() if "Fever" not in line)
    report = bring(tmp_path / "S", written(tmp_path, later), MAPPING, BOOK, snapshot=True)
    assert (report.landed, report.corrected, report.retracted, report.already) == (0, 1, 1, 20)


FAULTY = {  # a change of the export, and the refusal: row, column, code
    "another code": ("2026-01-12,1,1988-07", "2026-01-12,3,1988-07", (1, "sex", "not_a_choice")),
    "a label": (",2026-01,1,0,2", ",2026-01,Mild,0,2", (3, "ae_grade", "not_a_choice")),
    "a word for a number": ("09:30,118,", "09:30,about 120,", (1, "sbp", "not_validated")),
    "a date as it is shown": ("2026-01-12,0,0,1,2", "12/01/2026,0,0,1,2", (1, "sle_date", "not_validated")),
    "a value of another form": ("baseline_arm_1,adverse_events,2,,,", "baseline_arm_1,adverse_events,2,2026-01-12,,",
                                (4, "consent_date", "other_instrument")),
    "an unknown form": ("baseline_arm_1,adverse_events,2,", "baseline_arm_1,events,2,",
                        (4, "redcap_repeat_instrument", "unknown_instrument")),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(FAULTY))
def test_a_row_that_is_not_of_the_dictionary_is_refused(case: str, tmp_path: Path) -> None:
    good, bad, wanted = FAULTY[case]
    assert EXPORT.count(good) == 1
    found = staged(written(tmp_path, EXPORT.replace(good, bad)), MAPPING, BOOK)
    assert wanted in {(r["source_row"], r["column_name"], r["code"]) for r in found.refused}
    assert {r["source_row"] for r in found.refused} == {wanted[0]}
    assert found.mapped_rows == 4


def test_a_value_that_no_rule_reads_in_its_row_is_refused_not_dropped(tmp_path: Path) -> None:
    stray = EXPORT.replace("SYN-101,week_4_arm_1,,,,,,0,0,0,0", "SYN-101,week_4_arm_1,,,,2,,0,0,0,0")
    report = bring(tmp_path / "S", written(tmp_path, stray), MAPPING, BOOK)
    assert [(r["source_row"], r["column_name"], r["code"]) for r in report.refusals] == [(2, "sex", "unread_value")]
    assert report.landed == 16


TABLES = {
    "an unnamed field": (EXPORT.replace("age,demographics_c", "extra,demographics_c"), MAPPING, "the columns extra, which"),
    "labels for names": (EXPORT.replace("consent_date,sex,", "Date of consent,sex,"), MAPPING, "columns Date of consent"),
    "a field that the mapping passes over": (EXPORT, MAPPING.replace('"age"', '"agee"'), "neither uses nor ignores the column age"),
    "a row twice": (EXPORT + EXPORT.splitlines()[1] + "\n", MAPPING, "row 6 has the record_id, redcap_event_name"),
    "a choice without a word": (EXPORT, MAPPING.replace(', 9 = "U"', ""), "`codes` has no word for the choices 9"),
    "a word without a choice": (EXPORT, MAPPING.replace('9 = "U"', '9 = "U", 7 = "U"'), "`codes` names 7, which is no"),
    "choices that changed": (EXPORT, MAPPING.replace("1, Female", "1, Male"), "those of `sex` are not those of"),
    "a field that is not there": (EXPORT, MAPPING.replace('"birth"', '"birthday"'), "reads `birthday`, which is no column"),
    "a condition on no choice": (EXPORT, MAPPING.replace('present = ["consent_date"]', 'equals = { sex = ["F"] }'), "asks `sex` for a code"),
    "a column that was not exported": (EXPORT.replace(",crp,", ",visit_date_x,"), MAPPING, "visit_date_x"),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(TABLES))
def test_an_export_or_mapping_that_does_not_fit_the_project_is_refused(case: str, tmp_path: Path) -> None:
    text, using, message = TABLES[case]
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        staged(written(tmp_path, text), using, BOOK)
    assert caught.value.remedy


BOOKS = {
    "another table": ("Variable / Field Name", "Name", "not a REDCap data dictionary: no column Variable"),
    "choices unreadable": ("1, Mild | 2, Moderate", "Mild, Moderate | 2", "row 18: the choices of `ae_grade`"),
    "a field twice": ("\nsex,", "\nbirth,", "row 4 has no field, form or type, or its field stands twice"),
}


@pytest.mark.parametrize("case", sorted(BOOKS))
def test_a_dictionary_that_is_none_is_refused(case: str, tmp_path: Path) -> None:
    good, bad, message = BOOKS[case]
    text = BOOK.read_text("utf-8")
    assert good in text
    with pytest.raises(UsageError, match=re.escape(message)):
        bring(
            tmp_path / "S", EXPORTS / "redcap-export.csv", MAPPING, written(tmp_path, text.replace(good, bad), "d.csv")
        )


def test_decimal_commas_and_forms_without_meaning(tmp_path: Path) -> None:
    book = written(
        tmp_path, BOOK.read_text("utf-8").replace(",,number,20,250", ",,number_2dp_comma_decimal,20,250"), "d.csv"
    )
    text = EXPORT.replace("118,61.25,<0.3,2,", '118,"61,25",<0.3,3,')  # 3 is no state of a form, and nobody reads it
    found = staged(written(tmp_path, text), MAPPING, book)
    assert not found.refused
    assert Decimal("61.25") in found.events["assessment"].column("value_number").to_pylist()


def test_a_dictionary_is_asked_for_and_goes_with_redcap_only() -> None:
    with pytest.raises(UsageError, match="no data dictionary was given"):
        sources.read(EXPORTS / "redcap-export.csv", mapping.parse(MAPPING, "mine"))
    with pytest.raises(UsageError, match="a dictionary goes with"):
        sources.read(EXPORTS / "redcap-export.csv", mapping.load("sdtm/ae"), BOOK)


def test_the_dictionary_of_the_api_says_the_same(tmp_path: Path) -> None:
    text = BOOK.read_text("utf-8")
    for label, name in {"Variable / Field Name": "field_name", "Form Name": "form_name", "Field Type": "field_type",
                        "Choices, Calculations, OR Slider Labels": "select_choices_or_calculations",
                        "Text Validation Type OR Show Slider Number": "text_validation_type_or_show_slider_number",
                        }.items():  # fmt: skip
        text = text.replace(f'"{label}"', name)
    found = staged(EXPORTS / "redcap-export.csv", MAPPING, written(tmp_path, text, "d.csv"))
    assert sum(rows.num_rows for rows in found.events.values()) == 22


def test_mended_rows_land_through_the_same_mapping(tmp_path: Path) -> None:
    study = tmp_path / "S"
    assert enfold(["init", str(study), str(written(tmp_path, STUDY.replace('"S"', '"SYN"'), "study.toml"))]) == 0
    bring(study, written(tmp_path, EXPORT.replace("2026-01-12,1,1988-07", "2026-01-12,3,1988-07")), MAPPING, BOOK)
    (found,) = refused.refusals(study)
    head, row = csv.reader(refused.export(found).decode().splitlines())
    row[head.index("sex")] = "1"
    mended = io.StringIO()
    csv.writer(mended).writerows([head, row])
    report = retry.retry(study, written(tmp_path, mended.getvalue(), "mended.csv"), author="dm", reason="typing error")
    assert (report.refused, report.landed) == (0, 7)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1, Yes | 0, No", {"1": "Yes", "0": "No"}),
        ("-1,Other, or mixed|a b , B", {"-1": "Other, or mixed", "a b": "B"}),
        ("1, Yes | 1, No", None),
        ("Yes | No", None),
        ("", None),
        (", Yes", None),
    ],
)
def test_choices(text: str, wanted: dict[str, str] | None) -> None:
    assert choices(text) == wanted
