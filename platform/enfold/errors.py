"""Errors that a user can act on, each with its exit code.

    EnfoldError            1  internal: a defect of enfold itself
    ├── UsageError         2  the command, study file, mapping or input is not as documented
    ├── FindingsError      3  data findings or refused records that the command was told to stop at
    ├── IntegrityError     4  a ledger file is damaged, missing or was altered
    ├── DeniedError        5  the operation is not permitted here
    ├── PluginError        6  a plugin failed; other results stand
    ├── ConflictError      7  an event id stands with other content, or two definitions clash
    ├── StorageError      74  the disk is full or failing
    └── BusyError         75  another process holds the study; try again

Messages say what, where and how to mend it. They carry ids and counts, never patient values.
"""


class EnfoldError(Exception):
    """A defect of enfold; `remedy` tells the user what to do about it."""

    exit_code = 1

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        """Return the message, and the remedy on a line of its own."""
        return f"{self.message}\n  {self.remedy}" if self.remedy else self.message


class UsageError(EnfoldError):
    """The command, study file, mapping or input is not as documented."""

    exit_code = 2


class FindingsError(EnfoldError):
    """Data findings or refused records that the command was told to stop at."""

    exit_code = 3


class IntegrityError(EnfoldError):
    """A ledger file is damaged, missing or was altered."""

    exit_code = 4


class DeniedError(EnfoldError):
    """The operation is not permitted here."""

    exit_code = 5


class PluginError(EnfoldError):
    """A plugin failed; results of the others stand."""

    exit_code = 6


class ConflictError(EnfoldError):
    """An event id stands with other content, or two definitions clash."""

    exit_code = 7


class StorageError(EnfoldError):
    """The disk is full or failing; nothing was half-written."""

    exit_code = 74


class BusyError(EnfoldError):
    """Another process holds the study; try again."""

    exit_code = 75


EXIT_CODES: dict[int, str] = {
    0: "ok",
    1: "internal error: a defect of enfold",
    2: "usage: the command, study file, mapping or input is not as documented",
    3: "data findings or refused records",
    4: "integrity: a ledger file is damaged, missing or was altered",
    5: "denied: the operation is not permitted here",
    6: "a plugin failed; other results stand",
    7: "conflict: same id, other content; or two definitions clash",
    74: "storage: the disk is full or failing; nothing was half-written",
    75: "busy: another process holds the study; try again",
}
