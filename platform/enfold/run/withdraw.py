"""Withdraw: an endpoint that failed anywhere has no rows anywhere, or half of them would be taken for all.

What needs it failed with it, in the same shard, so it goes the same way. Other endpoints keep their rows, and digests.
"""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from enfold import schema
from enfold.ledger import segments, storage
from enfold.run.digest import slot_digests
from enfold.run.plan import Shard
from enfold.run.shard import encode
from enfold.run.slots import counts

MARK = "withdrawn"  # in a shard's summary: the aliases whose rows were taken out; such a shard is worked again


def withdraw(target: Path, shards: list[Shard]) -> dict[str, dict[str, int]]:
    """Take the rows of what failed in some shards out of the others; return by alias in how many it failed.

    Files first, then the summary that names their digests: a kill in between leaves a shard that counts as damaged and
    is worked again.
    """
    summaries = {s: json.loads(storage.read(target / "shards" / f"{s.name}.json")) for s in shards}
    failed: dict[str, int] = {}
    for summary in summaries.values():
        for alias in {f["alias"] for f in summary["failures"] if f.get("alias")}:
            failed[alias] = failed.get(alias, 0) + 1
    for shard, summary in summaries.items() if failed else ():
        _take_out(target, shard, summary, sorted(failed))
    return {alias: {"failed": n, "of": len(shards)} for alias, n in sorted(failed.items())}


def _take_out(target: Path, shard: Shard, summary: dict[str, object], aliases: list[str]) -> None:
    rows, slots, files = (dict(summary[k]) for k in ("rows", "slots", "files"))  # type: ignore[call-overload]
    gone = set()
    for name, table in schema.results().items():
        path = target / name / f"{shard.name}.parquet"
        data = storage.read_verified(path, files[name])
        before = segments.decode(data)
        bad = pc.is_in(before.column("alias"), value_set=pa.array(aliases, pa.string()))
        after = before.filter(pc.invert(bad))
        if after.num_rows == before.num_rows:
            continue
        gone |= set(pc.unique(before.filter(bad).column("alias")).to_pylist())
        data = encode(after)
        storage.replace(path, data)
        files[name], rows[name] = storage.sha256(data), counts(after)
        slots[name] = slot_digests(table, after)
    if gone:
        mark = {"rows": rows, "slots": slots, "files": files, MARK: sorted(gone)}
        data = json.dumps({**summary, **mark}, sort_keys=True).encode()
        storage.replace(target / "shards" / f"{shard.name}.json", data)
