"""The contract is the whole public surface: listed, sorted, documented name by name, pinned, and accepted by mypy."""

import dataclasses
import inspect
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


def test_signatures_are_those_of_the_committed_page() -> None:
    """Whoever changes a signature must change the page, and so sees what plugins rest on."""
    committed = (ROOT / "docs" / "reference" / "contract.md").read_text("utf-8")
    for name in contract.__all__:
        assert f"\n## {name}\n" in committed, name
    if sys.version_info[:2] == (3, 11):  # other versions print some annotations in other words
        assert committed == docs.NOTE + docs.pages()["contract.md"]


def test_mypy_accepts_the_examples(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    for number, block in enumerate(blocks):
        typed = block.replace("def enfold_declarations():", "def enfold_declarations() -> list[Endpoint]:")
        (tmp_path / f"way_{number}.py").write_text(typed, "utf-8")
    names = sorted(str(p) for p in tmp_path.glob("*.py"))
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml"), *names]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    wrong = tmp_path / "wrong.py"
    wrong.write_text((tmp_path / "way_0.py").read_text().replace('grain="visit"', "grain=7"))
    refused = subprocess.run([*command[:6], str(wrong)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
