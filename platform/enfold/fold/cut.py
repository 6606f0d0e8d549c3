"""A cut: what an analysis may see of the ledger."""

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True)
class Cut:
    """Three bounds: ledger position, recorded time and clinical time (instants in UTC)."""

    position: int
    recorded_until: dt.datetime | None = None
    occurred_until: dt.datetime | None = None
