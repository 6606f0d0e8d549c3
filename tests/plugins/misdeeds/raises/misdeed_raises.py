"""An exception, with a value in its text."""

import pyarrow as pa

from enfold.contract import Declaration, Endpoint, Evidence, Parameters, SqlRule, hookimpl

GOOD = "SELECT subject_id, 'overall' AS criterion, 'met' AS status FROM subjects"


def misdeed(seen: Evidence, at: Parameters) -> pa.Table:
    """An exception, with a value in its text."""
    raise ValueError("haemoglobin 7.1 of patient 3")


USUAL = {"version": "1", "citation": "test", "grain": "subject", "reads": {"subjects": ("sex",)}}
bad = Endpoint(id="bad_raises", rule=misdeed, **USUAL)
after = Endpoint(id="after_raises", rule=SqlRule(GOOD), **USUAL)


@hookimpl
def enfold_declarations() -> list[Declaration]:
    """Offer the misdeed, and an endpoint of the same distribution that does no harm."""
    return [bad, after]
