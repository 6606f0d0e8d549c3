"""Endpoints without Python: a folder with `endpoint.toml`, `rule.sql` and `examples.md`; nothing is imported."""

import tomllib
from collections.abc import Iterator
from dataclasses import make_dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from enfold.contract import Clauses, Declaration, Derivation, Endpoint, Parameters, SqlRule
from enfold.evaluate.faults import RuleError

KEYS = {
    "id", "kind", "version", "citation", "grain", "reads", "needs", "instruments", "parameters", "criteria",
    "met_means", "clauses",
}  # fmt: skip


def folders(root: Path) -> Iterator[Path]:
    """Yield every folder under `root` that holds an `endpoint.toml`, in order."""
    yield from sorted(p.parent for p in root.rglob("endpoint.toml"))


def texts(root: Path) -> list[tuple[str, str, str]]:
    """Return name, `endpoint.toml` and `rule.sql` of every such folder; a missing file is empty text."""
    return [(f.name, _read(f / "endpoint.toml"), _read(f / "rule.sql")) for f in folders(root)]


def version(place: Path) -> str:
    """Return the definition version that a folder states; empty if its file cannot be read."""
    try:
        return str(tomllib.loads(_read(place / "endpoint.toml")).get("version", ""))
    except tomllib.TOMLDecodeError:
        return ""


def _read(path: Path) -> str:
    return path.read_text("utf-8") if path.is_file() else ""


def declaration(toml: str, sql: str, where: str) -> Declaration:
    """Return what a folder declares.

    Raises:
        RuleError: a file cannot be read; names the folder, the key and what is allowed.
    """
    try:
        doc = tomllib.loads(toml, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        msg = f"{where}/endpoint.toml: not valid TOML: {error}"
        raise RuleError(msg) from None
    unknown = sorted(set(doc) - KEYS)
    missing = sorted({"id", "version", "citation", "grain", "reads"} - set(doc))
    if unknown or missing:
        what = f"unknown keys {', '.join(unknown)}" if unknown else f"no {', '.join(missing)}"
        msg = f"{where}/endpoint.toml: {what}; keys are {', '.join(sorted(KEYS))}"
        raise RuleError(msg)
    kind = doc.pop("kind", "endpoint")
    if kind not in ("endpoint", "derivation"):
        msg = f"{where}/endpoint.toml: `kind` must be endpoint or derivation"
        raise RuleError(msg)
    if not sql.strip():
        msg = f"{where}/rule.sql: missing or empty"
        raise RuleError(msg)
    rule = Clauses(sql) if doc.pop("clauses", False) else SqlRule(sql)
    values: dict[str, Any] = doc.pop("parameters", {})
    made: Any = make_dataclass(
        "Parameters", [(k, type(v), v) for k, v in values.items()], bases=(Parameters,), frozen=True
    )
    made.__doc__ = "Parameters with their published defaults."
    try:
        reads = {t: tuple(c) for t, c in doc.pop("reads").items()}
        return (Endpoint if kind == "endpoint" else Derivation)(rule=rule, reads=reads, parameters=made(), **doc)
    except (TypeError, ValueError, AttributeError) as error:
        msg = f"{where}/endpoint.toml: {error}"
        raise RuleError(msg) from None
