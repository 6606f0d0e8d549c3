"""The pytest plugin: worked examples as tests of their own, and fixtures that try a plugin out.

It does nothing until a project says what it tests, in pyproject.toml:

    [tool.pytest.ini_options]
    enfold_plugins = ["acme_low_pga"]     # packages, or folders of endpoints without Python

Then each row of each worked-example page beside the code is collected as a test. pytest imports this module at every
start, whether a project uses enfold or not; so it imports nothing of enfold before a test needs it.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from enfold.testing.examples import Example, Outcome
    from enfold.testing.laws import Trial

INI = "enfold_plugins"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the setting."""
    parser.addini(INI, "packages and endpoint folders whose worked examples are tests", type="args", default=[])


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "Page | None":
    """Collect the pages that lie beside the code of what is under test."""
    if file_path.suffix != ".md":
        return None
    for name in parent.config.getini(INI):
        root = _root(name, parent.config.rootpath)
        if root and root in file_path.parents:
            return Page.from_parent(parent, path=file_path, name=file_path.name, tested=str(name))
    return None


def _root(name: str, rootpath: Path) -> Path | None:
    """Return where a package or folder lies, without importing it."""
    import importlib.util

    if (rootpath / name).is_dir():
        return rootpath / name
    spec = importlib.util.find_spec(name)
    places = list(spec.submodule_search_locations or []) if spec else []
    return Path(places[0]) if places else None


class Page(pytest.File):
    """One page of worked examples."""

    def __init__(self, *, tested: str, **options: Any) -> None:
        super().__init__(**options)
        self.tested = tested
        self._outcomes: dict[Example, Outcome] | None = None

    def collect(self) -> Iterator["Row"]:
        """Yield one test for each row of each table."""
        from enfold.testing.examples import examples

        for example in examples(self.path.name, self.path.read_text("utf-8")):
            name = f"{example.line}: {example.endpoint} {example.case}".strip()
            yield Row.from_parent(self, name=name, example=example)

    def outcome(self, example: "Example") -> "Outcome":
        """Return what an example gave; all of a page are judged at once."""
        if self._outcomes is None:
            from enfold import schema
            from enfold.testing.examples import examples, run

            own = _subject(self.tested, self.config.rootpath)
            cases = examples(self.path.name, self.path.read_text("utf-8"))
            with schema.using(own.added):
                self._outcomes = {o.example: o for o in run(cases, own.found)}
        return self._outcomes[example]


class Row(pytest.Item):
    """One row of a table: one patient, and what must follow."""

    def __init__(self, *, example: "Example", **options: Any) -> None:
        super().__init__(**options)
        self.example = example

    def runtest(self) -> None:
        """Compare what the row expects with what the rule says."""
        page = self.parent
        assert isinstance(page, Page)
        wrong = page.outcome(self.example).wrong
        if wrong:
            raise WrongError("; ".join(wrong))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Say what was expected and what came, without a stack that says nothing to who wrote the page."""
        if isinstance(excinfo.value, WrongError | ValueError):
            return f"{self.path}:{self.example.line}: {excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return page, line and name."""
        return self.path, self.example.line - 1, self.name


class WrongError(AssertionError):
    """Something else followed than the page says."""


def _subject(name: str, rootpath: Path) -> Any:
    from enfold.testing.subject import subject

    return subject(str(rootpath / name) if (rootpath / name).is_dir() else name)


@pytest.fixture
def enfold_judge(request: pytest.FixtureRequest) -> Callable[..., list[dict[str, Any]]]:
    """Judge one patient: `enfold_judge("low_pga", "infusion d0 …", "W4 d28 PGA.PGA_0_3=0.4")` returns the rows.

    The steps are those of worked examples; `parameters="below = 1"` and `protocol="…"` are what a page writes there.
    """

    def judge(endpoint: str, *steps: str, parameters: str = "", protocol: str = "") -> list[dict[str, Any]]:
        from enfold import schema
        from enfold.testing.examples import Example, folded, results

        own = _owner(request, endpoint)
        example = Example("fixture", 0, "", endpoint, (), steps, protocol, parameters, ())
        with schema.using(own.added):
            return results(example, folded([example]), own.found)

    return judge


@pytest.fixture
def enfold_trial(request: pytest.FixtureRequest) -> Iterator[Callable[..., "Trial"]]:
    """Judge adversarial patients, generated from what a declaration reads: `enfold_trial("low_pga").rows`.

    `patients=60` says how many. The trial has `state` (the state tables), `rows`, and `judged(state)`; the laws of
    `enfold.testing.laws` take it.
    """
    from contextlib import ExitStack

    from enfold import schema
    from enfold.testing.laws import PATIENTS, Trial

    with ExitStack() as stack:

        def trial(declaration: str, patients: int = PATIENTS) -> Trial:
            own = _owner(request, declaration)
            stack.enter_context(schema.using(own.added))
            return Trial(own.found, declaration, patients)

        yield trial


def _owner(request: pytest.FixtureRequest, declaration: str) -> Any:
    """Return what is under test and declares something of that id."""
    names = request.config.getini(INI)
    for name in names:
        own = _subject(name, request.config.rootpath)
        if declaration in own.found.offered:
            return own
    msg = f"nothing in `{INI}` ({', '.join(names) or 'empty'}) declares `{declaration}`"
    raise pytest.UsageError(msg)
