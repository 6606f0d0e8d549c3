"""Libraries that come with an extra of enfold: imported where needed, asked for by name where missing."""

import contextlib
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.abc import MetaPathFinder
from typing import Any

from enfold.errors import UsageError

EXTRAS = {  # module: what to call its library, and the extra that brings it
    "apache_beam": ("Apache Beam", "run"),
    "deltalake": ("deltalake", "formats"),
    "fhir.resources": ("fhir.resources", "formats"),
    "fhir.resources.R4B": ("fhir.resources", "formats"),
    "flexible_schema": ("meds", "formats"),
    "great_expectations": ("Great Expectations", "run"),
    "lxml.etree": ("lxml", "formats"),
    "meds": ("meds", "formats"),
    "odmlib.define_2_1.model": ("odmlib", "formats"),
    "pandas": ("pandas", "run"),
    "pyreadstat": ("pyreadstat", "formats"),
    "scipy.stats": ("SciPy", "report"),
    "vl_convert": ("vl-convert-python", "report"),
}


def load(purpose: str, *modules: str) -> list[Any]:
    """Return modules of `EXTRAS`, imported.

    Args:
        purpose: what they are needed for, as a sentence begins: "reading XML".
        modules: their names.

    Raises:
        UsageError: some are not installed; names their libraries and extras.
    """
    found, missing = [], []
    for module in modules:
        try:
            found.append(import_module(module))
        except ImportError:
            missing.append(EXTRAS[module])
    if missing:
        libraries, extras = (list(dict.fromkeys(names)) for names in zip(*missing, strict=True))
        msg = f"{purpose} needs {' and '.join(libraries)}, which {'is' if len(libraries) == 1 else 'are'} not installed"
        raise UsageError(msg, remedy=f"Install it: pip install 'enfold[{','.join(sorted(extras, reverse=True))}]'")
    return found


@contextlib.contextmanager
def without(*modules: str) -> Iterator[None]:
    """Let imports of these fail meanwhile as if they were not installed, those that are imported already excepted.

    pyarrow and Beam import pandas wherever they find it, Beam a database's client as well, whether or not anybody
    uses them; both do without.
    """
    finder = _Missing(modules)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Missing(MetaPathFinder):
    def __init__(self, modules: tuple[str, ...]) -> None:
        self._modules = modules

    def find_spec(self, fullname: str, _path: Any = None, _target: Any = None) -> None:
        if fullname in self._modules:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
