"""The plugin's SQL files as text."""

from importlib.resources import files


def text(name: str) -> str:
    """Return the SQL of one file, with the steps of `course.sql` where it asks for them."""
    query = _read(name)
    return query.replace("-- {course}\n", _read("course")) if "-- {course}\n" in query else query


def _read(name: str) -> str:
    return (files(__package__) / f"{name}.sql").read_text("utf-8")
