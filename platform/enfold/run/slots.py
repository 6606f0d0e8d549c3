"""Rows of state and results by the slots of their subjects."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from enfold.ledger.canonical import SLOTS, slot


def slots_of(rows: pa.Table) -> Any:
    """Return the slot of each row's subject, as a numpy array; the rows are of one study."""
    if not rows.num_rows:
        return np.array([], np.int16)
    (study,) = pc.unique(rows.column("study_id")).to_pylist()
    subjects = rows.column("subject_id").combine_chunks().dictionary_encode()
    slots = [slot(study, s) for s in subjects.dictionary.to_pylist()]
    return np.array(slots, np.int16)[subjects.indices.to_numpy()]


def counts(rows: pa.Table) -> dict[int, int]:
    """Return how many rows each slot has, where it has any."""
    found = np.bincount(slots_of(rows), minlength=SLOTS)
    return {int(s): int(found[s]) for s in found.nonzero()[0]}


def only(rows: pa.Table, slots: Iterable[int]) -> pa.Table:
    """Return the rows of the subjects in these slots."""
    wanted = np.zeros(SLOTS, bool)
    wanted[list(slots)] = True
    return rows.filter(pa.array(wanted[slots_of(rows)]))
