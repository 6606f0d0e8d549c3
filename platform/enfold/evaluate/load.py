"""Load: import the entry points of one distribution, register its hooks, collect what it declares."""

from collections.abc import Sequence
from importlib.metadata import EntryPoint

import pluggy

from enfold.contract import PROJECT, Declaration, Hooks

Problem = tuple[str, str]  # stage, message


def load(name: str, entries: Sequence[EntryPoint]) -> tuple[list[Declaration], list[Problem]]:
    """Return the declarations of `entries`, and stage and message of each entry that failed."""
    declared: list[Declaration] = []
    problems: list[Problem] = []
    for entry in sorted(entries, key=lambda e: e.name):
        stage = "load"
        try:
            module = entry.load()
            stage = "register"
            manager = pluggy.PluginManager(PROJECT)
            manager.add_hookspecs(Hooks)
            manager.register(module, name)
            manager.check_pending()
            stage = "declare"
            mine = [d for ds in manager.hook.enfold_declarations() for d in ds]
            wrong = [type(d).__name__ for d in mine if not isinstance(d, Declaration)]
            if wrong:
                msg = f"enfold_declarations returned {wrong[0]}, not a Derivation or Endpoint"
                raise TypeError(msg)  # noqa: TRY301 - reported as this plugin's failure
        except Exception as error:  # no patient's data have been seen yet, so its text may be told
            problems.append((stage, f"{type(error).__name__}: {error}"))
            continue
        declared += mine
    return declared, problems
