"""The effective events of a run: what stands at its cut, as it was landed."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from enfold import schema
from enfold.errors import UsageError
from enfold.ledger import engine
from enfold.ledger.ledger import Ledger
from enfold.run import manifest


def effective(folder: Path, run: str) -> dict[str, pa.Table]:
    """Return the events that stand, by type (types without any are left out), sorted by subject and id.

    Raises:
        UsageError: two versions of a fact stand: a file to hand out has no place for a contested one.
        IntegrityError: a file of the run or of the ledger is damaged.
    """
    found = manifest.read(folder, run)
    events = pa.concat_tables(manifest.parts(folder, run, found, "events"))
    stand = events.filter(events.column("effective")).select(["event_id", "event_type", "position"])
    twice = stand.num_rows - len(pc.unique(stand.column("event_id")))
    if twice:
        msg = f"{twice} facts are contested: two versions of each stand"
        raise UsageError(msg, remedy="Settle them first: enfold queries lists them.")
    ledger = Ledger(folder / "ledger")
    out: dict[str, pa.Table] = {}
    for event_type in schema.events():
        wanted = stand.filter(pc.equal(stand.column("event_type"), event_type))
        if wanted.num_rows:
            con = engine.connect(threads=engine.cores())
            con.register("landed", ledger.read(event_type, upto=pc.max(wanted.column("position")).as_py()))
            con.register("wanted", wanted)
            out[event_type] = con.sql(
                "FROM landed SEMI JOIN wanted USING (event_id, position) ORDER BY subject_id, event_id"
            ).to_arrow_table()
    return out
