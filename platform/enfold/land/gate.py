"""The gate: Great Expectations suites over what is about to land. The only importer of it.

Each expectation in `expectations/<type>.json` carries `meta.severity`: `refuse` depends on the
record alone and refuses that record; `query` is anything wider: the data lands, and the events
that it names go into the commit, from which the fold re-emits a data finding.

Great Expectations passes empty batches, NaN between bounds and empty text. Batches that reach
it are neither empty nor do they hold NaN or empty text (readers.py, check.py), and the number of
results must equal the number of expectations; an exception inside one is an error, not a pass.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from enfold import extras, schema
from enfold.errors import EnfoldError
from enfold.land.names import namespace
from enfold.ledger import segments
from enfold.ledger.storage import sha256
from enfold.shipped import shipped


@dataclass
class Outcome:
    """What the suite said of one batch."""

    suites: dict[str, str] = field(default_factory=dict)  # digest of each suite file, by event type (PLUGIN/TYPE)
    refused: list[dict[str, Any]] = field(default_factory=list)
    queries: list[dict[str, Any]] = field(default_factory=list)


def validate(event_type: str, rows: pa.Table) -> Outcome:
    """Run the suite of `event_type` over `rows` and return what it refuses and what it queries."""
    outcome = Outcome()
    path = shipped("expectations") / f"{event_type}.json"
    if rows.num_rows and path.is_file():
        _validate(outcome, event_type, event_type, path.read_text("utf-8"), rows)
    for name, text in schema.added().within("expectations").items():
        plugin, _, file = name.partition("/")
        own = _own_rows(plugin, event_type, rows) if file == f"{event_type}.json" else rows.slice(0, 0)
        if own.num_rows:
            _validate(outcome, f"{plugin}/{event_type}", event_type, text, own)
    return outcome


def _own_rows(plugin: str, event_type: str, rows: pa.Table) -> pa.Table:
    """Return the rows that a plugin's suite may speak of: of assessments, those of its own instruments."""
    if event_type != "assessment":
        return rows
    return rows.filter(pc.starts_with(rows.column("instrument").cast(pa.string()), namespace(plugin)))


def _validate(outcome: Outcome, name: str, event_type: str, text: str, rows: pa.Table) -> None:
    suite = json.loads(text)
    outcome.suites[name] = sha256(text.encode())
    try:
        results = _run(event_type, suite["expectations"], rows)
    except EnfoldError:
        raise
    except Exception as error:  # its stack says nothing to a user
        msg = f"the suite of {name} could not be run: {type(error).__name__}"
        raise EnfoldError(msg, remedy=f"Nothing was landed; mend expectations/{event_type}.json.") from error
    ids = rows.column("event_id").to_pylist()
    lines = rows.column("source_row").to_pylist()
    for spec, result in zip(suite["expectations"], results, strict=True):
        if result["exception_info"] or result["success"] is None:
            msg = f"expectation {spec['meta']['code']} of {name} could not be computed"
            raise EnfoldError(msg, remedy="Nothing was landed; mend expectations/.")
        if result["success"]:
            continue
        meta = spec["meta"]
        places = result["places"]
        if meta["severity"] == "refuse":
            outcome.refused += [
                {
                    "source_row": lines[i],
                    "column_name": meta["column"],
                    "code": meta["code"],
                    "reason": meta["reason"],
                    "remedy": meta["remedy"],
                }
                for i in places
            ]
        else:
            outcome.queries.append(
                {
                    "code": meta["code"],
                    "reason": meta["reason"],
                    "event_type": event_type,
                    "event_ids": sorted({ids[i] for i in places}),
                }
            )


def _run(event_type: str, specs: list[dict[str, Any]], rows: pa.Table) -> list[dict[str, Any]]:
    import logging

    extras.load("checking what lands", "great_expectations")
    import great_expectations as gx  # by name, so that the layers' check sees who imports it

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    suite = gx.ExpectationSuite(
        name=event_type,
        expectations=[{"type": s["type"], "kwargs": s["kwargs"], "meta": s["meta"]} for s in specs],
    )
    needed = sorted({c for s in specs for c in s["meta"]["reads"]})
    frame = _frame(rows.select(needed))
    batch = (
        context.data_sources.add_pandas("landing")
        .add_dataframe_asset("rows")
        .add_batch_definition_whole_dataframe("all")
        .get_batch(batch_parameters={"dataframe": frame})
    )
    validated = batch.validate(suite, result_format="COMPLETE")
    by_code = {r.expectation_config.meta["code"]: r for r in validated.results}
    if len(by_code) != len(specs):
        msg = f"Great Expectations answered {len(by_code)} of {len(specs)} expectations"
        raise EnfoldError(msg, remedy="Nothing was landed; mend expectations/.")
    return [_plain(by_code[s["meta"]["code"]]) for s in specs]


def _plain(result: Any) -> dict[str, Any]:
    info = result.exception_info or {}
    raised = info.get("raised_exception") or any(
        isinstance(v, dict) and v.get("raised_exception") for v in info.values()
    )
    return {
        "success": result.success,
        "exception_info": raised,
        "places": list(result.result.get("unexpected_index_list") or []),
    }


def _frame(rows: pa.Table) -> Any:
    """Return a pandas frame, unfolded; decimals become floats for comparison of bounds only."""
    rows = rows.cast(segments.plain(rows.schema))
    columns = {}
    for name in rows.column_names:
        column = rows.column(name)
        if pa.types.is_decimal(column.type):
            column = column.cast(pa.float64())
        columns[name] = column
    return pa.table(columns).to_pandas()
