"""What is under test: a package, or a folder of endpoints, with its declarations and definitions; installed or not.

Everything is loaded in this process: it is the author's own code, in the author's own tests. `enfold plugin check` puts
the same questions to an installed plugin in its guest process.
"""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from enfold import schema
from enfold.evaluate import folder, trust
from enfold.evaluate.discover import Discovery, Offered, discover
from enfold.land import definitions


@dataclass(frozen=True)
class Subject:
    """What a package or folder declares, with what it may need of the shipped plugins, and what it defines."""

    found: Discovery
    added: schema.Added
    root: Path

    def pages(self) -> Iterator[Path]:
        """Yield the Markdown pages beside the code."""
        yield from sorted(self.root.rglob("*.md"))


@cache
def subject(name: str) -> Subject:
    """Return what the package `name` declares, or the endpoint folders below a folder of that path.

    Raises:
        UsageError, ConflictError, RuleError: something of it is not what it should be.
    """
    root = Path(name).resolve()
    if (root / "__init__.py").exists() or not root.is_dir():
        module = importlib.import_module(name)
        root = Path(str(module.__file__)).parent
        declared = list(module.enfold_declarations()) if hasattr(module, "enfold_declarations") else []
    else:
        declared = []
    declared += [folder.declaration(toml, sql, where) for where, toml, sql in folder.texts(root)]
    contents = [(p.relative_to(root.parent).as_posix(), p.read_bytes()) for p in sorted(root.rglob("*")) if p.is_file()]
    plugin = _distribution(root)
    brought = definitions.read(plugin, "0", "0", contents)
    added = definitions.merged(schema.NOTHING, {plugin: brought} if brought.files else {})
    ours = discover(trust.FIRST_PARTY & set(trust.installed())).offered
    own = {d.id: Offered(d, plugin, "0", "0") for d in declared}
    return Subject(Discovery({**ours, **own}, installed=sorted(own)), added, root)


def _distribution(root: Path) -> str:
    """Return the name of the distribution that a package belongs to: of an installed one, else as it likely is."""
    for name, dist in trust.installed().items():
        if any(place == root for group in (trust.GROUP, trust.FOLDERS) for place in trust.packages(dist, group)):
            return name
    return trust.normal(root.name)
