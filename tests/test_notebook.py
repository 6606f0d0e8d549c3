"""The notebook of docs/ runs on the demo trial, and says what the report says."""

import importlib.util
from decimal import Decimal
from pathlib import Path

import enfold as package
from enfold.report.proportion import proportion_interval
from enfold.report.rounding import rounded

PATH = Path(__file__).parents[1] / "docs" / "notebook.py"


def test_the_notebook_runs_and_its_numbers_are_the_reports(demo: Path) -> None:
    spec = importlib.util.spec_from_file_location("notebook", PATH)
    assert spec is not None
    assert spec.loader is not None
    notebook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(notebook)
    _, found = notebook.app.run(defs={"folder": str(demo)})
    assert len(found["by_visit"]) == 6
    sources = found["sources"]
    assert sources.num_rows > 0
    assert sources.column("source_row").null_count == 0
    ((met, judged),) = package.open(demo).sql(
        "SELECT count(*) FILTER (status = 'met'), count(*) FILTER (status IN ('met', 'not_met'))"
        " FROM responses_by_visit WHERE alias = $alias AND visit_id = 'W12'",
        params={"alias": "sri4"},
    ).fetchall()  # fmt: skip
    interval = proportion_interval(met, judged, Decimal("0.95"))
    assert interval is not None
    low, high = (rounded(100 * limit) for limit in interval)
    assert f"{met}/{judged} (95 % interval {low} to {high} %)" in found["said"]
