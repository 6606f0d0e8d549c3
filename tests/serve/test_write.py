"""Whatever is written is read back the same, or refused before anything is written, by name and count."""

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enfold.errors import UsageError
from enfold.land import readers
from enfold.serve import write
from enfold.serve.files import File, plain
from enfold.serve.specification import ARROW, Variable
from read_back import read

MADE = dt.datetime(2025, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
VARIABLES = (
    Variable("USUBJID", label="Subject", length=64),
    Variable("AETERM", label="Term", length=200),
    Variable("AESTDTC", label="Start as collected", length=64),
    Variable("ASEQ", "integer", "Sequence"),
    Variable("AVAL", "number", "Value", digits=9),
    Variable("ASTDT", "date", "Start"),
)
AWKWARD: list[dict[str, Any]] = [
    {"USUBJID": "1", "AETERM": "<5", "AESTDTC": "2024", "ASEQ": 1, "AVAL": Decimal("0.1"), "ASTDT": dt.date(2024, 2, 29)},
    {"USUBJID": "2", "AETERM": 'say "no", or\nnot', "AESTDTC": "2024-03", "ASEQ": None, "AVAL": None, "ASTDT": None},
    {"USUBJID": "3", "AETERM": "  leading", "AESTDTC": None, "ASEQ": -7, "AVAL": Decimal("-0.000000001"), "ASTDT": dt.date(1959, 12, 31)},
    {"USUBJID": "4", "AETERM": None, "AESTDTC": "2024-03-01T10:05+08:00", "ASEQ": 10**14, "AVAL": Decimal("123456789012345"), "ASTDT": dt.date(1583, 1, 1)},
    {"USUBJID": "5", "AETERM": "NA", "AESTDTC": "null", "ASEQ": 0, "AVAL": Decimal(0), "ASTDT": dt.date(2262, 4, 12)},
]  # fmt: skip
ONLY_ELSEWHERE: list[dict[str, Any]] = [
    {"USUBJID": "6", "AETERM": "Fièvre ≥ 38 °C, 发热", "AVAL": Decimal("12345678.901234567")},
    {"USUBJID": "7", "AETERM": "", "AESTDTC": "", "ASTDT": dt.date(1, 1, 1)},
    {"USUBJID": "8", "AETERM": "trailing  ", "AVAL": Decimal("99999999999999999999999999999.999999999")},
]


def file(rows: list[dict[str, Any]], variables: tuple[Variable, ...] = VARIABLES) -> File:
    columns = {v.name: pa.array([r.get(v.name) for r in rows], ARROW[v.kind]) for v in variables}
    return File("ADAE", "Adverse events", variables, pa.table(columns), ("USUBJID",))


@pytest.mark.parametrize("form", write.FORMATS)
def test_awkward_values_come_back(form: str, tmp_path: Path) -> None:
    given = file(AWKWARD if form == "xpt" else [*AWKWARD, *ONLY_ELSEWHERE])
    assert write.write(tmp_path / "out", [given], form, MADE, "S") == {
        f"adae{write.FORMATS[form]}": given.rows.num_rows
    }
    path = tmp_path / "out" / f"adae{write.FORMATS[form]}"
    assert read(path, VARIABLES).to_pylist() == given.rows.to_pylist()
    landed = readers.read(path).rows  # what `enfold land` sees: texts without blanks around them
    for variable in VARIABLES:
        wanted = [None if v is None else plain(v).strip() or None for v in given.rows.column(variable.name).to_pylist()]
        seen = landed.column(variable.name).to_pylist()
        if variable.kind == "number":  # Parquet's text has zeros behind it
            seen, wanted = ([v and Decimal(v) for v in column] for column in (seen, wanted))
        assert seen == wanted, variable.name


@pytest.mark.parametrize("form", write.FORMATS)
def test_the_same_content_has_the_same_bytes(form: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write.write(tmp_path / name, [file(AWKWARD)], form, MADE, "S")
    name = f"adae{write.FORMATS[form]}"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("form", write.FORMATS)
def test_a_table_without_rows_keeps_its_columns(form: str, tmp_path: Path) -> None:
    write.write(tmp_path / "out", [file([])], form, MADE, "S")
    found = read(tmp_path / "out" / f"adae{write.FORMATS[form]}", VARIABLES)
    assert found.column_names == [v.name for v in VARIABLES]
    assert found.num_rows == 0


ASCII = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=200).filter(
    lambda t: t[-1] != " "
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "USUBJID": ASCII.map(lambda t: t[:60].strip() or "x"),
            "AETERM": st.none() | ASCII,
            "ASEQ": st.none() | st.integers(-(10**15) + 1, 10**15 - 1),
            "AVAL": st.none()
            | st.builds(lambda m, e: Decimal(m).scaleb(-e), st.integers(-(10**15) + 1, 10**15 - 1), st.integers(0, 9)),
            "ASTDT": st.none() | st.dates(dt.date(1582, 10, 15), dt.date(9999, 12, 31)),
        }
    ),
    max_size=8,
)


