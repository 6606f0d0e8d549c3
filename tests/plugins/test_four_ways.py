"""The four ways of docs/how-to/write-a-plugin.md, as printed: each runs, and all say the same."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from enfold.contract import Declaration, PatientRule, SqlRule
from enfold.evaluate.discover import Discovery, Offered, discover, identity
from enfold.evaluate.folder import declaration
from enfold.testing.examples import examples, run
from enfold.testing.laws import LAWS, Trial

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "write-a-plugin.md").read_text("utf-8")
BLOCKS = {kind: re.findall(rf"```{kind}\n(.*?)```", PAGE, re.S) for kind in ("toml", "sql", "python", "markdown")}
WAYS = ("without Python", "SQL in Python", "one patient", "Arrow")


@cache
def way(name: str) -> Declaration:
    if name == WAYS[0]:
        return declaration(BLOCKS["toml"][0], BLOCKS["sql"][0], "low_pga")
    scope: dict[str, Any] = {}
    exec(BLOCKS["python"][WAYS.index(name) - 1], scope)
    (one,) = scope["enfold_declarations"]()
    assert isinstance(one, Declaration)
    return one


@cache
def trial(name: str) -> Trial:
    return Trial(Discovery({"low_pga": Offered(way(name), "p", "0", "0")}), "low_pga")


def test_the_page_shows_four_different_ways() -> None:
    assert {k: len(v) for k, v in BLOCKS.items()} == {"toml": 1, "sql": 1, "python": 3, "markdown": 1}
    assert isinstance(way("SQL in Python").rule, SqlRule)
    assert isinstance(way("one patient").rule, PatientRule)
    assert not isinstance(way("Arrow").rule, SqlRule | PatientRule)


@pytest.mark.parametrize("name", WAYS)
def test_every_way_holds_the_laws_and_its_examples(name: str) -> None:
    for law in LAWS.values():
        law(trial(name))
    cases = examples("page", BLOCKS["markdown"][0])
    assert len(cases) == 3
    assert [o.wrong for o in run(cases, trial(name).found)] == [()] * 3


def test_all_ways_say_the_same() -> None:
    first, *others = (trial(name).rows for name in WAYS)
    assert {"met", "not_met", "not_evaluable"} <= set(first.column("status").to_pylist())
    for name, rows in zip(WAYS[1:], others, strict=True):
        assert rows.equals(first), name


def test_a_folder_beside_the_study_file_runs_in_a_guest(tmp_path: Path) -> None:
    folder = tmp_path / "endpoints" / "low_pga"
    folder.mkdir(parents=True)
    for file, kind in (("endpoint.toml", "toml"), ("rule.sql", "sql"), ("examples.md", "markdown")):
        (folder / file).write_text(BLOCKS[kind][0], "utf-8")
    assert discover([], study_folder=tmp_path).installed.count("local-low-pga") == 1
    pin = identity("local-low-pga", tmp_path)
    assert pin is not None
    assert pin.version == "1"
    found = discover(["local-low-pga"], {"local-low-pga": pin}, study_folder=tmp_path)
    assert not found.failures
    assert found.offered["low_pga"].source
    there: pa.Table = Trial(found, "low_pga").rows
    assert [c for c in there.column_names if not there.column(c).equals(trial(WAYS[0]).rows.column(c))] == [
        "plugin", "plugin_version", "code_hash",
    ]  # fmt: skip
    (folder / "rule.sql").write_text(BLOCKS["sql"][0].replace("<", "<="))
    (failure,) = discover(["local-low-pga"], {"local-low-pga": pin}, study_folder=tmp_path).failures
    assert failure.stage == "trust"


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("id = ", "not valid TOML"),
        ('id = "x"', "no citation, grain, reads, version"),
        (BLOCKS["toml"][0].replace("grain", "grains"), "unknown keys grains"),
        (BLOCKS["toml"][0].replace('"visit"', '"week"'), "grain `week` is not one of"),
        ('kind = "plot"\n' + BLOCKS["toml"][0], "must be endpoint or derivation"),
    ],
)
def test_a_folder_that_cannot_be_read_says_what_is_wrong(toml: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        declaration(toml, "SELECT 1", "x")
