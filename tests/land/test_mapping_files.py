"""Mapping files: every shipped one is sound, and each fault of one's own is said with its place."""

from pathlib import Path

import pyarrow as pa
import pytest

from enfold.errors import UsageError
from enfold.land import mapping, readers
from enfold.land.stage import stage
from enfold.shipped import shipped

GOOD = """
version = 1
about = "x"
[[rules]]
name = "pga"
emits = "assessment"
key = ["SUBJ", "DATE"]
[rules.fields]
subject_id = "SUBJ"
occurred = "DATE"
instrument = { constant = "PGA" }
item = { constant = "PGA_0_3" }
value_number = { column = "VALUE", part = "number" }
[[ignore_columns]]
name = "spare"
columns = ["NOTE"]
"""
FAULTS = [
    ("version = 1", "", "the file: has no `version`"),
    ("version = 1", "version = 1\nabuot = 'x'", "the file: unknown key abuot"),
    ("version = 1", "version = ", "not valid TOML"),
    ('name = "pga"', "", r"\[\[rules\]\] 1: has no `name`"),
    ('emits = "assessment"', 'emits = "assesment"', "rule `pga`: emits `assesment`"),
    ('key = ["SUBJ", "DATE"]', "", "rule `pga`: `key`, columns that tell one event from another, is not a list"),
    ('key = ["SUBJ", "DATE"]', 'key = "SUBJ"', "rule `pga`: `key`"),
    ('key = ["SUBJ", "DATE"]', 'key = ["SUBJ"]\npresnet = ["SUBJ"]', "rule `pga`: unknown key presnet"),
    ('key = ["SUBJ", "DATE"]', 'key = ["SUBJ"]\nequals = { A = "x" }', "rule `pga`: `equals` of `A`"),
    ('key = ["SUBJ", "DATE"]', 'key = ["SUBJ"]\notherwise = true', "`otherwise` needs a rule before it"),
    ('subject_id = "SUBJ"', "", "nothing fills subject_id"),
    ('subject_id = "SUBJ"', 'subjectid = "SUBJ"', "rule `pga`, fields: unknown key subjectid"),
    ('occurred = "DATE"', "occurred = 7", "rule `pga`, field `occurred`: is neither a column nor one of the tables"),
    ('{ constant = "PGA" }', "{ constant = 1 }", "field `instrument`: `constant` is not a text"),
    ('part = "number"', 'part = "numbr"', "field `value_number`: `part` is not known"),
    ('part = "number"', "digits = 40", "field `value_number`: `digits` is not a whole number from 1 to 17"),
    ('part = "number"', "codes = {}", "field `value_number`: `codes` is not a table of texts"),
    ('part = "number"', 'cods = { A = "B" }', "is neither a column nor one of the tables"),
    ('part = "number"', 'part = "number", codes = { A = "B" }', "`codes` goes with no other `part` than missing"),
    ('key = ["SUBJ", "DATE"]', 'key = ["SUBJ"]\nabsent = "A"', "rule `pga`: `absent` is not a list of texts"),
    ('key = ["SUBJ", "DATE"]', 'key = ["SUBJ"]\neach = ["A"]', "rule `pga`: `each` is not a table of items by column"),
    ('key = ["SUBJ", "DATE"]', 'key = ["SUBJ"]\neach = { A = "X", B = "X" }', "`each` names an item twice"),
    ('key = ["SUBJ", "DATE"]', 'key = ["SUBJ", "*item"]', r"reads `\*item` or `\*value` without `each`"),
    ('about = "x"', 'about = "x"\n[source]\nformat = "excel"', r"\[source\]: `format` is not known"),
    ('about = "x"', 'about = "x"\n[source]\nformat = "meds"\nid = "x"', r"\[source\]: unknown key id"),
    ('about = "x"', 'about = "x"\n[source]\nformat = "odm"\nrecords = [1]', "`records` holds something else than texts"),
    ('about = "x"', 'about = "x"\n[source]\nformat = "odm"\noffset = "CET"', r"`offset` is not like \+01:00"),
    ("version = 1", "version = 1\ndigits = 15", "`digits`: is not a table of columns"),
    ("version = 1", "version = 1\ndigits = { SUBJ = 0 }", "`digits` of `SUBJ`: `digits` is not a whole number from 1 to 17"),
    ('columns = ["NOTE"]', "", r"\[\[ignore_columns\]\] `spare`: `columns` is not a list of texts"),
    ("[[ignore_columns]]", "[ignore_columns]", r"`ignore_columns`: is not written as \[\[ignore_columns\]\]"),
]  # fmt: skip


@pytest.mark.parametrize(("good", "bad", "message"), FAULTS)
def test_a_fault_is_said_with_its_place_and_its_remedy(good: str, bad: str, message: str) -> None:
    assert GOOD.count(good) == 1
    with pytest.raises(UsageError, match=message) as caught:
        mapping.parse(GOOD.replace(good, bad), "mine")
    assert caught.value.message.startswith("mapping mine: ")


def test_every_shipped_mapping_is_sound_and_documented() -> None:
    root = Path(str(shipped("schemas"))) / "mappings"
    names = sorted(str(p.relative_to(root)).removesuffix(".toml") for p in root.rglob("*.toml"))
    page = (Path(__file__).parents[2] / "docs" / "reference" / "mappings.md").read_text("utf-8")
    for name in names:
        mapping.load(name)
        assert f"## {name}\n" in page


