"""Declarations as plain data, so that a process that never imports a plugin knows what it offers."""

from collections.abc import Mapping
from dataclasses import fields, make_dataclass, replace
from decimal import Decimal
from enum import Enum
from typing import Any

import pyarrow as pa

from enfold.contract import Declaration, Derivation, Endpoint, Evidence, Parameters

_KINDS = {"derivation": Derivation, "endpoint": Endpoint}
_SCALARS: dict[str, Any] = {"Decimal": Decimal, "int": int, "str": str, "bool": lambda text: text == "True"}


class Elsewhere:
    """The rule of a declaration whose code lives in a guest process; only the guest can call it."""

    def __call__(self, seen: Evidence, at: Any) -> pa.Table:
        """Refuse: this process never imported the plugin."""
        raise NotImplementedError


def plain(d: Declaration) -> dict[str, Any]:
    """Return a declaration as JSON can hold it; everything but its rule."""
    return {
        "kind": type(d).__name__.lower(),
        "id": str(d.id),
        "version": str(d.version),
        "citation": str(d.citation),
        "grain": d.grain,
        "reads": {str(t): [str(c) for c in columns] for t, columns in d.reads.items()},
        "needs": [str(n) for n in d.needs],
        "instruments": [str(i) for i in d.instruments],
        "criteria": {str(k): str(v) for k, v in d.criteria.items()},
        "met_means": d.met_means,
        "about": type(d.parameters).__doc__ or "",
        "parameters": {f.name: _plain_value(getattr(d.parameters, f.name)) for f in fields(d.parameters)},
    }


def declared(doc: Mapping[str, Any]) -> Declaration:
    """Return the declaration that `plain` described, with a rule that lives elsewhere.

    Raises:
        ValueError, TypeError, KeyError: it is not such a description.
    """
    values = {str(k): _value(str(k), v) for k, v in doc["parameters"].items()}
    made: Any = make_dataclass(
        "Parameters", [(k, type(v), v) for k, v in values.items()], bases=(Parameters,), frozen=True
    )
    made.__doc__ = doc["about"]
    return _KINDS[doc["kind"]](
        id=doc["id"],
        version=doc["version"],
        citation=doc["citation"],
        grain=doc["grain"],
        reads={t: tuple(c) for t, c in doc["reads"].items()},
        needs=tuple(doc["needs"]),
        instruments=tuple(doc["instruments"]),
        criteria=doc["criteria"],
        met_means=doc["met_means"],
        parameters=made(),
        rule=Elsewhere(),
    )


def plain_parameters(at: Parameters) -> dict[str, str]:
    """Return parameter values as text by name; `with_values` reads them."""
    values = {f.name: getattr(at, f.name) for f in fields(at)}
    return {k: str(v.value if isinstance(v, Enum) else v) for k, v in values.items()}


def with_values(published: Parameters, values: Mapping[str, str]) -> Parameters:
    """Return `published` with the values of `plain_parameters`, each of the type that its default has."""
    typed: dict[str, Any] = {}
    for name, text in values.items():
        default = getattr(published, name)
        if isinstance(default, Enum):
            typed[name] = next(m for m in type(default) if str(m.value) == text)
        else:
            typed[name] = _SCALARS[type(default).__name__](text)
    return replace(published, **typed)


def _plain_value(value: Any) -> dict[str, Any]:
    if isinstance(value, Enum):
        return {"type": "Enum", "value": value.name, "of": {m.name: m.value for m in type(value)}}
    return {"type": type(value).__name__, "value": str(value)}


def _value(name: str, doc: Mapping[str, Any]) -> Any:
    if doc["type"] == "Enum":
        make: Any = Enum
        return make(name, doc["of"])[doc["value"]]
    return _SCALARS[doc["type"]](doc["value"])
