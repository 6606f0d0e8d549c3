"""A write to the file system, its refusal swallowed."""

import contextlib
from pathlib import Path

import pyarrow as pa

from enfold.contract import Declaration, Endpoint, Evidence, Parameters, SqlRule, hookimpl

GOOD = "SELECT subject_id, 'overall' AS criterion, 'met' AS status FROM subjects"


def misdeed(seen: Evidence, at: Parameters) -> pa.Table:
    """A write to the file system, its refusal swallowed."""
    with contextlib.suppress(OSError):
        Path("left-behind.txt").write_text("x")
    return seen.sql(GOOD)


USUAL = {"version": "1", "citation": "test", "grain": "subject", "reads": {"subjects": ("sex",)}}
bad = Endpoint(id="bad_writes", rule=misdeed, **USUAL)
after = Endpoint(id="after_writes", rule=SqlRule(GOOD), **USUAL)


@hookimpl
def enfold_declarations() -> list[Declaration]:
    """Offer the misdeed, and an endpoint of the same distribution that does no harm."""
    return [bad, after]