def test_a_column_that_nothing_names_refuses_the_file() -> None:
    table = pa.table({"SUBJ": ["1"], "DATE": ["2026-01-01"], "VALUE": ["1"], "NOTE": ["SECRET"], "MORE": ["SECRET"]})
    source = readers.from_arrow(table, "python")
    with pytest.raises(UsageError, match="mapping mine neither uses nor ignores the column MORE") as caught:
        stage(source, mapping.parse(GOOD, "mine"), "S", None)
    assert "ignore_columns" in str(caught.value)
    with pytest.raises(UsageError, match="no column DATE, VALUE"):
        stage(readers.from_arrow(table.select(["SUBJ", "NOTE"]), "python"), mapping.parse(GOOD, "mine"), "S", None)
    text = GOOD.replace("version = 1", 'version = 1\noptional = ["VALUE"]')
    found = stage(readers.from_arrow(table.select(["SUBJ", "DATE"]), "python"), mapping.parse(text, "mine"), "S", None)
    assert [r["code"] for r in found.refused] == ["no_value"]


@pytest.mark.parametrize(
    ("result", "number", "comparator", "text"),
    [
        ("1.50", "1.50", None, None),
        ("<0.2", "0.2", "<", None),
        (">= 5", "5", ">=", None),
        ("-3", "-3", None, None),
        ("1.5e3", None, None, "1.5e3"),
        ("NEGATIVE", None, None, "NEGATIVE"),
        ("2+", None, None, "2+"),
        ("1-2", None, None, "1-2"),
        (None, None, None, None),
    ],
)
def test_parts_of_a_result(result: str | None, number: str | None, comparator: str | None, text: str | None) -> None:
    import duckdb

    parts = (mapping.target_sql({"column": "R", "part": p}) for p in ("number", "comparator", "text"))
    found = (
        duckdb.connect()
        .execute(f"SELECT {', '.join(parts)} FROM (SELECT CAST(? AS VARCHAR) AS R)", [result])
        .fetchone()
    )
    assert found == (number, comparator, text)


@pytest.mark.parametrize(
    ("double", "digits", "decimal"),
    [
        ("0.39999999999999997", 15, "0.4"),
        ("0.056999999999999995", 15, "0.057"),
        ("1234567.125", 9, "1234567.12"),
        ("100", 15, "100"),
        ("1e-05", 15, "0.00001"),
        ("TABLET", 15, "TABLET"),
        (None, 15, None),
    ],
)
def test_a_double_to_so_many_digits(double: str | None, digits: int, decimal: str | None) -> None:
    import duckdb

    sql = mapping.target_sql({"column": "R", "digits": digits})
    assert duckdb.connect().execute(f"SELECT {sql} FROM (SELECT CAST(? AS VARCHAR) AS R)", [double]).fetchone() == (
        decimal,
    )


def test_each_column_with_a_value_gives_an_event_and_every_row_is_counted() -> None:
    text = GOOD.replace('key = ["SUBJ", "DATE"]', 'key = ["DATE", "*item"]\neach = { A = "PGA_0_3", B = "PGA_0_10" }')
    text = text.replace('{ constant = "PGA_0_3" }', '"*item"').replace('column = "VALUE"', 'column = "*value"')
    text = text.replace('columns = ["NOTE"]', 'columns = ["N*E"]')
    rows = pa.table({"SUBJ": ["01", "02", "03"], "DATE": ["2026-01-01"] * 3, "A": ["0.5", None, None],
                     "B": ["2", "1.5", None], "NOTE": [None, None, "x"], "NOSE": ["x"] * 3})  # fmt: skip
    found = stage(readers.from_arrow(rows, "x"), mapping.parse(text, "mine"), "S", None)
    events = found.events["assessment"].select(["subject_id", "item"]).to_pylist()
    assert sorted(tuple(e.values()) for e in events) == [("01", "PGA_0_10"), ("01", "PGA_0_3"), ("02", "PGA_0_10")]
    assert found.ignored_columns == {"spare": ["NOTE", "NOSE"]}
    assert (found.mapped_rows, [(r["source_row"], r["code"]) for r in found.refused]) == (2, [(3, "unmapped")])


def test_rows_from_python_are_not_taken_for_a_format_that_is_checked_while_it_is_read(demo_copy: Path) -> None:
    import enfold

    with pytest.raises(UsageError, match="mapping meds/any reads files of the format meds, not rows"):
        enfold.land_rows(demo_copy, pa.table({"code": ["x"]}), using="meds/any", author="dm", reason="no")


def test_a_double_is_rounded_wherever_it_is_read_and_a_text_is_left() -> None:
    text = GOOD.replace("version = 1", "version = 1\ndigits = { DATE = 15, SUBJ = 15, NONE = 3 }")
    chosen = mapping.parse(text.replace('occurred = "DATE"', 'visit_id = "DATE"'), "mine")
    rows = [
        {"SUBJ": "S-1", "DATE": d, "VALUE": "1", "NOTE": None} for d in ("9.299999999999999", "9.4", "3", None, "BL")
    ]
    found = stage(readers.from_arrow(pa.Table.from_pylist(rows), "x"), chosen, "S", None).events["assessment"]
    assert found.column("visit_id").to_pylist() == ["9.3", "9.4", "3", None, "BL"]
    rows[0]["DATE"] = "9.3"
    again = stage(readers.from_arrow(pa.Table.from_pylist(rows), "x"), chosen, "S", None).events["assessment"]
    assert again.column("event_id").to_pylist() == found.column("event_id").to_pylist()
