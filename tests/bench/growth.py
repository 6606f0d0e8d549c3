"""How the time of a run grows: `python tests/bench/growth.py [FIGURE.svg]`, part of `make bench`.

Four series, each changing one thing from the same middle: events (patients of the same length), subjects (the same events
in more and shorter histories), segments (the same events landed in more commits, never packed) and corrections. The time
is that of the fold with digests verified and made, each point in a process of its own, the best of three. The exponent is
the slope of log time over log size: 1 is linear. Prints a table as JSON and writes the plot.
"""

import json
import math
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import cohort
import pyarrow as pa
import pyarrow.compute as pc

from enfold import schema
from enfold.cli.main import main as enfold
from enfold.ledger.ledger import Draft, Ledger
from run import one, without_endpoints

MIDDLE = 250_000  # events
EVENTS = (125_000, 250_000, 500_000, 1_000_000)
THINNED = (8, 4, 2, 1)  # of the assessments of a patient one in so many is kept
COMMITS = (1, 10, 100, 400)
CORRECTED = (0.0, 0.05, 0.1, 0.2, 0.4)
TIMES = 3


def fewer(source: Path, target: Path, keep: int) -> Path:
    """Write a copy of the demo trial in which one assessment in `keep` is left."""
    shutil.copytree(source.parent, target)
    ledger = Ledger(target / source.name / "ledger")
    rows = {t: ledger.read(t) for t in schema.events()}
    shutil.rmtree(target / source.name)
    order = pa.array(range(rows["assessment"].num_rows))
    rows["assessment"] = rows["assessment"].filter(pc.equal(pc.bit_wise_and(order, keep - 1), 0))
    ledger = Ledger.create(target / source.name / "ledger")
    batches = {t: r.select(schema.event_arrow(t).names) for t, r in rows.items() if r.num_rows}
    ledger.append(lambda _: Draft(batches), kind="landing", author="bench", reason="bench", now=lambda: cohort.AT)
    return target / source.name


def correct(where: Path, share: float) -> None:
    """Correct a share of the assessments of a study, in one commit."""
    ledger = Ledger(where / "ledger")
    rows = ledger.read("assessment").select(schema.event_arrow("assessment").names)
    rows = rows.slice(0, int(rows.num_rows * share))
    names = rows.column("event_id")
    old = pa.ListArray.from_arrays(pa.array(range(len(names) + 1), pa.int32()), names.combine_chunks())
    new = pc.binary_join_element_wise(pa.scalar("c"), names, "-")
    for name, column in (("event_id", new), ("supersedes", old)):
        place = rows.schema.get_field_index(name)
        rows = rows.set_column(place, rows.schema.field(name), column)
    ledger.append(
        lambda _: Draft({"assessment": rows}), kind="landing", author="bench", reason="bench", now=lambda: cohort.AT
    )


def in_commits(source: Path, target: Path, commits: int) -> int:
    """Land the events of a study again, in so many commits that each hold some of every subject; return the segments."""
    whole = Ledger(source / "ledger")
    rows = {t: whole.read(t).select(schema.event_arrow(t).names) for t in schema.events()}
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("ledger"))
    ledger = Ledger.create(target / "ledger")
    assert enfold(["land", str(target), str(target / "study.toml"), "--author", "bench"]) == 0
    for n in range(commits):
        parts = {t: r.take(pa.array(range(n, r.num_rows, commits), pa.int64())) for t, r in rows.items()}
        draft = Draft({t: part for t, part in parts.items() if part.num_rows})
        ledger.append(lambda _, d=draft: d, kind="landing", author="bench", reason="bench", now=lambda: cohort.AT)
    return len(ledger.segments)


def seconds(where: Path, root: Path) -> float:
    """Return the best time of a fold of every shard."""
    empty = without_endpoints(where, root / f"{where.name}-empty")
    found = min(one("fold", empty)["seconds"] for _ in range(TIMES))
    shutil.rmtree(empty)
    shutil.rmtree(where)
    return float(found)


def series(root: Path) -> dict[str, list[tuple[float, float]]]:
    """Measure every series: pairs of size and seconds."""
    small = cohort.demo(root / "small")
    out: dict[str, list[tuple[float, float]]] = {"events": [], "subjects": [], "segments": [], "corrections": []}
    for events in EVENTS:
        count = cohort.enlarge(small, root / f"events{events}", events)
        out["events"].append((count, seconds(root / f"events{events}", root)))
    for keep in THINNED:
        thin, made = fewer(small, root / f"thin{keep}", keep), root / f"subjects{keep}"
        cohort.enlarge(thin, made, MIDDLE)
        subjects = len(pc.unique(Ledger(made / "ledger").read("enrolment").column("subject_id")))
        out["subjects"].append((subjects, seconds(made, root)))
    cohort.enlarge(small, root / "middle", MIDDLE)
    for commits in COMMITS:
        made = root / f"commits{commits}"
        count = in_commits(root / "middle", made, commits)
        out["segments"].append((count, seconds(made, root)))
    for share in CORRECTED:
        made = root / f"corrected{share}"
        count = cohort.enlarge(small, made, MIDDLE)
        if share:
            correct(made, share)
        out["corrections"].append((share * count, seconds(made, root)))
    return out


def exponent(points: list[tuple[float, float]]) -> float:
    """Return the least-squares slope of log seconds over log size."""
    logs = [(math.log(size), math.log(time)) for size, time in points if size > 0]
    x, y = (sum(v) / len(logs) for v in zip(*logs, strict=True))
    return sum((a - x) * (b - y) for a, b in logs) / sum((a - x) ** 2 for a, _ in logs)


def plot(found: dict[str, list[tuple[float, float]]], path: Path) -> None:
    """Draw the series, both axes logarithmic, with the fitted lines' slopes in the titles."""
    import altair as alt

    times = [t for points in found.values() for _, t in points]
    charts = []
    for name, points in found.items():
        rows = [{"size": s, "seconds": t} for s, t in points if s > 0]
        base = alt.Chart(alt.Data(values=rows), title=f"{name}: exponent {exponent(points):.2f}", width=240, height=180)
        axes = (
            alt.X("size:Q", scale=alt.Scale(type="log", nice=False), title=name),
            alt.Y("seconds:Q", scale=alt.Scale(type="log", domain=[min(times), max(times)]), title="seconds"),
        )
        charts.append(base.mark_line(color="#0072B2", point={"color": "#0072B2", "size": 50}).encode(*axes))
    alt.concat(*charts, columns=2).resolve_scale(x="independent", y="independent").save(str(path))


def main() -> None:
    """Measure, print and draw."""
    root = Path(tempfile.mkdtemp(prefix="enfold-bench-"))
    try:
        found = series(root)
    finally:
        shutil.rmtree(root)
    said: dict[str, Any] = {n: {"points": p, "exponent": round(exponent(p), 2)} for n, p in found.items()}
    print(json.dumps(said, indent=1), flush=True)
    if len(sys.argv) > 1:
        plot(found, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
