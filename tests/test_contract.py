"""The contract is the whole public surface: listed, sorted, documented name by name, pinned, and accepted by mypy and pyright."""

import dataclasses
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from enfold import contract, docs

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "how-to" / "write-a-plugin.md").read_text("utf-8")


def public() -> set[str]:
    """Names that a plugin author could reach for: defined in the contract, and not by an underscore private."""
    made = {n for n, v in vars(contract).items() if getattr(v, "__module__", None) == "enfold.contract"}
    return {n for n in made if not n.startswith("_")}


def test_every_public_name_is_listed_and_sorted() -> None:
    host = {"Hooks", "parameter_values", "Rule"}  # the host's own use of the module
    assert list(contract.__all__) == sorted(contract.__all__)
    assert public() - host <= set(contract.__all__)
    assert set(contract.__all__) <= public() | {"hookimpl"}


@pytest.mark.parametrize("name", contract.__all__)
def test_every_name_field_and_method_is_documented(name: str) -> None:
    value = getattr(contract, name)
    if name == "hookimpl":
        return  # pluggy's own marker
    text = inspect.getdoc(value) or ""
    assert len(text.split()) >= 5, name
    if not isinstance(value, type):
        return
    fields = [f.name for f in dataclasses.fields(value)] if dataclasses.is_dataclass(value) else []
    inherited = " ".join(inspect.getdoc(base) or "" for base in value.__mro__[1:])
    for field in [*fields, *getattr(value, "_fields", ())]:
        assert re.search(rf"\b{field}\b", f"{text} {inherited}"), f"{name}.{field}"
    for member, method in vars(value).items():
        if inspect.isfunction(method) and not member.startswith("_"):
            assert inspect.getdoc(method), f"{name}.{member}"


def test_every_hook_is_documented_and_has_the_prefix() -> None:
    hooks = {n: h for n, h in vars(contract.Hooks).items() if inspect.isfunction(h)}
    assert set(hooks) == {"enfold_declarations"}
    assert all(inspect.getdoc(h) for h in hooks.values())
    page = docs.pages()["contract.md"]
    for name, hook in hooks.items():
        assert f"### {name}\n\n```text\n{name}{inspect.signature(hook)}" in page


def test_every_field_and_method_stands_on_the_page() -> None:
    """What the docstrings say is what a reader finds."""
    sections = {s.split("\n", 1)[0]: s for s in docs.pages()["contract.md"].split("\n## ")[1:]}
    for name in contract.__all__:
        value = getattr(contract, name)
        members = [f.name for f in dataclasses.fields(value)] if dataclasses.is_dataclass(value) else []
        members += getattr(value, "_fields", ())
        members += (
            [m for m, f in vars(value).items() if inspect.isfunction(f) and not m.startswith("_")]
            if isinstance(value, type)
            else []
        )
        for member in members:
            assert re.search(rf"\b{member}\b", sections[name]), f"{name}.{member}"


def test_signatures_are_those_of_the_committed_page() -> None:
    """Whoever changes a signature must change the page, and so sees what plugins rest on."""
    committed = (ROOT / "docs" / "reference" / "contract.md").read_text("utf-8")
    for name in contract.__all__:
        assert f"\n## {name}\n" in committed, name
    if sys.version_info[:2] == (3, 11):  # other versions print some annotations in other words
        assert committed == docs.NOTE + docs.pages()["contract.md"]


def test_mypy_and_pyright_accept_the_examples(tmp_path: Path) -> None:
    """Both run offline: pyright comes with its own JavaScript and Node.js."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    assert len(blocks) == 3
    for number, block in enumerate(blocks):
        # pyarrow.compute makes its functions when it is imported, where pyright cannot see them
        hidden = "# pyright: reportAttributeAccessIssue=false\n" if "pyarrow.compute" in block else ""
        (tmp_path / f"way_{number}.py").write_text(hidden + block, "utf-8")
    wrong = tmp_path / "wrong.py"
    wrong.write_text((tmp_path / "way_0.py").read_text().replace('grain="visit"', "grain=7"))
    settings = {"pythonVersion": "3.11", "typeCheckingMode": "standard", "extraPaths": [str(ROOT / "platform")]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    names = [str(tmp_path / f"way_{n}.py") for n in range(3)]
    mypy = ["mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml")]
    pyright = ["pyright", "--pythonpath", sys.executable, "-p", str(tmp_path / "pyrightconfig.json")]
    assert _typed(mypy, names) == (0, "")
    assert _typed(mypy, [str(wrong)]) == (1, "")
    code, said = _typed(pyright, [])
    assert code == 1
    assert re.findall(r"(\w+\.py):\d+:\d+ - error", said) == ["wrong.py"], said


def _typed(checker: list[str], names: list[str]) -> tuple[int, str]:
    """Return what a type checker says; its words only where they are to be read."""
    env = {**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    command = [sys.executable, "-m", *checker, *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=env)
    return done.returncode, done.stdout if checker[0] == "pyright" else ""
