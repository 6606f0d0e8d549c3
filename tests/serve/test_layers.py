"""A serving file over layers: the same content whichever way it was built, and whole whatever happened on the way."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

import enfold as package
from enfold.cli.main import main as enfold
from enfold.errors import IntegrityError
from enfold.run.run import run
from enfold.serve import build as build_module
from enfold.serve import layers
from enfold.serve.build import build, current
from enfold.serve.layers import Layer
from enfold.serve.study import connect

SLOTS = 32
contents = st.lists(st.integers(0, 60), min_size=SLOTS, max_size=SLOTS)
changes = st.lists(st.sets(st.integers(0, SLOTS - 1), max_size=4), max_size=30)


@given(rows=contents, steps=changes)
def test_every_slot_counts_in_one_layer_and_layers_stay_few(rows: list[int], steps: list[set[int]]) -> None:
    wanted = {slot: ("first", n) for slot, n in enumerate(rows)}
    have = [Layer("0", "", frozenset(wanted), wanted)]
    for k, changed in enumerate(steps):
        wanted = wanted | {slot: (f"{k}", rows[slot]) for slot in changed}
        have, new = layers.plan(wanted, have)
        if new:
            have = [*have, Layer(f"{k}", "", frozenset(new), {s: wanted[s] for s in new})]
        counting = [(slot, content) for x in have for slot, content in x.counting.items()]
        assert sorted(counting) == sorted(wanted.items())
        assert layers.SHARE * sum(x.rows for x in have[1:]) <= sum(rows)
        assert changed <= new or len(have) == 1
        assert len(have) <= layers.FEW


def content(study: Path) -> dict[str, Any]:
    """Return every table and view with its columns and comment, rows in an order of their own."""
    con = connect(current(study))
    found = con.execute("SELECT view_name, comment FROM duckdb_views() WHERE NOT internal ORDER BY 1").fetchall()
    names = [name for name, _ in found] + [n for (n,) in con.execute("SHOW TABLES").fetchall()]
    return {
        "about": found,
        **{n: con.sql(f'DESCRIBE "{n}"').fetchall() + con.sql(f'FROM "{n}" ORDER BY ALL').fetchall() for n in names},
    }


def changed(study: Path, step: int) -> str:
    """Change facts of a patient, run and serve; return the run."""
    patient = f"DEMO-{step:03d}"
    con = connect(current(study))
    query = "SELECT event_id FROM events WHERE subject_id = ? AND event_type = 'assessment' AND effective ORDER BY 1"
    one, other, *_ = (i for (i,) in con.execute(query, [patient]).fetchall())
    con.close()
    command = ["correct", str(study), one, "value_text=seen again", "--reason", "test", "--author", "test"]
    assert enfold(command) == 0
    assert enfold(["retract", str(study), other, "--reason", "test", "--author", "test"]) == 0
    name = str(run(study)["run"])[:16]
    build(study, name)
    return name


@pytest.fixture(scope="module")
def layered(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo, served from two layers: of one patient the facts were corrected and retracted."""
    import shutil

    study = Path(shutil.copytree(demo, tmp_path_factory.mktemp("layered") / "study"))
    changed(study, 3)
    assert len(layers.of(current(study))) == 2
    return study


@pytest.fixture
def study(layered: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    import shutil

    return Path(shutil.copytree(layered, tmp_path / "study"))


def test_layers_and_one_file_hold_the_same(demo: Path, study: Path) -> None:
    before = current(study)
    name = changed(study, 4)
    first, *rest = layers.of(current(study))
    old = layers.of(before)[0]
    assert first == replace(old, counting=first.counting), "the first layer is the one of the first run"
    assert layers.file_of(current(study), first.id).samefile(layers.file_of(before, old.id))
    assert rest
    by_layers = content(study)
    assert by_layers != content(demo)
    build(study, name, anew=True)
    assert len(layers.of(current(study))) == 1
    assert len(list(current(study).parent.glob(f"{name}-*"))) == 1, "no layer of the earlier build is left"
    assert content(study) == by_layers


def test_views_of_another_enfold_are_not_taken_over(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = build_module._texts()
    another = texts | {"levels_seen": "CREATE VIEW levels_seen AS SELECT DISTINCT dose_level FROM subjects"}
    with monkeypatch.context() as patch:
        patch.setattr(build_module, "_texts", lambda: another)
        name = changed(study, 5)
        assert "levels_seen" in content(study)
    layered = content(study)
    build(study, name, anew=True)
    assert content(study) == {n: rows for n, rows in layered.items() if n != "levels_seen"} | {
        "about": [one for one in layered["about"] if one[0] != "levels_seen"]
    }
    changed(study, 6)
    assert "levels_seen" not in content(study)


def test_a_serving_file_does_not_grow_with_every_event(study: Path) -> None:
    sizes = []
    for step in range(5, 11):
        changed(study, step)
        sizes.append(current(study).stat().st_size)
    assert max(sizes[1:]) <= sizes[0] + (1 << 20)


def test_the_same_run_served_again_mends_a_damaged_layer(study: Path) -> None:
    file = current(study)
    whole = content(study)
    path = layers.file_of(file, layers.of(file)[0].id)
    octets = bytearray(path.read_bytes())
    octets[len(octets) // 2] ^= 1
    path.unlink()  # other runs have a name of their own for it
    path.write_bytes(bytes(octets))
    build(study, file.stem)
    assert content(study) == whole


def test_a_missing_layer_is_an_error_that_says_what_to_do(study: Path) -> None:
    file = current(study)
    layers.file_of(file, layers.of(file)[1].id).unlink()
    with pytest.raises(IntegrityError, match="cannot be read") as caught:
        package.open(study)
    assert "enfold run STUDY" in str(caught.value)
    build(study, file.stem)
    assert package.open(study).table("subjects").num_rows == 22


def test_what_a_killed_build_left_goes(study: Path) -> None:
    file = current(study)
    left = [file.with_name(".0123.duckdb"), layers.file_of(file, "0123"), file.with_name("beef-0123.duckdb")]
    for path in left:
        path.write_bytes(b"half")
    (file.parent / ".lock").write_bytes(b"")  # nobody said that it finished
    build(study, file.stem)
    assert not any(path.exists() for path in left)
    assert len(layers.of(file)) == 2, "and what is in use stays"


def test_a_small_layer_lies_in_groups_that_threads_share(study: Path) -> None:
    first = layers.of(current(study))[0]
    con = duckdb.connect(str(layers.file_of(current(study), first.id)), read_only=True)
    rows = con.execute("SELECT count(*) FROM findings").fetchall()[0][0]
    groups = con.execute("SELECT count(DISTINCT row_group_id) FROM pragma_storage_info('findings')").fetchall()[0][0]
    assert groups == -(-rows // layers.GROUP)
    assert not list(current(study).parent.glob("*.wal"))


def test_only_reads_reach_layers(study: Path) -> None:
    con = connect(current(study))
    (layer, *_) = (x.id for x in layers.of(current(study)))
    for query in (
        f'DELETE FROM "layer_{layer}".main.subjects',
        "DELETE FROM subjects",
        "INSERT INTO subjects SELECT * FROM subjects",
        f"ATTACH '{study / 'another.duckdb'}' AS another",
        "CREATE TABLE mine AS FROM subjects",
    ):
        with pytest.raises(Exception, match=r"(?i)read-only|only delete from base table|not an? .*table|disabled"):
            con.execute(query)
