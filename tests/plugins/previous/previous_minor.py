"""Uses every name of the contract as it was before rules over one patient came: change it only with a major version."""

from dataclasses import dataclass
from decimal import Decimal

import pyarrow as pa

from enfold.contract import (
    Clauses,
    Declaration,
    Derivation,
    Endpoint,
    Evidence,
    Parameters,
    SqlRule,
    hookimpl,
    parameter_digest,
)


@dataclass(frozen=True)
class Settings(Parameters):
    """A threshold."""

    at_least: Decimal = Decimal("1")


count = Derivation(
    id="previous_count", version="1", citation="test", grain="subject", reads={"visits": ("visit_id",)},
    rule=SqlRule("SELECT subject_id, 'visits' AS measure, count(*) AS value_number FROM visits GROUP BY subject_id"),
)  # fmt: skip


def judge(seen: Evidence, at: Settings) -> pa.Table:
    """Ask in SQL from Python, with a parameter."""
    assert len(parameter_digest(at)) == 16
    assert seen.table("previous_count").num_rows >= 0
    return seen.sql(
        "SELECT subject_id, 'overall' AS criterion, verdict(value_number >= $at_least) AS status FROM previous_count",
        {"at_least": at.at_least},
    )


enough = Endpoint(
    id="previous_enough", version="1", citation="test", grain="subject", reads={}, needs=("previous_count",),
    rule=judge, parameters=Settings(), criteria={"overall": "enough visits"}, met_means="conformity",
)  # fmt: skip
held = Endpoint(
    id="previous_held", version="1", citation="test", grain="visit",
    reads={"visits": ("visit_id", "status", "scheduled", "event_ids")},
    rule=Clauses("""
        SELECT subject_id, visit_id, status AS held, 'held' AS criterion, verdict(status = 'held') AS status,
               NULL AS reason, NULL AS compared, []::VARCHAR[] AS flags, NULL::TIMESTAMPTZ AS known_from, event_ids
        FROM visits WHERE scheduled
    """),
)  # fmt: skip


@hookimpl
def enfold_declarations() -> list[Declaration]:
    """Offer one of each kind."""
    return [count, enough, held]
