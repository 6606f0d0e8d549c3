"""What a report costs: `python tests/bench/report.py [patients …]`, part of `make bench`.

The serving file of the synthetic demo trial, its patients copied under ids of their own until there are so many. Each
report is made in a process of its own, the interpreter's start included; time on the wall and on the processors, and
the most memory held. The tables are checked: every count of a cohort of k copies is k times that of the demo.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cohort
import duckdb

from enfold import schema
from enfold.cli.main import main as enfold
from enfold.run.shard import peak_memory
from enfold.serve import layers
from enfold.serve.build import create_views, current
from enfold.serve.study import connect

FIGURES = "all, and the figures that JSON holds"
SINGLE = ("asked", "levels", "rules", "run_pins", "served", "analysis_set_rules")  # not of subjects


def enlarge(small: Path, large: Path, copies: int) -> None:
    """Write a serving file in which each subject of another stands `copies` times."""
    con = duckdb.connect(str(large))
    con.execute("SET TimeZone = 'UTC'")
    con.execute(f"ATTACH '{small}' AS demo (READ_ONLY)")
    layers.attach(con, small, "demo")
    for name in (*schema.state(), *schema.results(), *SINGLE):
        columns = {c for c, *_ in con.execute(f'DESCRIBE demo."{name}"').fetchall()}
        if name in SINGLE or "subject_id" not in columns:
            con.execute(f'CREATE TABLE "{name}" AS FROM demo."{name}"')
            continue
        own = "subject_id || '-' || lpad(k::VARCHAR, 6, '0') AS subject_id"
        also = ", occasion_id || '-' || k AS occasion_id" if "occasion_id" in columns else ""
        con.execute(f'CREATE TABLE "{name}" AS SELECT * REPLACE ({own}{also}) FROM range({copies}) c(k), demo."{name}"')
    con.execute("DETACH demo")
    con.execute("CREATE SCHEMA layers")
    con.execute("CREATE TABLE layers.files (layer VARCHAR, sha256 VARCHAR)")  # none: the rows are here
    create_views(con)
    con.close()


def one(file: str, key: str | None) -> None:
    """Make one report and say what it cost; runs in a process of its own."""
    from enfold.report.abstract import figures_of
    from enfold.report.question import source
    from enfold.report.tables import sheets

    con = connect(Path(file))
    made = sheets(con, source(con).study, only=None if key == FIGURES else key)
    if key == FIGURES:
        figures_of(con)
    counts = {
        f"{s.key}|{line.label}|{c}": [int(v.value) for v in cell.values if v.method == "count" and v.value]
        for s in made for line in s.lines for c, cell in enumerate(line.cells)
    }  # fmt: skip
    used = resource.getrusage(resource.RUSAGE_SELF)
    said = {"tables": len(made), "cpu": used.ru_utime + used.ru_stime, "mib": peak_memory() / 2**20, "counts": counts}
    print(json.dumps(said))


def measured(file: Path, key: str | None) -> dict[str, object]:
    """Return what a report of a serving file costs."""
    started = time.perf_counter()
    words = [sys.executable, __file__, "--one", str(file), *([key] if key else [])]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return {"wall": time.perf_counter() - started, **json.loads(done.stdout)}


def main(sizes: list[int]) -> None:
    """Measure each size: all tables, JSON, one table."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        study = cohort.demo(root)
        assert enfold(["run", str(study)]) == 0
        small = current(study)
        base = measured(small, None)["counts"]
        for patients in sizes:
            copies = max(1, round(patients / 22))
            file = root / f"{patients}.duckdb"
            enlarge(small, file, copies)
            for key in (None, FIGURES, "response-sri4"):
                found = measured(file, key)
                counts = found.pop("counts")
                wrong = [k for k, n in counts.items() if n != [copies * m for m in base[k]]]  # type: ignore[attr-defined,index]
                # the tests of associations count tests, not patients
                assert not [k for k in wrong if not k.startswith("abstract|association")], wrong
                said = {k: round(v, 2) if isinstance(v, float) else v for k, v in found.items()}
                print(json.dumps({"patients": 22 * copies, "table": key or "all", **said}), flush=True)
            file.unlink()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None)
    else:
        main([int(n) for n in sys.argv[1:]] or [22, 20_000])
