"""Discover plugins: only distributions that the study allows are imported, each under its own guard."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import Distribution, distributions

import pluggy

from enfold.contract import PROJECT, Declaration, Hooks
from enfold.errors import ConflictError

GROUP = "enfold"


@dataclass(frozen=True)
class Offered:
    """One declaration and the distribution that offers it."""

    declaration: Declaration
    plugin: str
    plugin_version: str
    code_hash: str


@dataclass(frozen=True)
class Failure:
    """Something of a plugin that did not work: where, and what it said."""

    plugin: str
    stage: str  # load, register, declare, compute, return
    message: str
    declaration: str | None = None


@dataclass
class Discovery:
    """What the allowed plugins offer, and what failed."""

    offered: dict[str, Offered] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    installed: list[str] = field(default_factory=list)  # every distribution with our entry point


def discover(allowed: Iterable[str]) -> Discovery:
    """Import the allowed plugins and collect their declarations.

    A plugin that fails to import, register or declare costs only its own results.

    Raises:
        ConflictError: two plugins offer one id.
    """
    wanted = {normal(name) for name in allowed}
    found = Discovery()
    seen: set[str] = set()
    candidates = sorted(
        (d for d in distributions() if any(e.group == GROUP for e in d.entry_points)),
        key=lambda d: normal(d.name),
    )
    for dist in candidates:
        name = normal(dist.name)
        if name in seen:
            continue
        seen.add(name)
        found.installed.append(name)
        if name in wanted:
            _load(found, dist, name)
    for name in sorted(wanted - seen):
        found.failures.append(Failure(name, "load", "the distribution is not installed"))
    return found


def _load(found: Discovery, dist: Distribution, name: str) -> None:
    code = code_hash(dist)
    for entry in sorted(dist.entry_points, key=lambda e: e.name):
        if entry.group != GROUP:
            continue
        stage = "load"
        try:
            module = entry.load()
            stage = "register"
            manager = pluggy.PluginManager(PROJECT)
            manager.add_hookspecs(Hooks)
            manager.register(module, name)
            manager.check_pending()
            stage = "declare"
            declared = [d for ds in manager.hook.enfold_declarations() for d in ds]
            wrong = [type(d).__name__ for d in declared if not isinstance(d, Declaration)]
            if wrong:
                msg = f"enfold_declarations returned {wrong[0]}, not a Derivation or Endpoint"
                raise TypeError(msg)  # noqa: TRY301 - reported as this plugin's failure
        except Exception as error:
            found.failures.append(Failure(name, stage, f"{type(error).__name__}: {error}"))
            continue
        for declaration in declared:
            other = found.offered.get(declaration.id)
            if other:
                msg = f"`{declaration.id}` is offered by {other.plugin} and by {name}"
                raise ConflictError(msg, remedy="Allow only one of them in study.toml.")
            found.offered[declaration.id] = Offered(declaration, name, dist.version, code)


def code_hash(dist: Distribution) -> str:
    """Return the first 16 hex digits of the SHA-256 over the plugin's `.py` and `.sql` files, names included."""
    digest = hashlib.sha256()
    for name, data in code_files(dist):
        digest.update(name.encode() + b"\0" + data + b"\0")
    return digest.hexdigest()[:16]


def code_files(dist: Distribution) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the plugin's `.py` and `.sql` files, in order.

    An editable installation records no files, so the package folders are read.
    """
    import importlib.util
    from pathlib import Path

    for package in sorted({e.module.split(".")[0] for e in dist.entry_points if e.group == GROUP}):
        spec = importlib.util.find_spec(package)
        for folder in sorted(spec.submodule_search_locations or []) if spec else []:
            for path in sorted(Path(folder).rglob("*")):
                if path.suffix in {".py", ".sql"}:
                    yield f"{package}/{path.relative_to(folder).as_posix()}", path.read_bytes()


def normal(name: str) -> str:
    """Return the distribution's name as package indexes compare it."""
    return name.lower().replace("_", "-").replace(".", "-")
