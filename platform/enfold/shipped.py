"""Finds the data folders that ship with enfold: `schemas/` and `expectations/`."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path


def shipped(name: str) -> Traversable:
    """Return the folder `name`: inside an installed wheel, or beside a checkout's `platform/`."""
    inside = files("enfold") / name
    return inside if inside.is_dir() else Path(__file__).parents[2] / name


def package_file(name: str) -> str:
    """Return the text of a file inside the package, for example `fold/sql/00_time.sql`."""
    return (files("enfold") / name).read_text("utf-8")


def shipped_names(folder: str, suffix: str) -> list[str]:
    """Return the sorted names of the package's files in `folder` that end in `suffix`."""
    return sorted(p.name for p in (files("enfold") / folder).iterdir() if p.name.endswith(suffix))


def lock_file() -> bytes:
    """Return the lock of exact library versions that this enfold was tested with."""
    inside = files("enfold") / "requirements.lock"
    return (inside if inside.is_file() else Path(__file__).parents[2] / ".lock" / "requirements.txt").read_bytes()
