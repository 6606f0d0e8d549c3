"""A wrong table: a column that no verdict has."""

import pyarrow as pa

from enfold.contract import Declaration, Endpoint, Evidence, Parameters, SqlRule, hookimpl

GOOD = "SELECT subject_id, 'overall' AS criterion, 'met' AS status FROM subjects"


def misdeed(seen: Evidence, at: Parameters) -> pa.Table:
    """A wrong table: a column that no verdict has."""
    return seen.sql("SELECT subject_id, 1 AS colour FROM subjects")


USUAL = {"version": "1", "citation": "test", "grain": "subject", "reads": {"subjects": ("sex",)}}
bad = Endpoint(id="bad_wrong_table", rule=misdeed, **USUAL)
after = Endpoint(id="after_wrong_table", rule=SqlRule(GOOD), **USUAL)


@hookimpl
def enfold_declarations() -> list[Declaration]:
    """Offer the misdeed, and an endpoint of the same distribution that does no harm."""
    return [bad, after]
