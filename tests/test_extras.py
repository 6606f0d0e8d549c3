"""What needs a library of an extra says which, and how to get it; every extra named brings what it is named for."""

import re
import sys
from collections.abc import Callable
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from enfold import extras
from enfold.errors import UsageError
from enfold.land import from_fhir, from_xpt, gate, mapping, sources, xml
from enfold.report import proportion
from enfold.report.plots import svg
from enfold.serve import define, lake, meds, write_xpt

EXPORTS = Path(__file__).parents[1] / "docs" / "how-to" / "exports"
NOWHERE = Path("nowhere")
NEEDS: list[tuple[str, str, Callable[[], Any]]] = [
    ("fhir.resources.R4B", "formats", lambda: sources.read(EXPORTS / "fhir-bundle.json", mapping.load("fhir/r4"))),
    ("fhir.resources", "formats", lambda: list(from_fhir._wrong({"resourceType": "Observation"}, "fhir-r5"))),
    ("lxml.etree", "formats", lambda: list(xml.elements(b"<a/>", "x.xml", {"a"}))),
    ("pyreadstat", "formats", lambda: from_xpt.read(b"", "x.xpt")),
    ("pandas", "run", write_xpt.libraries),
    ("odmlib.define_2_1.model", "formats", define.libraries),
    ("deltalake", "formats", lambda: lake.export(NOWHERE, NOWHERE)),
    ("meds", "formats", lambda: meds.export(NOWHERE, "run", NOWHERE)),
    ("vl_convert", "report", lambda: svg.from_spec({}, title="", description="")),
    ("scipy.stats", "report", proportion._distributions),
    ("great_expectations", "run", lambda: gate._run("visit", [], pa.table({}))),
]


@pytest.mark.parametrize(("module", "extra", "use"), NEEDS, ids=[n[0] for n in NEEDS])
def test_what_is_missing_is_named_with_its_extra(
    module: str, extra: str, use: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError) as told:
        use()
    assert told.value.message.endswith(f" needs {extras.EXTRAS[module][0]}, which is not installed")
    assert told.value.remedy == f"Install it: pip install 'enfold[{extra}]'"


def test_everything_that_is_missing_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pandas", "pyreadstat"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError) as told:
        write_xpt.libraries()
    assert str(told.value) == (
        "writing SAS transport files needs pandas and pyreadstat, which are not installed\n"
        "  Install it: pip install 'enfold[run,formats]'"
    )


def test_an_extra_brings_what_is_asked_of_it() -> None:
    asked = {(re.split(r"[<>=!~\[; ]", r)[0].lower().replace(".", "-"), m[1])
             for r in requires("enfold") or () if (m := re.search(r"extra == '(\w+)'", r))}  # fmt: skip
    distributions = packages_distributions()
    for module, (_, extra) in extras.EXTRAS.items():
        if module == "flexible_schema":  # comes with meds
            continue
        owners = {re.sub("[._]", "-", d.lower()) for d in distributions[module.split(".")[0]]}
        assert owners & {name for name, of in asked if of == extra}, module
