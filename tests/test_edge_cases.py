"""The table of edge cases: each id proven or explained, nothing named that does not exist."""

from pathlib import Path

import pytest

from enfold import edge_cases

ROOT = Path(__file__).parents[1]
TOML = '[EC]\n"01" = "a"\n"02" = "b"\n[DC]\n"01" = "c"\n[elsewhere]\nDC-01 = "no rule"\n'


def test_every_id_is_there() -> None:
    told, elsewhere = edge_cases.rules((ROOT / "docs/reference/edge-cases.toml").read_text("utf-8"))
    assert set(told) == {f"EC-{n:02d}" for n in range(1, 94)} | {f"DC-{n:02d}" for n in range(1, 37)}
    assert set(elsewhere) <= set(told)
    assert edge_cases.page(ROOT)


def test_no_id_is_left_open() -> None:
    told, elsewhere = edge_cases.rules((ROOT / "docs/reference/edge-cases.toml").read_text("utf-8"))
    assert edge_cases.open_ids(told, elsewhere, edge_cases.proofs(ROOT)) == []


def tree(root: Path, example: str) -> Path:
    (root / "docs/reference").mkdir(parents=True)
    (root / "docs/reference/edge-cases.toml").write_text(TOML)
    (root / "plugins/p/src/q").mkdir(parents=True)
    (root / "plugins/p/src/q/q.md").write_text(example)
    (root / "tests").mkdir()
    (root / "tests/test_x.py").write_text("def test_" + "ec_02_is_seen() -> None: ...")
    return root


def test_proofs_are_found_in_pages_and_names(tmp_path: Path) -> None:
    found = edge_cases.proofs(tree(tmp_path, "| " + "EC-" + "01: x |"))
    assert found == {"EC-" + "01": {"plugins/p/src/q/q.md"}, "EC-" + "02": {"tests/test_x.py"}}


def test_an_unknown_id_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"not in edge-cases\.toml"):
        edge_cases.page(tree(tmp_path, "EC-" + "77"))


def test_what_is_explained_away_must_not_be_proven(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="explained away"):
        edge_cases.page(tree(tmp_path, "DC-" + "01"))
