"""Order: what the study asks for, what that needs, each after what it reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from enum import Enum
from graphlib import CycleError, TopologicalSorter
from typing import Any

from enfold import schema
from enfold.contract import Declaration, Derivation, Parameters, parameter_digest
from enfold.errors import ConflictError, UsageError
from enfold.evaluate.discover import Discovery, Failure, Offered
from enfold.study import StudyFile


@dataclass(frozen=True)
class Task:
    """One declaration to evaluate under one alias with its parameters in force."""

    alias: str
    offered: Offered
    parameters: Parameters

    @property
    def declaration(self) -> Declaration:
        """The declaration."""
        return self.offered.declaration

    @property
    def digest(self) -> str:
        """The digest of the parameters."""
        return parameter_digest(self.parameters)


def plan(study: StudyFile, found: Discovery, also: Sequence[str] = ()) -> list[Task]:
    """Return the tasks in an order in which each comes after what it reads; `also` adds declarations by id.

    A declaration that is missing or reads what does not exist becomes a failure in `found`, and
    so does everything that needs it.

    Raises:
        UsageError: a parameter does not exist or has the wrong type.
        ConflictError: declarations need one another in a circle.
    """
    tasks: dict[str, Task] = {}
    for asked in study.endpoints:
        offered = found.offered.get(asked.endpoint)
        if offered is None or isinstance(offered.declaration, Derivation):
            found.failures.append(
                Failure("study.toml", "declare", "no allowed plugin offers this endpoint", asked.endpoint)
            )
            continue
        have = offered.declaration.version
        if asked.version and asked.version != have:
            msg = f"study.toml: {asked.endpoint} is asked for in version {asked.version}, offered is {have}"
            raise UsageError(msg, remedy="Install that version, or amend the study file.")
        tasks[asked.alias] = Task(asked.alias, offered, merged(offered.declaration, asked.parameters))
    pending = [*also, *(n for t in tasks.values() for n in t.declaration.needs)]
    while pending:
        name = pending.pop()
        if name in tasks or name not in found.offered:
            continue
        offered = found.offered[name]
        settings = study.derivations.get(name, {})
        tasks[name] = Task(name, offered, merged(offered.declaration, settings))
        pending += offered.declaration.needs
    _drop_unreadable(tasks, found)
    graph = {a: [n for n in t.declaration.needs if n in tasks] for a, t in tasks.items()}
    return [tasks[a] for a in ordered(graph)]


def ordered(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the names so that each comes after those that it needs; needs that are not among them are left out.

    Raises:
        ConflictError: they need one another in a circle; names the path.
    """
    known = {k: sorted(n for n in v if n in needs) for k, v in sorted(needs.items())}
    try:
        return list(TopologicalSorter(known).static_order())
    except CycleError as error:
        msg = f"declarations need one another in a circle: {' -> '.join(error.args[1])}"
        raise ConflictError(msg, remedy="One of these plugins must not read the other.") from None


def _drop_unreadable(tasks: dict[str, Task], found: Discovery) -> None:
    state = schema.state()
    while True:
        dropped = []
        for alias, task in tasks.items():
            d = task.declaration
            lost = [n for n in d.needs if n not in tasks]
            bad = [
                f"{t}.{c}"
                for t, columns in d.reads.items()
                for c in columns
                if t not in state or c not in state[t].names
            ]
            if lost or bad:
                what = f"needs {', '.join(lost)}" if lost else f"reads {', '.join(bad)}"
                found.failures.append(Failure(task.offered.plugin, "declare", f"{what}: not available", d.id))
                dropped.append(alias)
        if not dropped:
            return
        for alias in dropped:
            del tasks[alias]


def merged(declaration: Declaration, settings: dict[str, Any]) -> Parameters:
    """Return the declaration's parameters with the study's settings, types checked."""
    published = declaration.parameters
    names = {f.name for f in fields(published)}
    values: dict[str, Any] = {}
    for name, value in settings.items():
        if name not in names:
            msg = f"study.toml: {declaration.id} has no parameter `{name}`"
            raise UsageError(msg, remedy=f"Parameters: {', '.join(sorted(names)) or 'none'}.")
        default = getattr(published, name)
        values[name] = _converted(declaration.id, name, value, default)
    return replace(published, **values)


def _converted(owner: str, name: str, value: Any, default: Any) -> Any:
    if isinstance(default, Decimal) and isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(default, Enum):
        try:
            return type(default)(value)
        except ValueError:
            allowed = ", ".join(str(m.value) for m in type(default))
            msg = f"study.toml: {owner}: `{name}` is not one of its values"
            raise UsageError(msg, remedy=f"Use one of: {allowed}.") from None
    if type(value) is type(default):
        return value
    msg = f"study.toml: {owner}: `{name}` must be {type(default).__name__}"
    raise UsageError(msg, remedy="See docs/reference/study-file.md.")
