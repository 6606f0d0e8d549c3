"""A small study of awkward values: partial and zoned times, comparators, 17 digits, other scripts, empty and null."""

import csv
from pathlib import Path

from enfold.cli.main import main as enfold
from enfold.run import manifest

LAB = {"instrument": "LABORATORY", "unit": "mg/L", "subject_id": "A-1"}
ASCII = [
    {**LAB, "event_id": "1", "item": "CRP", "occurred": "2024", "value_number": "12345678.123456789"},
    {**LAB, "event_id": "2", "item": "CRP", "occurred": "2024-02", "value_number": "0.2", "comparator": "<"},
    {**LAB, "event_id": "3", "item": "CRP", "occurred": "2024-02-03T04:05+08:00", "value_number": "-0.000000001"},
    {**LAB, "event_id": "4", "item": "CRP", "occurred": "2024-02-03T04:05:06.5Z", "not_done": "true"},
    {**LAB, "event_id": "5", "item": "CRP", "occurred": "", "value_text": "", "value_number": "0"},
]
OTHER_SCRIPTS = {**LAB, "event_id": "6", "item": "CRP", "occurred": "2024-02-03", "value_text": "溶血, „trüb“; <0.2"}
ROWS = [*ASCII, OTHER_SCRIPTS]
ENROLMENT = {
    "event_id": "in-1", "subject_id": "A-1", "occurred": "2023-12", "sex": "F", "birth_date": "1988",
    "race": "NATIVE HAWAIIAN OR OTHER PACIFIC ISLANDER", "ethnicity": "NOT HISPANIC OR LATINO",
}  # fmt: skip


def land(rows: list[dict[str, str]], folder: Path, study_file: Path) -> Path:
    """Land rows of assessments, and the subject's enrolment, in a new study and run it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, found in (("enrolment", [ENROLMENT]), ("assessment", rows)):
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(k for r in found for k in r)))
            writer.writeheader()
            writer.writerows(found)
    study = folder / "study"
    assert enfold(["init", str(study), str(study_file), "--author", "test"]) == 0
    files = [str(folder / "enrolment.csv"), str(folder / "assessment.csv")]
    assert enfold(["land", str(study), *files, "--strict", "--author", "test"]) == 0
    assert enfold(["run", str(study)]) == 0
    return study


def digest(study: Path) -> str:
    """Return the cut digest of the run in force."""
    run = manifest.pointed(study / "runs" / "current.json")["run"]
    return str(manifest.read(study, run)["cut_digest"])
