"""From interpreter to result on the demo: `python tests/bench/startup.py [times]`, part of `make bench`.

`enfold run` of the synthetic demo trial in a process of its own, every shard worked: seconds until the verdicts are
written, and until the command has ended, which has made the serving file as well. Beside it what an interpreter takes
to start and import the libraries that a run cannot do without. Medians.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import cohort

LIBRARIES = "import apache_beam, duckdb, numpy, pyarrow.compute, pyarrow.parquet"
COMMAND = "import sys; from enfold.cli.main import command; sys.exit(command())"


def measure(study: Path) -> dict[str, float]:
    """Run once; the verdicts are written when the run has moved its pointer."""
    pointer = study / "runs" / "current.json"
    begun, begin = time.time(), time.perf_counter()
    subprocess.run([sys.executable, "-c", COMMAND, "run", str(study), "--again"], capture_output=True, check=True)
    whole = time.perf_counter() - begin
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", LIBRARIES], capture_output=True, check=True)
    return {
        "verdicts": pointer.stat().st_mtime - begun,
        "command": whole,
        "libraries alone": time.perf_counter() - begin,
    }


def main() -> None:
    """Measure and print."""
    times = int(sys.argv[1]) if sys.argv[1:] else 7
    with tempfile.TemporaryDirectory(prefix="enfold-bench-") as folder:
        study = cohort.demo(Path(folder))
        found = [measure(study) for _ in range(times)]
    print(json.dumps({name: round(median(f[name] for f in found), 2) for name in found[0]}))


if __name__ == "__main__":
    main()
