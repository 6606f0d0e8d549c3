"""Make the golden ledger of the format in force: `python tests/ledger/golden/make.py FOLDER`, once a format.

Never run it on a folder that exists: a corpus that is made anew proves nothing.
"""

import datetime as dt
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2]))

from test_evolution import cut_digests

from enfold.ledger.ledger import Draft, Ledger
from enfold.ledger.pack import pack
from enfold.ledger.redact import redact
from enfold.ledger.verify import verify
from tests_support import table

ROWS = {
    "enrolment": [{"event_id": "in1", "subject_id": "01", "occurred": "2026-01-05", "sex": "F"}],
    "visit": [
        {"event_id": "v1", "subject_id": "01", "occurred": "2026-01", "status": "held"},
        {"event_id": "v2", "subject_id": "02", "occurred": "2026-02-03T10:00+01:00", "status": "held"},
        {"event_id": "v3", "subject_id": "03", "status": "missed"},
    ],
    "assessment": [
        {"event_id": "a1", "subject_id": "01", "occurred": "2026-01-05", "instrument": "PGA", "item": "PGA_0_3",
         "value_number": "1.250000000", "occasion_id": "o1"},
        {"event_id": "a2", "subject_id": "02", "occurred": "2026-02-03", "instrument": "CELL_KINETICS", "item": "CAR_COPIES",
         "value_number": "17.123456789", "comparator": "<", "value_text": "größer, naïve", "occasion_id": "o2"},
    ],
}  # fmt: skip


def main() -> None:
    """Land, correct, retract, pack and redact; write down what a reader must find."""
    from decimal import Decimal

    root = Path(sys.argv[1])
    ledger = Ledger.create(root / "ledger")
    at = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)

    def land(kind: str, **batches: list[dict[str, object]]) -> None:
        tables = {
            t: table(
                t, [{**r, "value_number": Decimal(str(r["value_number"]))} if "value_number" in r else r for r in rows]
            )
            for t, rows in batches.items()
        }
        ledger.append(lambda _: Draft(tables), kind=kind, author="golden", reason="corpus", now=lambda: at)

    for event_type, rows in ROWS.items():
        land("landing", **{event_type: rows})
    land("correction", visit=[{**ROWS["visit"][0], "event_id": "v1c", "occurred": "2026-01-07", "supersedes": ["v1"],
                               "reason": "date completed"}])  # fmt: skip
    land("retraction", retraction=[{"event_id": "r1", "subject_id": "02", "retracts": "v2", "reason": "twice"}])
    pack(root / "ledger")
    land("landing", visit=[{"event_id": "v4", "subject_id": "04", "status": "held"}])
    redact(root / "ledger", ["v3"], author="golden", reason="corpus")
    ledger = Ledger(root / "ledger")
    checked = verify(root / "ledger")
    cuts = {str(p): cut_digests(ledger, p) for p in (4, 5, ledger.position)}
    body = {"head": checked.head, "counts": [checked.commits, checked.events, checked.redacted], "cuts": cuts}
    (root / "expected.json").write_text(json.dumps(body, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
