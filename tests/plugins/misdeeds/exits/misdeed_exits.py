"""os._exit in the middle of a rule."""

import os

import pyarrow as pa

from enfold.contract import Declaration, Endpoint, Evidence, Parameters, SqlRule, hookimpl

GOOD = "SELECT subject_id, 'overall' AS criterion, 'met' AS status FROM subjects"


def misdeed(seen: Evidence, at: Parameters) -> pa.Table:
    """os._exit in the middle of a rule."""
    os._exit(0)


USUAL = {"version": "1", "citation": "test", "grain": "subject", "reads": {"subjects": ("sex",)}}
bad = Endpoint(id="bad_exits", rule=misdeed, **USUAL)
after = Endpoint(id="after_exits", rule=SqlRule(GOOD), **USUAL)


@hookimpl
def enfold_declarations() -> list[Declaration]:
    """Offer the misdeed, and an endpoint of the same distribution that does no harm."""
    return [bad, after]
