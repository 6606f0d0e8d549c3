"""A flood of output."""

import pyarrow as pa

from enfold.contract import Declaration, Endpoint, Evidence, Parameters, SqlRule, hookimpl

GOOD = "SELECT subject_id, 'overall' AS criterion, 'met' AS status FROM subjects"


def misdeed(seen: Evidence, at: Parameters) -> pa.Table:
    """A flood of output."""
    while True:
        print("x" * 100_000)


USUAL = {"version": "1", "citation": "test", "grain": "subject", "reads": {"subjects": ("sex",)}}
bad = Endpoint(id="bad_floods", rule=misdeed, **USUAL)
after = Endpoint(id="after_floods", rule=SqlRule(GOOD), **USUAL)


@hookimpl
def enfold_declarations() -> list[Declaration]:
    """Offer the misdeed, and an endpoint of the same distribution that does no harm."""
    return [bad, after]