@settings(max_examples=40, deadline=None)
@given(rows=ROWS, form=st.sampled_from(list(write.FORMATS)))
def test_whatever_passes_the_check_comes_back(rows: list[dict[str, Any]], form: str) -> None:
    import tempfile

    given = file(rows)
    with tempfile.TemporaryDirectory() as folder:
        write.write(Path(folder) / "out", [given], form, MADE, "S")
        assert (
            read(Path(folder) / "out" / f"adae{write.FORMATS[form]}", VARIABLES).to_pylist() == given.rows.to_pylist()
        )


@pytest.mark.parametrize(
    ("row", "variable", "said"),
    [
        ({"AETERM": "Fièvre"}, None, "ADAE.AETERM: 1 values are not ASCII; first in row 2"),
        (
            {"AETERM": "x" * 201},
            Variable("AETERM", label="Term", length=300),
            "ADAE.AETERM: 1 values are longer than 200 characters",
        ),
        ({"AETERM": ""}, None, "ADAE.AETERM: 1 values are empty, which it cannot tell from missing"),
        ({"AETERM": "x "}, None, "ADAE.AETERM: 1 values end in blanks"),
        ({"AVAL": Decimal("1234567.890123456")}, None, "ADAE.AVAL: 1 values have more than 15 significant digits"),
        ({"ASEQ": 10**15 + 1}, None, "ADAE.ASEQ: 1 values have more than 15 significant digits"),
        ({"ASTDT": dt.date(1500, 1, 1)}, None, "ADAE.ASTDT: 1 values are before 1582"),
        ({}, Variable("AVERYLONG", label="Long"), "ADAE.AVERYLONG: its name is not 1 to 8"),
        ({}, Variable("AETERM", label="L" * 41), "ADAE.AETERM: its label is not at most 40"),
        ({}, Variable("AETERM", label="Ä"), "ADAE.AETERM: its label is not at most 40 ASCII"),
    ],
)
def test_what_a_transport_file_cannot_hold_is_named_and_nothing_written(
    row: dict[str, Any], variable: Variable | None, said: str, tmp_path: Path
) -> None:
    variables = VARIABLES
    if variable:
        variables = (*(v for v in VARIABLES if v.name != variable.name), variable)
    with pytest.raises(UsageError) as caught:
        write.write(tmp_path / "out", [file([{"USUBJID": "1"}, {"USUBJID": "2"} | row], variables)], "xpt", MADE, "S")
    assert said in str(caught.value)
    assert not any(str(v) in str(caught.value) for v in row.values() if str(v).strip())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", write.FORMATS)
@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"USUBJID": "x" * 65}, "ADAE.USUBJID: 1 values are longer than 64 characters; first in row 1"),
        ({"SEX": "Q"}, "ADAE.SEX: 1 values are no term of SEX; first in row 1"),
        ({"CNSR": 2}, "ADAE.CNSR: 1 values are no term of CNSR; first in row 1"),
        ({"CHG": Decimal("0.125")}, "ADAE.CHG: 1 values have more than 2 decimals; first in row 1"),
        ({"CHG": Decimal("9" * 29 + ".999")}, "ADAE.CHG: 1 values have more than 2 decimals; first in row 1"),
    ],
)
def test_what_the_specification_does_not_allow_is_named_in_every_format(
    form: str, row: dict[str, Any], said: str, tmp_path: Path
) -> None:
    more = (Variable("SEX", label="Sex", length=1, codes="SEX"), Variable("CNSR", "integer", "Censor", codes="CNSR"))
    given = file([row, {}], (*VARIABLES, *more, Variable("CHG", "number", "Change", digits=2)))
    with pytest.raises(UsageError, match=said):
        write.write(tmp_path / "out", [given], form, MADE, "S")
    assert list(tmp_path.iterdir()) == []


def test_every_offender_of_every_file_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        write.write(tmp_path / "out", [file(ONLY_ELSEWHERE), file(ONLY_ELSEWHERE)], "xpt", MADE, "S")
    assert str(caught.value).count("ADAE.AETERM: 1 values are not ASCII") == 2
    assert "ADAE.AVAL: 2 values have more than 15 significant digits; first in row 1" in str(caught.value)


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(UsageError, match="exists"):
        write.write(tmp_path / "out", [file(AWKWARD)], "csv", MADE, "S")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_export_that_breaks_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from enfold.ledger import storage

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "create", full)
    with pytest.raises(OSError, match="No space"):
        write.write(tmp_path / "out", [file(AWKWARD)], "csv", MADE, "S")
    assert list(tmp_path.iterdir()) == []
