"""Gather: add up what the shards of a run report about themselves."""

import hashlib
import json
from pathlib import Path
from typing import Any

from enfold import schema
from enfold.errors import EnfoldError
from enfold.ledger import storage
from enfold.run.digest import total
from enfold.run.plan import Shard


def gather(target: Path, shards: list[Shard], failures: list[dict[str, Any]]) -> dict[str, Any]:
    """Return counts, digests and failures of a run; a missing shard is an error, never an empty result.

    Raises:
        EnfoldError: a shard reported nothing, though the pipeline ended.
    """
    names = [*schema.state(), *schema.results()]
    slots: dict[str, dict[int, str]] = {n: {} for n in names}
    rows = dict.fromkeys(names, 0)
    subjects = events = 0
    summaries = {}
    for shard in shards:
        try:
            data = storage.read(target / "shards" / f"{shard.name}.json")
        except FileNotFoundError:
            msg = f"shard {shard.name} reported nothing although the pipeline ended"
            raise EnfoldError(msg, remedy="Run again; earlier results stay served.") from None
        summaries[shard.name] = storage.sha256(data)
        summary = json.loads(data)
        subjects += summary["subjects"]
        events += summary["events"]
        failures += [f for f in summary["failures"] if f not in failures]
        for name in names:
            rows[name] += summary["rows"][name]
            slots[name] |= {int(k): v for k, v in summary["slots"][name].items()}
    digests = {n: total(s) for n, s in slots.items()}
    return {
        "subjects": subjects,
        "events": events,
        "rows": rows,
        "cut_digest": digests.pop("events"),
        "verdicts_digest": digests["verdicts"],
        "state_digest": hashlib.sha256(
            "".join(f"{n}:{digests[n]};" for n in sorted(schema.state()) if n != "events").encode()
        ).hexdigest(),
        "digests": digests,
        "failures": failures,
        "shards": [s.name for s in shards],
        "summaries": summaries,
    }
