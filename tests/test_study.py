"""The study file: windows, parameters, and errors that name the key."""

import json
import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from enfold import study
from enfold.errors import UsageError
from enfold.shipped import shipped
from tests_support import STUDY

ROOT = Path(__file__).parents[1]


def test_ec_79_windows_are_half_open_midpoints() -> None:
    windows = {v.id: (v.window_from, v.window_until) for v in study.parse(STUDY).visits}
    assert windows == {"BL": (-60, -4), "W4": (1, 56), "W12": (56, 112)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("plugins = []", "plugin = []"), "`plugin` is not known"),
        (('id = "S"', ""), "`id` must be"),
        (("Europe/Berlin", "Europe/Nowhere"), "`time_zone` is not an IANA zone"),
        (("day = 28", 'day = "28"'), "`day` must be a whole number"),
        (("day = 84", "day = 20"), "`day` must rise"),
        (("window = [-60, -4]", ""), "`window` must be given"),
        (("window = [-60, -4]", "window = [-4, -60]"), "`window` must be"),
        (("day = 84", "day = 84\nwindow = [50, 100]"), "overlaps"),
        (('id = "W12"', 'id = "W4"'), "`id` must be given once"),
        (("plugins = []", "plugins = ["), "not valid TOML"),
        (('title = "test"', 'title = "test"\ndata_cutoff = "2026"'), "`data_cutoff` must be a date"),
        (("[study]", "[report]\nrounding = 'up'\n[study]"), "`rounding` must be one of half_up, half_even"),
        (("[study]", "[report]\nlevel = 95\n[study]"), "`level` must be a number from 0.5"),
        (("[study]", "[report]\nlandmarks = [0]\n[study]"), "`landmarks` must be a list of whole months"),
        (("[study]", "[report]\npercent_places = true\n[study]"), "`percent_places` must be a whole number"),
        (("[study]", "[analysis_sets]\npk = ['sri4']\n[study]"), "`pk` must be a list of aliases"),
        (("[study]", "[analysis_sets]\ninfused = []\n[study]"), "`infused` is not known"),
    ],
)
def test_errors_name_the_key_and_where_to_look(change: tuple[str, str], message: str) -> None:
    with pytest.raises(UsageError) as error:
        study.parse(STUDY.replace(*change))
    assert message in error.value.message
    assert "study-file.md" in str(error.value)


# what only more than one key, or a list of the world's time zones, can tell
BEYOND_A_SCHEMA = ("time_zone", "rise", "must be given", "window = [-4", "overlap", "given once", "TOML", "aliases")


def structural(text: str) -> list[str]:
    """What an editor with the JSON Schema would underline; dates as it sees them."""
    doc = json.loads(json.dumps(tomllib.loads(text), default=str))
    return [e.json_path for e in Draft202012Validator(SCHEMA, format_checker=FormatChecker()).iter_errors(doc)]


SCHEMA = json.loads((shipped("schemas") / "study.schema.json").read_text("utf-8"))


def test_the_json_schema_knows_the_keys_that_the_parser_knows() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["properties"]) == study.TOP
    for table, allowed in study.KEYS.items():
        found = SCHEMA["properties"][table]
        assert (found["type"] == "object") == (table in study.SINGLE), table
        assert set(found.get("items", found)["properties"]) == allowed, table
    page = (ROOT / "docs" / "reference" / "study-file.md").read_text("utf-8")
    assert all(f"`{key}`" in page for allowed in study.KEYS.values() for key in allowed)


FILES = [p for f in ("platform", "docs", "tests", "plugins") for p in (ROOT / f).rglob("study.toml")]


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.parent.name)
def test_the_json_schema_accepts_every_study_file_here(path: Path) -> None:
    assert structural(path.read_text("utf-8")) == []


def test_the_json_schema_refuses_what_one_key_shows() -> None:
    (mark,) = (m for m in test_errors_name_the_key_and_where_to_look.pytestmark if m.name == "parametrize")
    refused = 0
    for change, message in mark.args[1]:
        if any(part in message or part in str(change) for part in BEYOND_A_SCHEMA):
            continue
        assert structural(STUDY.replace(*change)), change
        refused += 1
    assert refused >= 7
    assert structural(STUDY) == structural(STUDY + ESTIMAND) == []
    assert structural(STUDY + ESTIMAND.replace("proportion", "mean")) == ["$.estimands[0].summary"]


def test_init_prints_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    from enfold.cli.main import main as enfold

    with pytest.raises(SystemExit) as stop:
        enfold(["init", "--schema"])
    assert (stop.value.code, json.loads(capsys.readouterr().out)) == (0, SCHEMA)


ESTIMAND = """
[[endpoints]]
endpoint = "doris"
[[estimands]]
id = "remission"
population = "infused"
variable = "doris"
at = "W12"
summary = "proportion"
intercurrent = { rescue = "composite" }
"""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('id = "remission"', ""), "`id` must be"),
        (('"infused"', '"safety"'), "`population` must be one of enrolled, infused"),
        (('variable = "doris"', 'variable = "sri4"'), "`variable` must be the alias"),
        (('"W12"', '"W99"'), "`at` must be a visit"),
        (('"proportion"', '"mean"'), "`summary` must be one of"),
        (('"composite"', '"ignore"'), "`intercurrent.rescue` must be one of treatment_policy"),
        (('{ rescue = "composite" }', '"composite"'), "`intercurrent` must be a table"),
    ],
)
def test_an_estimand_states_its_attributes_by_name(change: tuple[str, str], message: str) -> None:
    (found,) = study.parse(STUDY + ESTIMAND).estimands
    assert (found.at, found.intercurrent) == ("W12", (("rescue", "composite"),))
    with pytest.raises(UsageError) as error:
        study.parse(STUDY + ESTIMAND.replace(*change))
    assert message in error.value.message


def test_an_unknown_parameter_or_a_float_is_refused() -> None:
    from enfold.contract import Endpoint, Parameters
    from enfold.evaluate.graph import merged
    from enfold_doris import doris

    assert isinstance(doris, Endpoint)
    with pytest.raises(UsageError, match="no parameter `pga`"):
        merged(doris, {"pga": 1})
    with pytest.raises(UsageError, match="must be bool"):
        merged(doris, {"prednisone_max_inclusive": "yes"})
    assert isinstance(doris.parameters, Parameters)


def test_a_second_study_cannot_enter_the_ledger(tmp_path: object) -> None:
    from pathlib import Path

    from enfold.cli.main import main as enfold

    root = Path(str(tmp_path))
    (root / "a.toml").write_text(STUDY)
    (root / "b.toml").write_text(STUDY.replace('id = "S"', 'id = "T"', 1))
    assert enfold(["init", str(root / "s"), str(root / "a.toml")]) == 0
    assert enfold(["land", str(root / "s"), str(root / "b.toml")]) == 2
