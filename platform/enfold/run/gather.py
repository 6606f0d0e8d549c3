"""Gather: add up what the shards of a run report about their slots."""

import hashlib
import json
from pathlib import Path
from typing import Any

from enfold import schema
from enfold.errors import EnfoldError
from enfold.ledger import storage
from enfold.run.digest import total
from enfold.run.plan import Shard, in_ranges


def gather(target: Path, shards: list[Shard], failures: list[dict[str, Any]]) -> dict[str, Any]:
    """Return counts, digests and failures of a run; a missing shard is an error, never an empty result.

    Args:
        target: folder of the run.
        shards: oldest first; what counts of a slot is what the last shard that holds it says.
        failures: of plugins that could not even be loaded.

    Raises:
        EnfoldError: a shard reported nothing, though the pipeline ended.
    """
    names = [*schema.tables()]
    last = {slot: shard for shard in shards for slot in shard.slots}
    slots: dict[str, dict[int, str]] = {n: {} for n in names}
    rows = dict.fromkeys(names, 0)
    summaries, counting = {}, {}
    for shard in shards:
        try:
            data = storage.read(target / "shards" / f"{shard.name}.json")
        except FileNotFoundError:
            msg = f"shard {shard.name} reported nothing although the pipeline ended"
            raise EnfoldError(msg, remedy="Run again; earlier results stay served.") from None
        summary = json.loads(data)
        summaries[shard.name] = storage.sha256(data)
        counting[shard.name] = in_ranges(s for s in shard.slots if last[s] == shard)
        failures = [*failures, *(f for f in summary["failures"] if f not in failures)]
        for name in names:
            rows[name] += sum(n for s, n in summary["rows"][name].items() if last[int(s)] == shard)
            slots[name] |= {int(s): d for s, d in summary["slots"][name].items() if last[int(s)] == shard}
    digests = {n: total(s) for n, s in slots.items()}
    return {
        "subjects": rows["subjects"],
        "events": rows["events"],
        "rows": rows,
        "cut_digest": digests.pop("events"),
        "verdicts_digest": digests["verdicts"],
        "state_digest": hashlib.sha256(
            "".join(f"{n}:{digests[n]};" for n in sorted(schema.state()) if n != "events").encode()
        ).hexdigest(),
        "digests": digests,
        "failures": failures,
        "shards": [s.name for s in shards],
        "slots": counting,
        "summaries": summaries,
    }
