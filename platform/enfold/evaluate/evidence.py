"""Evidence: what one rule may see, as views on an in-memory DuckDB of one shard."""

import re
import warnings
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa

from enfold import schema
from enfold.contract import Declaration
from enfold.evaluate.faults import RuleError
from enfold.ledger import engine
from enfold.study import StudyFile

# the rows of a result are copied once to become Arrow: less than what a second binding costs
warnings.filterwarnings("ignore", "Arrow output on a DB-API result", UserWarning)


class ShardEvidence:
    """Implements `enfold.contract.Evidence` for one declaration on one shard."""

    def __init__(
        self,
        declaration: Declaration,
        state: Mapping[str, pa.Table],
        results: Mapping[str, pa.Table],
        study: StudyFile,
        cutoff: date | None = None,
        shared: duckdb.DuckDBPyConnection | None = None,
    ) -> None:
        self._con = (shared or prepared()).cursor()
        self._tables = {name: _narrow(state[name], columns) for name, columns in declaration.reads.items()}
        self._tables |= {name: results[name] for name in declaration.needs}
        self._declared = sorted(self._tables)
        self._subjects = sorted(state["subjects"].column("subject_id").to_pylist())
        items = [
            {
                "instrument": i.name,
                "item": it.code,
                "weight": it.weight,
                "system": it.system,
                "clinical": it.clinical,
                "codes": list(it.codes),
            }
            for n in declaration.instruments
            for i in [schema.instruments()[n]]
            for it in i.items
        ]
        self._tables["instrument_items"] = pa.Table.from_pylist(items, schema=_ITEMS)
        self._tables["cut"] = pa.table({"cutoff": pa.array([cutoff], pa.date32())})
        self._tables |= _protocol(study)
        self._seen: set[str] = set()  # tables that the database knows of
        self._con.execute(_ONLY_READ)

    def sql(self, query: str, parameters: Mapping[str, Any] | None = None) -> pa.Table:
        """Run one query with the parameters that it names."""
        named = set(re.findall(r"\$([a-z_][a-z0-9_]*)", query))
        bound = {k: v for k, v in (parameters or {}).items() if k in named}
        try:
            self._show(query)
            # a relation would bind the query twice, and to bind the larger rules is a quarter of what they cost
            return engine.execute(self._con, query, bound or None).to_arrow_table()
        except duckdb.Error as error:
            msg = str(error).split("\n", maxsplit=1)[0]
            if isinstance(error, duckdb.ConversionException | duckdb.OutOfRangeException):
                msg = f"{type(error).__name__}: a value does not fit"  # the rest would quote it
            self._con.rollback()  # a rule may go on after an error that it expects
            self._con.execute(_ONLY_READ)
            raise RuleError(msg) from None

    def _show(self, query: str) -> None:
        """Let the database know of the tables that a query may name: of each, that costs as much as a small query."""
        words = query.lower()
        new = [name for name in self._tables if name not in self._seen and name.lower() in words]
        if new:
            self._con.rollback()
            self._con.begin()
            for name in new:
                self._con.register(name, self._tables[name])
            self._con.commit()
            self._con.execute(_ONLY_READ)
            self._seen |= {*new}

    def table(self, name: str) -> pa.Table:
        """Return one declared table, without a copy."""
        if name not in self._tables:
            msg = f"`{name}` is not declared; declared are {', '.join(sorted(self._tables))}"
            raise RuleError(msg)
        return self._tables[name]

    def subjects(self) -> list[str]:
        """Return every subject of the shard, sorted."""
        return self._subjects

    def declared(self) -> list[str]:
        """Return what was declared, sorted."""
        return self._declared


# what one rule makes or redefines in the database would be there for the next
_ONLY_READ = "BEGIN TRANSACTION READ ONLY"


def prepared() -> duckdb.DuckDBPyConnection:
    """Return a database with the helpers that every rule may call; its settings can no longer be changed.

    Rules that enfold ships share one in a shard, each by a cursor that sees no other's tables: opening one costs more
    than most rules on a small study.
    """
    con = engine.connect()
    con.execute(_HELPERS)
    con.execute("SET lock_configuration = true")
    return con


def _narrow(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    keys = [c for c in ("study_id", "subject_id") if c in table.column_names]
    return table.select(list(dict.fromkeys([*keys, *columns])))


def _protocol(study: StudyFile) -> dict[str, pa.Table]:
    """Return what the study file declares, as tables that every rule may read."""
    levels = [(x.id, x.dose, x.unit) for x in study.dose_levels]
    toxic = [vars(r) for r in study.dose_limiting]
    return {
        "protocol_dose_levels": pa.table(
            {
                "dose_level": pa.array([x[0] for x in levels], pa.string()),
                "dose": pa.array([x[1] for x in levels], schema.NUMBER),
                "unit": pa.array([x[2] for x in levels], pa.string()),
            }
        ),
        "protocol_dose_limiting": pa.Table.from_pylist(toxic, schema=_DOSE_LIMITING),
    }


_DOSE_LIMITING = pa.schema(
    [
        ("id", pa.string()),
        ("source", pa.string()),
        ("category", pa.string()),
        ("grade_from", pa.int64()),
        ("within_days", pa.int64()),
        ("longer_than_days", pa.int64()),
        ("except_categories", pa.list_(pa.string())),
        ("except_attributions", pa.list_(pa.string())),
    ]
)

# Three-valued logic for SQL rules: what is not known is not evaluable, never not met.
_HELPERS = """
CREATE MACRO verdict(condition) AS
    CASE WHEN condition THEN 'met' WHEN NOT condition THEN 'not_met' ELSE 'not_evaluable' END;
-- any clause not met decides; else anything unknown keeps it unknown; what does not apply is skipped
CREATE MACRO all_met(statuses) AS
    CASE WHEN list_contains(statuses, 'not_met') THEN 'not_met'
         WHEN list_contains(statuses, 'not_evaluable') THEN 'not_evaluable'
         WHEN list_contains(statuses, 'met') THEN 'met' ELSE 'not_applicable' END;
-- an exact number as people write it, without trailing zeros
CREATE MACRO shown(number) AS
    regexp_replace(
        regexp_replace(regexp_replace(CAST(number AS VARCHAR), '([.][0-9]*?)0+$', '\\1'), '[.]$', ''),
        '^(-?)[.]', '\\10.');
-- prednisone units (sixtieths of a microgram) in milligrams, cut to two places: for words only
CREATE MACRO milligrams(units) AS shown(CAST(CAST(units AS HUGEINT) // 600 AS DECIMAL(30, 0)) * 0.01);
"""

_ITEMS = pa.schema(
    [
        ("instrument", pa.string()),
        ("item", pa.string()),
        ("weight", pa.int64()),
        ("system", pa.string()),
        ("clinical", pa.bool_()),
        ("codes", pa.list_(pa.string())),
    ]
)
