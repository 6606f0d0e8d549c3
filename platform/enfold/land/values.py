"""What a check is asked of: the distinct values of a column, or their shapes, where these suffice; else all rows."""

from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from enfold.land import shapes
from enfold.quoting import quote

if TYPE_CHECKING:
    from enfold.land.check import Check


class Values:
    """The rows of one rule, and what was made of their columns for the checks so far."""

    def __init__(self, con: duckdb.DuckDBPyConnection, staged: str, rows: pa.Table) -> None:
        self.con, self.staged, self.rows = con, staged, rows
        self.names: dict[tuple[str, bytes | None], str] = {}

    def least(self, c: "Check") -> str:
        """Return the least that a check must be asked of, as SQL."""
        if c.reads:
            return f"(SELECT DISTINCT {', '.join(map(quote, c.reads))} FROM {self.staged})"
        if not c.alone and c.code != "look_alike_subject":
            return self.staged
        column = self.rows.column(c.column)
        alike = None if pa.types.is_dictionary(column.type) else c.alike
        if (c.column, alike) not in self.names:
            self.names[c.column, alike] = self._few(c.column, column, alike)
        return self.names[c.column, alike]

    def _few(self, name: str, column: pa.ChunkedArray, alike: bytes | None) -> str:
        folded = pa.types.is_dictionary(column.type)
        few = column.combine_chunks().dictionary if folded else alike and shapes.shapes(column, alike)
        if few is None:
            return self.staged
        table = f"values_of_{name}"
        self.con.register(table, pa.table({name: few}))
        return table
