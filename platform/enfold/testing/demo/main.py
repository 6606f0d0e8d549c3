"""The demo, end to end: `python -m enfold.testing.demo.main [FOLDER]`."""

import csv
import shutil
import sys
from pathlib import Path

from enfold.cli.main import main as enfold
from enfold.shipped import package_file
from enfold.testing.demo.generate import generate


def write(folder: Path) -> list[Path]:
    """Write the synthetic trial's study file and one CSV per event type; return the CSV paths."""
    folder.mkdir(parents=True)
    (folder / "study.toml").write_text(package_file("testing/demo/study.toml"), "utf-8")
    paths = []
    for event_type, rows in sorted(generate().items()):
        columns = list(dict.fromkeys(k for row in rows for k in row))
        path = folder / f"{event_type}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
        paths.append(path)
    return paths


def main() -> int:
    """Create, land, run and report under `.demo/`, made anew each time."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".demo")
    shutil.rmtree(root, ignore_errors=True)
    print("SYNTHETIC demo trial: no real patient is in it.\n", flush=True)
    paths = write(root / "incoming")
    study = str(root / "study")
    (root / "published.toml").write_text(package_file("testing/demo/published.toml"), "utf-8")
    steps = [
        ["init", study, str(root / "incoming" / "study.toml"), "--author", "demo"],
        ["land", study, *map(str, paths), "--source", "demo-edc", "--author", "demo"],
        ["run", study],
        ["report", study, "--published", str(root / "published.toml")],
    ]
    for words in steps:
        print(f"$ enfold {' '.join(words)}", flush=True)
        code = enfold(words)
        if code:
            return code
        print(flush=True)
    print("Try next:")
    print(f'  .venv/bin/enfold sql {study} "SELECT * FROM adsl LIMIT 5"')
    print(f"  .venv/bin/enfold explain {study} sri4 --subject DEMO-022 --visit W12")
    print(f"  .venv/bin/enfold report {study} --html report.html")
    print(f"  .venv/bin/enfold subject {study} DEMO-010")
    print(f"  .venv/bin/enfold verify {study}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
