"""The four ways of docs/how-to/write-a-plugin.md, as printed: each runs, and all say the same."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from enfold.contract import Declaration, PatientRule, SqlRule
from enfold.errors import ConflictError
from enfold.evaluate import isolation
from enfold.evaluate.discover import Discovery, Offered, discover, identity, pages_of
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


def test_folders_shipped_in_a_distribution_run_and_nothing_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    source = str(Path(__file__).parent / "folders")
    subprocess.run([*pip, "--disable-pip-version-check", "--target", str(tmp_path), source], check=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    pin = identity("acme-endpoints")
    assert pin is not None
    found = discover(["acme-endpoints"], {"acme-endpoints": pin})
    assert not found.failures
    assert list(found.offered) == ["acme_folder_pga"]
    rows = Trial(found, "acme_folder_pga").rows
    same = ["subject_id", "visit_id", "status", "event_ids"]
    assert rows.select(same).equals(trial(WAYS[0]).rows.select(same))
    assert {p.endpoint for n, text in pages_of("acme-endpoints", None) for p in examples(n, text)} == {
        "acme_folder_pga"
    }
    isolation.end_all()


def test_one_id_offered_twice_is_refused_with_both_owners(tmp_path: Path) -> None:
    for name in ("one", "two"):
        folder = tmp_path / "endpoints" / name
        folder.mkdir(parents=True)
        for file, kind in (("endpoint.toml", "toml"), ("rule.sql", "sql")):
            (folder / file).write_text(BLOCKS[kind][0], "utf-8")
    with pytest.raises(ConflictError, match="`low_pga` is offered by local-one and by local-two"):
        discover(["local-one", "local-two"], study_folder=tmp_path, dev=True)
