"""A large synthetic study: the demo trial's patients again and again, each copy under an id of its own.

Long-form histories of the real shape (scores, panels, courses, bedside readings, corrections) in any number, so that
every rule has work. A copy's dates are those of its original; ids do not compress better than an export's.
"""

import datetime as dt
import shutil
from pathlib import Path

import pyarrow as pa

from enfold import schema
from enfold.cli.main import main as enfold
from enfold.ledger import engine
from enfold.ledger.ledger import Draft, Ledger
from enfold.testing.demo.main import write

AT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def demo(root: Path) -> Path:
    """Land the synthetic demo trial under `root` and return its study folder."""
    paths = write(root / "incoming")
    study = root / "demo"
    assert enfold(["init", str(study), str(root / "incoming" / "study.toml"), "--author", "bench"]) == 0
    assert enfold(["land", str(study), *map(str, paths), "--author", "bench", "--strict"]) == 0
    return study


def enlarge(source: Path, target: Path, events: int, per_commit: int = 1_000_000) -> int:
    """Append copies of the patients in `source` to a new study until it holds about `events`; return how many."""
    small = Ledger(source / "ledger")
    rows = {t: small.read(t) for t in schema.events()}
    once = sum(t.num_rows for t in rows.values())
    copies = max(1, round(events / once))
    Ledger.create(target / "ledger")
    shutil.copy(source.parent / "incoming" / "study.toml", target / "study.toml")
    assert enfold(["land", str(target), str(target / "study.toml"), "--author", "bench"]) == 0
    ledger = Ledger(target / "ledger")
    step = max(1, per_commit // once)
    for first in range(0, copies, step):
        last = min(first + step, copies)
        batches = {t: _copies(t, table, first, last) for t, table in rows.items() if table.num_rows}
        ledger.append(lambda _, b=batches: Draft(b), kind="landing", author="bench", reason="bench", now=lambda: AT)
    return copies * once


def _copies(event_type: str, rows: pa.Table, first: int, last: int) -> pa.Table:
    """Return copies `first` to `last` of every row: subject and event ids made anew, references with them."""
    con = engine.connect(threads=engine.cores())
    con.register("rows", rows)
    con.execute("CREATE MACRO own(id, k) AS CASE WHEN id IS NULL THEN NULL ELSE md5(k || ' ' || id)::UUID::VARCHAR END")
    made = {
        "subject_id": "subject_id || '-' || lpad(k::VARCHAR, 6, '0')",
        "event_id": "own(event_id, k)",
        "occasion_id": "own(occasion_id, k)",
        "supersedes": "CASE WHEN supersedes IS NULL THEN NULL ELSE list_transform(supersedes, lambda i: own(i, k)) END",
        "retracts": "own(retracts, k)",
    }
    shape = schema.event_arrow(event_type)
    columns = ", ".join(f'{made[n]} AS "{n}"' if n in made else f'"{n}"' for n in shape.names)
    return con.sql(f"SELECT {columns} FROM rows, range({first}, {last}) copies(k)").to_arrow_table().cast(shape)
