"""enfold: an event-sourced data platform for clinical trials."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from enfold.serve.study import Study

__all__ = ["__version__", "open"]
__version__ = "0.1.0"


def open(path: str) -> "Study":  # noqa: A001 - `enfold.open(path)` is the documented entry
    """Open a study folder; see `enfold.serve.study.Study`."""
    from enfold.serve.study import Study

    return Study(path)
