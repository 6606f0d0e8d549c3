"""What is said of a fault: kind and place, never text that a plugin may have made from patients' values."""

import traceback

from enfold.errors import EnfoldError


class RuleError(ValueError):
    """Something that we refuse about a rule; its text is ours and holds no value."""


def said(error: BaseException, *, verbose: bool = False) -> str:
    """Return kind and place of an error; its text only if it is ours, or `verbose` (no patient's data at hand)."""
    if isinstance(error, RuleError | EnfoldError):
        return str(error)
    place = next(
        (
            f" at {frame.f_globals.get('__name__', '?')}:{line}"
            for frame, line in reversed(list(traceback.walk_tb(error.__traceback__)))
            if not str(frame.f_globals.get("__name__", "")).startswith(("enfold.", "pyarrow", "duckdb"))
        ),
        "",
    )
    return f"{type(error).__name__}{place}" + (f": {error}" if verbose else "")
