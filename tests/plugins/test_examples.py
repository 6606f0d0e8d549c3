"""Every row of every worked-example page that a shipped plugin brings, and the reader of such pages."""

from functools import cache
from pathlib import Path

import pytest

from enfold.evaluate.discover import Discovery, discover
from enfold.testing.course import Course
from enfold.testing.examples import Example, Outcome, examples, run

ROOT = Path(__file__).parents[2] / "plugins"
PAGES = sorted(ROOT.glob("*/src/*/*.md"))
CASES = [e for p in PAGES for e in examples(str(p.relative_to(ROOT)), p.read_text("utf-8"))]


@cache
def found() -> Discovery:
    return discover([p.name if p.name.startswith("enfold") else f"enfold-{p.name}" for p in ROOT.iterdir()])


@cache
def outcomes(page: str) -> dict[int, Outcome]:
    cases = [c for c in CASES if c.page == page]
    return {o.example.line: o for o in run(cases, found())}


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.page.rsplit('/', 1)[-1]}:{c.line} {c.case}")
def test_example(case: Example) -> None:
    assert outcomes(case.page)[case.line].wrong == ()


def test_every_endpoint_and_derivation_has_a_page() -> None:
    shown = {c.endpoint for c in CASES}
    without = {o.declaration.id for o in found().offered.values()} - shown
    assert without <= {"sledai_items", "pga", "background", "follow_up"}, without  # read by those that have one


PAGE = """
## `doris` at `W4`
```course
infusion d0T10:00 product=car role=study_product
W4 d30 PGA.PGA_0_3=0.2
```
| case | PGA `W4 PGA.PGA_0_3={}` | expected |
|---|---|---|
| passes | 0.49 | pga met |
| fails | 0.50 | pga met |
"""


def test_a_wrong_expectation_fails() -> None:
    good, bad = run(examples("page", PAGE), found())
    assert good.wrong == ()
    assert bad.wrong == ("W4 pga.status: expected met, got not_met",)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("| x | 0.49 |", "page:10: 2 cells under 3 headings"),
        ("| x | 0.49 | a b c |", "page:10: cannot read the expectation"),
    ],
)
def test_a_row_that_cannot_be_read_names_its_line(row: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        examples("page", "\n".join([*PAGE.splitlines()[:9], row]))


@pytest.mark.parametrize(
    "step",
    ["W9 PGA.PGA_0_3=1", "infusion d0 colour=red", "reading d2 SLEDAI.ARTHR=present", "drop review", "W4 d1 PGA.X=1"],
)
def test_a_step_that_cannot_be_read_is_refused(step: str) -> None:
    with pytest.raises(ValueError, match=r"`.+`"):
        Course("01").step(step)
