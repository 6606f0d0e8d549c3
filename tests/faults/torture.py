"""All faults in full: `make torture`, or `python tests/faults/torture.py [PART …] [--seed N]`. Prints what it counted.

A share of each part is in `make test` (test_faults.py); the numbers of both stand in counts.py.
"""

import argparse
import dataclasses
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "fold"), str(TESTS / "run")]
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before anything imports it

from evaluate import misdeeds  # noqa: E402
from faults import bitrot, counts, formats, kills, limits, machine, powerloss, syscalls, writers  # noqa: E402


def _said(tally: object) -> str:
    """Return a tally in words."""
    out = []
    for name, value in vars(tally).items():
        if isinstance(value, dict):
            value = f"{sum(value.values())} ({', '.join(f'{k} {n}' for k, n in sorted(value.items()))})"
        out.append(f"{name.replace('_', ' ')} {value}")
    return ", ".join(out)


def _kills(seed: int, full: bool) -> str:
    return _said(kills.kill(counts.KILLS.of(full), seed, parallel=2))


def _syscalls(seed: int, full: bool) -> str:
    return _said(syscalls.fail_all(counts.CALL_STEP.of(full), start=seed))


def _powerloss(seed: int, full: bool) -> str:
    return _said(powerloss.lose_power(counts.POWER_RECORDS.of(full), counts.POWER_IMAGES.of(full), seed))


def _limits(seed: int, full: bool) -> str:
    del seed, full
    done, skipped = [], []
    for name, do in limits.all_of_them().items():
        try:
            do()
            done.append(name)
        except limits.NotPermittedError as error:
            skipped.append(f"{name} ({error})")
    return f"{len(done)} done: {', '.join(done)}" + (f"; skipped: {', '.join(skipped)}" if skipped else "")


def _bitrot(seed: int, full: bool) -> str:
    return _said(bitrot.rot(counts.MUTANTS.of(full), seed))


def _formats(seed: int, full: bool) -> str:
    found = formats.fuzz(counts.FORMAT_MUTANTS.of(full), seed)
    return "; ".join(f"{name} {t.refused} refused, {t.read} read, {t.landed} landed" for name, t in found.items())


def _writers(seed: int, full: bool) -> str:
    del seed
    commits = counts.WRITER_COMMITS.of(full)
    return "; ".join(_said(writers.write(n, commits, counts.READERS)) for n in counts.WRITERS[full])


def _machine(seed: int, full: bool) -> str:
    runs, steps = counts.MACHINE_RUNS.of(full), counts.MACHINE_STEPS.of(full)
    return f"{machine.live(runs, steps, seed if full else None)} steps in {runs} histories"


def _misdeeds(seed: int, full: bool) -> str:
    del seed
    times = counts.MISDEEDS.of(full)
    with tempfile.TemporaryDirectory() as folder:
        misdeeds.install(Path(folder))
        for name in sorted(misdeeds.EXPECTED) * times:
            misdeeds.check(name)
    return f"{len(misdeeds.EXPECTED)} misdeeds of plugins, {times} times each"


def _studies(seed: int, full: bool) -> str:
    import test_generated_studies

    number = counts.STUDIES.of(full)
    with_events = test_generated_studies.check(range(seed * number, (seed + 1) * number))
    return f"{number} generated studies, {with_events} with events, each with the digests of one fold over all"


PARTS: dict[str, Callable[[int, bool], str]] = {
    "kills": _kills,
    "syscalls": _syscalls,
    "powerloss": _powerloss,
    "limits": _limits,
    "bitrot": _bitrot,
    "formats": _formats,
    "writers": _writers,
    "machine": _machine,
    "misdeeds": _misdeeds,
    "studies": _studies,
}


def main() -> int:
    """Do the parts asked for; a part that finds something says so, and the next one is done all the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--share", action="store_true", help="the share of `make test` instead of everything")
    parser.add_argument("--set", nargs=2, action="append", default=[], metavar=("COUNT", "N"), help="another number")
    args = parser.parse_args()
    unknown = set(args.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    for name, number in args.set:
        setattr(counts, name, dataclasses.replace(getattr(counts, name), full=int(number)))
    failed = 0
    for name in args.parts or PARTS:
        begin = time.monotonic()
        try:
            said = PARTS[name](args.seed, not args.share)
        except AssertionError as error:
            failed += 1
            said = f"FAILED: {error}"
        print(f"{name}: {said} [{time.monotonic() - begin:.0f} s, seed {args.seed}]", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
