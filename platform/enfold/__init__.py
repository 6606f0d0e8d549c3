"""enfold: an event-sourced data platform for clinical trials."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from enfold.land.landing import Report
    from enfold.serve.study import Study

__all__ = ["__version__", "land_rows", "open"]
__version__ = "0.1.0"


def open(path: str) -> "Study":  # noqa: A001 - `enfold.open(path)` is the documented entry
    """Open a study folder; see `enfold.serve.study.Study`."""
    from enfold.serve.study import Study

    return Study(path)


def land_rows(folder: str, rows: Any, **options: Any) -> "Report":
    """Land an Arrow-speaking table from Python; see `enfold.land.python.land_rows`."""
    from enfold.land.python import land_rows as land

    return land(folder, rows, **options)
