"""Generated studies have the digests that one fold over all their patients says, however they were landed and run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import studies

from faults import counts

SURROUNDINGS = (
    {"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "1", "LC_ALL": "C"},
    {"TZ": "America/St_Johns", "PYTHONHASHSEED": "2", "LC_ALL": "C.UTF-8"},
)


def check(numbers: range) -> int:
    """Compare the studies of these numbers, half of them in each of two surroundings; return how many had events."""
    middle = (numbers.start + numbers.stop) // 2
    halves = (range(numbers.start, middle), range(middle, numbers.stop))
    path = os.pathsep.join(p for p in sys.path if p)
    script = str(Path(studies.__file__))
    running = [
        subprocess.Popen(
            [sys.executable, script, str(half.start), str(half.stop)],
            env={**os.environ, **around, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True,
        )
        for half, around in zip(halves, SURROUNDINGS, strict=True)
    ]  # fmt: skip
    wanted = studies.expected(numbers)
    lines = [line for process in running for line in process.communicate()[0].splitlines()]
    assert [p.returncode for p in running] == [0, 0]
    assert len(lines) == len(numbers)
    for number, line, right in zip(numbers, lines, wanted, strict=True):
        found = json.loads(line)
        assert found == right, f"study {number}: {sorted(t for t in right if found[t] != right[t])}"
    return sum(len(studies.patients(n)) > 0 for n in numbers)


def test_landing_sharding_workers_and_surroundings_change_no_digest() -> None:
    share = counts.STUDIES.share
    assert check(range(share)) == share * 4 // 5


def test_a_changed_value_changes_the_digests() -> None:
    (before,) = studies.expected(range(3, 4))
    made = studies.events(3)
    row = next(r for r in made["assessment"] if r.get("value_number") is not None)
    row["value_number"] += 1
    original, studies.events = studies.events, lambda _: made
    try:
        (after,) = studies.expected(range(3, 4))
    finally:
        studies.events = original
    assert before["events"] != after["events"]
    assert before["findings"] != after["findings"]
