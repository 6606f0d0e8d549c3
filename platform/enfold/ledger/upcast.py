"""Upcasting: rows landed under older schemas, brought into the shape of today's.

Every commit names the schema bundle that it used, and the ledger stores each bundle. A field that
is new and optional needs nothing: older rows hold null. Any other change of an event type raises its
`version` and adds one step here, Arrow table to Arrow table, from that version to the next. The
chain is checked at start: a step missing, or one too many, is an error before anything is read.
Rows keep the `schema_version` that they were landed with, and content digests are those of the
landed shape, so that no cut's digest moves.
"""

import tomllib
from collections.abc import Callable, Mapping
from functools import lru_cache

import pyarrow as pa

from enfold import schema
from enfold.errors import IntegrityError
from enfold.ledger.canonical import Shape

Step = Callable[[pa.Table], pa.Table]
STEPS: dict[tuple[str, int], Step] = {}  # (event type, version) -> step to the version after it


def check_steps(steps: Mapping[tuple[str, int], Step] | None = None) -> None:
    """Raise unless the steps lead from version 1 of every event type to the one in force.

    Raises:
        IntegrityError: names the step that is missing or leads nowhere.
    """
    steps = STEPS if steps is None else steps
    wanted = {(t.name, v) for t in schema.events().values() for v in range(1, t.version) if t.name not in _added()}
    for name, version in sorted(wanted - set(steps)):
        msg = f"schemas/events/{name}.toml: no step from version {version} to {version + 1}"
        raise IntegrityError(msg, remedy="Add it to STEPS in ledger/upcast.py.")
    for name, version in sorted(set(steps) - wanted):
        msg = f"a step from version {version} of `{name}`, which has no version {version + 1}"
        raise IntegrityError(msg, remedy="Remove it from STEPS in ledger/upcast.py, or raise the schema's version.")


@lru_cache(maxsize=64)
def bundle_shapes(bundle: bytes) -> dict[str, Shape]:
    """Return the event shapes of a stored schema bundle, by type."""
    import json

    texts: dict[str, str] = json.loads(bundle)
    envelope = schema.table_from(tomllib.loads(texts["envelope.toml"]), "envelope.toml")
    out = {}
    for name, text in texts.items():
        if name.startswith("events/"):
            table = schema.table_from(tomllib.loads(text), name)
            out[table.name] = Shape(table.name, envelope.fields, table.fields)
    return out


@lru_cache(maxsize=64)
def bundle_versions(bundle: bytes) -> dict[str, int]:
    """Return the version of each event type in a stored schema bundle."""
    import json

    docs = [tomllib.loads(t) for n, t in json.loads(bundle).items() if n.startswith("events/")]
    return {str(d["name"]): int(d["version"]) for d in docs}


def to_current(rows: pa.Table, event_type: str, version: int, stored: pa.Schema) -> pa.Table:
    """Return `rows`, landed under `version`, in the shape `stored` of today.

    Raises:
        IntegrityError: a version from the future, or a step that does not give today's shape.
    """
    now = schema.events()[event_type].version
    if version > now:
        msg = f"`{event_type}` was landed under version {version}; this enfold knows {now}"
        raise IntegrityError(msg, remedy="Use the newer enfold that landed it.")
    for step in range(version, now) if event_type not in _added() else ():  # those only ever gain optional fields
        rows = STEPS[event_type, step](rows)
    for field in stored:
        if field.name not in rows.column_names and field.nullable:
            rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
    unknown = set(rows.column_names) - set(stored.names)
    missing = set(stored.names) - set(rows.column_names)
    if unknown or missing:
        msg = f"`{event_type}` version {version}: fields {sorted(unknown | missing)} do not fit version {now}"
        raise IntegrityError(msg, remedy="Raise the schema's version and add a step to ledger/upcast.py.")
    return rows.select(stored.names).cast(stored)


def _added() -> dict[str, schema.Table]:
    return schema.added_events(schema.added())
