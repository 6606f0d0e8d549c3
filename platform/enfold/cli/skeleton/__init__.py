"""The distribution that `enfold plugin new` writes."""

import re
from importlib.resources import files
from pathlib import Path
from string import Template

from enfold import __version__
from enfold.errors import UsageError
from enfold.ledger import storage

FILES = {
    "pyproject.toml.txt": "pyproject.toml",
    "README.md.txt": "README.md",
    "LICENSE.txt": "LICENSE",
    "init.py.txt": "src/{module}/__init__.py",
    "rule.sql.txt": "src/{module}/rule.sql",
    "examples.md.txt": "src/{module}/examples.md",
    "test_plugin.py.txt": "tests/test_plugin.py",
}


def write(name: str, into: Path) -> list[Path]:
    """Write the distribution `name` in a folder of that name under `into`; return the paths.

    Raises:
        UsageError: the name is no distribution name, or the folder exists.
    """
    if not re.fullmatch("[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        msg = f"`{name}` is no name for a distribution"
        raise UsageError(msg, remedy="Use small letters, digits and single hyphens, such as acme-response.")
    target = into / name
    if target.exists():
        msg = f"{target} exists"
        raise UsageError(msg, remedy="Choose another name, or move it away.")
    module = name.replace("-", "_")
    major, minor = __version__.split(".")[:2]
    words = {"name": name, "module": module, "id": module, "this": f"{major}.{minor}",
             "next": f"{major}.{int(minor) + 2}"}  # fmt: skip
    out = []
    for source, place in FILES.items():
        path = target / place.format(module=module)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = (files(__package__) / source).read_text("utf-8")
        storage.create(path, (text if source == "LICENSE.txt" else Template(text).substitute(words)).encode())
        out.append(path)
    return out
