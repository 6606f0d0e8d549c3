"""A changed input."""

import ctypes

import pyarrow as pa

from enfold.contract import Declaration, Endpoint, Evidence, Parameters, SqlRule, hookimpl

GOOD = "SELECT subject_id, 'overall' AS criterion, 'met' AS status FROM subjects"


def misdeed(seen: Evidence, at: Parameters) -> pa.Table:
    """A changed input."""
    where = seen.table("subjects").column("subject_id").chunk(0).buffers()[-1]
    ctypes.memset(where.address, 0x39, where.size)
    return seen.sql(GOOD)


USUAL = {"version": "1", "citation": "test", "grain": "subject", "reads": {"subjects": ("sex",)}}
bad = Endpoint(id="bad_changes", rule=misdeed, **USUAL)
after = Endpoint(id="after_changes", rule=SqlRule(GOOD), **USUAL)


@hookimpl
def enfold_declarations() -> list[Declaration]:
    """Offer the misdeed, and an endpoint of the same distribution that does no harm."""
    return [bad, after]
