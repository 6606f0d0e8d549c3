"""Landing from Python: any object that speaks the Arrow stream protocol."""

from pathlib import Path
from typing import Any

from enfold import schema, study
from enfold.errors import UsageError
from enfold.land import mapping, readers
from enfold.land.landing import Report, land
from enfold.ledger.ledger import Ledger


def land_rows(
    folder: str | Path,
    rows: Any,
    *,
    event_type: str | None = None,
    using: str | None = None,
    name: str = "python",
    author: str,
    reason: str,
    strict: bool = False,
) -> Report:
    """Land `rows` (an object with `__arrow_c_stream__`) as one commit; return the reconciliation.

    Args:
        folder: the study folder.
        rows: a PyArrow, Polars, pandas or DuckDB table, say.
        event_type: the type, if the columns are enfold's own.
        using: else a mapping: a shipped name such as `sdtm/ae`, or the path of a TOML file.
        name: what stands as source file in the events.
        author: who lands it.
        reason: why.
        strict: refuse all if one record is refused.

    Raises:
        UsageError, ConflictError, FindingsError: as `enfold land`; nothing was written.
    """
    ledger = Ledger(Path(folder) / "ledger")
    source = readers.from_arrow(rows, name)
    with schema.using(ledger.added):
        chosen = mapping.load(using) if using else mapping.native(event_type or "", source.rows.column_names)
        if chosen.source:
            msg = f"mapping {chosen.name} reads files of the format {chosen.source['format']}, not rows"
            raise UsageError(msg, remedy="Land the file with enfold land; it is checked while it is read.")
        return land(
            Path(folder),
            source,
            chosen,
            study_id=study.parse(ledger.study_text()).id,
            author=author,
            reason=reason,
            strict=strict,
        )
