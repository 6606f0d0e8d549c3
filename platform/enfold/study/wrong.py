"""The one form of an error in a study file: it names table and key, and where the keys are described."""

from enfold.errors import UsageError

SEE = "See docs/reference/study-file.md."


def wrong(table: str, key: str, what: str) -> UsageError:
    """Return the error for one key of one table."""
    return UsageError(f"study.toml: [{table}] `{key}` {what}", remedy=SEE)
