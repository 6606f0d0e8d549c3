"""Builders that test modules import by name."""

from typing import Any

import pyarrow as pa

from enfold import schema, study
from enfold.study import StudyFile

STUDY = """
plugins = []
[study]
id = "S"
title = "test"
time_zone = "Europe/Berlin"
[[visits]]
id = "BL"
day = -7
window = [-60, -4]
baseline = true
[[visits]]
id = "W4"
day = 28
[[visits]]
id = "W12"
day = 84
"""


def table(event_type: str, rows: list[dict[str, Any]]) -> pa.Table:
    """Return events of one type; study and subject default to S and 01."""
    base = {"study_id": "S", "subject_id": "01", "schema_version": 1}
    return pa.Table.from_pylist([{**base, **r} for r in rows], schema=schema.event_arrow(event_type))


def study_file(extra: str = "") -> StudyFile:
    """Return the small test study; `extra` goes before its tables."""
    return study.parse(STUDY.replace('time_zone = "Europe/Berlin"', 'time_zone = "Europe/Berlin"\n' + extra))


SMALL = 2_000  # rows a shard: the demo makes eight
DIGESTS = ("cut_digest", "state_digest", "verdicts_digest", "digests", "rows", "events", "subjects")


def same(one: dict[str, object], other: dict[str, object]) -> bool:
    """Whether two runs have the same results."""
    return all(one[d] == other[d] for d in DIGESTS)
