"""The plugin's SQL files as text."""

from importlib.resources import files

SHARED = ("followed", "infused", "samples", "events")


def text(name: str) -> str:
    """Return the SQL of one file, with the shared steps where it asks for them."""
    query = _read(name)
    for step in SHARED:
        query = query.replace(f"-- {{{step}}}\n", _read(step))
    return query


def _read(name: str) -> str:
    return (files(__package__) / f"{name}.sql").read_text("utf-8")
