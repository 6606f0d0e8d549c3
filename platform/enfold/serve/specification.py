"""What the analysis datasets are: one TOML file each in `schemas/adam/`, and the code lists that they name.

Labels, types, lengths, digits, terms and origins stand there and nowhere else: views are checked against them, files
and Define-XML are written from them, and docs/reference/adam.md shows them.
"""

import tomllib
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import pyarrow as pa

from enfold.errors import UsageError
from enfold.schema import NUMBER
from enfold.shipped import shipped

ARROW = {"text": pa.string(), "integer": pa.int64(), "number": NUMBER, "date": pa.date32()}
ORIGINS = ("assigned", "copied", "derivation", "predecessor")
KEYS = {"kind", "length", "digits", "label", "codes", "like", *ORIGINS}


@dataclass(frozen=True)
class Codelist:
    """Terms that a variable may hold, each with its meaning; NCI codes where CDISC publishes the list."""

    name: str
    about: str
    terms: dict[str, str]
    nci: str | None = None
    codes: dict[str, str] = field(default_factory=dict)
    open: bool = False  # further terms may come


@dataclass(frozen=True)
class Variable:
    """One column of a file to write: what it is called, what it holds and where that comes from."""

    name: str
    kind: str = "text"  # text, integer, number (exact decimal) or date
    label: str = ""
    length: int | None = None  # of a text, in characters at most
    digits: int | None = None  # of a number, after the decimal point at most
    codes: str | None = None  # name of a code list
    origin: str = "derivation"  # or predecessor (in another dataset), copied (from a served table), assigned
    origin_text: str = ""


@dataclass(frozen=True)
class Dataset:
    """One analysis dataset, one row of which `structure` says."""

    name: str
    label: str
    structure: str
    class_: str
    key: tuple[str, ...]
    variables: tuple[Variable, ...]
    subclass: str | None = None

    def __getitem__(self, name: str) -> Variable:
        """Return the variable called `name`."""
        return next(v for v in self.variables if v.name == name)


@cache
def codelists() -> dict[str, Codelist]:
    """Return every code list by name."""
    doc = tomllib.loads((shipped("schemas") / "adam" / "codelists.toml").read_text("utf-8"))
    return {
        n: Codelist(n, c["name"], c["terms"], c.get("nci"), c.get("codes", {}), c.get("open", False))
        for n, c in doc.items()
    }


@cache
def adam() -> dict[str, Dataset]:
    """Return the analysis datasets by name, ADSL first and ADSRC, which shows what they rest on, last.

    Raises:
        UsageError: a file is not as `KEYS` and this module's classes say; names file and variable.
    """
    root = shipped("schemas") / "adam"
    names = sorted(p.name for p in root.iterdir() if p.name.endswith(".toml") and p.name != "codelists.toml")
    docs = [tomllib.loads((root / n).read_text("utf-8")) for n in names]
    docs.sort(key=lambda d: (d["name"] != "ADSL", d["name"] == "ADSRC", d["name"]))
    specs = {d["name"]: d["variables"] for d in docs}
    return {d["name"]: _dataset(d, specs) for d in docs}


def _dataset(doc: dict[str, Any], specs: dict[str, dict[str, Any]]) -> Dataset:
    variables = tuple(_variable(doc["name"], n, specs) for n in doc["variables"])
    key = tuple(doc["key"])
    if set(key) - set(doc["variables"]):
        raise _wrong(doc["name"], "key", "names a variable that is not there")
    return Dataset(doc["name"], doc["label"], doc["structure"], doc["class"], key, variables, doc.get("subclass"))


def _variable(dataset: str, name: str, specs: dict[str, dict[str, Any]]) -> Variable:
    """Return one variable; one that copies another has its kind, length, label and codes unless it says otherwise."""
    spec = specs[dataset][name]
    origins = [o for o in (*ORIGINS, "like") if spec.get(o)]
    if set(spec) - KEYS or len(origins) != 1:
        raise _wrong(dataset, name, f"keys are {', '.join(sorted(KEYS))}, and exactly one of them says its origin")
    origin = origins[0]
    if origin in ("like", "predecessor"):
        other, _, source = spec[origin].partition(".")
        if source not in specs.get(other, {}):
            raise _wrong(dataset, name, f"{spec[origin]} is not there")
        copied = replace(_variable(other, source, specs), name=name)
        if origin == "predecessor":
            copied = replace(copied, origin="predecessor", origin_text=spec[origin])
        return replace(copied, label=spec.get("label", copied.label))
    more = {k: spec.get(k) for k in ("length", "digits", "codes")}
    found = Variable(name, spec["kind"], spec["label"], **more, origin=origin, origin_text=spec[origin])
    if found.kind not in ARROW or (found.kind == "text") != (found.length is not None):
        raise _wrong(dataset, name, f"kind is one of {', '.join(ARROW)}; a text, and only a text, has a length")
    if (found.kind == "number") != (found.digits is not None) or (found.codes and found.codes not in codelists()):
        raise _wrong(dataset, name, "a number, and only a number, has digits; codes name a list of codelists.toml")
    return found


def _wrong(dataset: str, name: str, what: str) -> UsageError:
    return UsageError(f"schemas/adam/{dataset.lower()}.toml: {name}: {what}")
