"""The report as one file: nothing loaded, nothing run, nothing hidden; read by a browser that has no script."""

import base64
import hashlib
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from enfold.cli.main import main as enfold
from enfold.errors import UsageError
from enfold.report import html
from enfold.report.model import Figure, Table
from enfold.report.page import links, page
from enfold.report.plots.catalogue import plans
from enfold.report.report_page import laid_out, report_page
from enfold.report.tables import tables
from enfold.serve.build import current
from enfold.serve.study import connect
from report.browsing import NASTY, Read, axe_finds, opened
from report.served import study_of

pytest.importorskip("vl_convert")


@pytest.fixture(scope="module")
def written(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    assert enfold(["report", str(demo), "--html", str(path)]) == 0
    return path


def test_the_same_run_gives_the_same_bytes(demo: Path, written: Path) -> None:
    with connect(current(demo)) as con:
        assert report_page(con).encode() == written.read_bytes()


def test_everything_is_in_it_with_how_to_get_it_again(demo: Path, written: Path) -> None:
    read = Read(written.read_text("utf-8"))
    study = study_of(demo)
    with connect(current(demo)) as con:
        made, pictures = tables(con, study), plans(con, study)
        ((run,),) = con.execute("SELECT run FROM served").fetchall()
    anchors = {a.get("id") for _, a in read.elements}
    for part in (*made, *pictures):
        assert part.key in anchors
        assert {"href": f"#{part.key}"} in read.all("a")
        assert part.title in read.text
        assert part.sql in read.text
    for table in made:
        assert all(note in read.text for note in table.footnotes)
        assert all(cell in read.text for row in table.rows for cell in row)
        assert table.command in read.text
    assert all(f"enfold report STUDY --figure {p.key}" in read.text for p in pictures)
    assert all(e.id in read.text for e in study.estimands)
    assert run in read.text
    assert study.title in read.text
    assert "SYNTHETIC data: generated for demonstration; no real patient is in it." in read.text
    assert len(read.all("img")) == len(pictures)
    assert all((a["alt"] or "").startswith("Synthetic data.") for a in read.all("img"))


def test_nothing_is_loaded_or_run(written: Path) -> None:
    content = written.read_text("utf-8")
    read = Read(content)
    policy = next(a for a in read.all("meta") if a.get("http-equiv") == "Content-Security-Policy")["content"] or ""
    style = re.search(r"<style>(.*?)</style>", content, re.S)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    assert not {t for t, _ in read.elements} & {"script", "link", "iframe", "object", "embed", "form", "video", "base"}
    for _, attributes in read.elements:
        assert not [k for k in attributes if k.startswith("on") or k == "style"]
        for key in ("src", "href"):
            assert (attributes.get(key) or "#").startswith(("#", "data:image/svg+xml;base64,"))
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_ids_and_names_of_regions_are_unique(written: Path) -> None:
    read = Read(written.read_text("utf-8"))
    for key in ("id", "aria-label"):
        found = [a[key] for _, a in read.elements if a.get(key)]
        assert len(found) == len(set(found))


def test_headings_descend_by_one(written: Path) -> None:
    levels = [int(t[1]) for t, _ in Read(written.read_text("utf-8")).elements if re.fullmatch("h[1-6]", t)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))


def test_whatever_a_study_says_is_text(demo: Path) -> None:
    study = replace(study_of(demo), title=NASTY, id=NASTY)
    pins: dict[str, Any] = {
        "position": 1, "recorded_until": NASTY, "occurred_until": None, "head": NASTY, "study": "", "schemas": "",
        "lock": "", "libraries": {NASTY: NASTY}, "tasks": [[NASTY] * 7],
    }  # fmt: skip
    table = Table(NASTY, NASTY, NASTY, (NASTY, NASTY), ((NASTY, NASTY),), (NASTY,), NASTY, NASTY)
    picture = Figure(NASTY + "2", NASTY, "<svg/>", NASTY, (NASTY,), NASTY, NASTY)
    read = Read(laid_out(study, NASTY, pins, [table], [picture]))
    tags = {t for t, _ in read.elements}
    assert not tags & {"script", "b"}
    assert read.text.count("alert('x')") >= 10


def test_a_page_of_data_that_are_not_synthetic_says_nothing_of_the_kind() -> None:
    made = page("Title", html.paragraph("x"), contents=links({"a": "b"}), run="r", synthetic=False)
    assert "synthetic" not in Read(made).text.lower().replace(".synthetic {", "")


def test_an_existing_file_is_left_alone(demo: Path, written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = written.read_bytes()
    assert enfold(["report", str(demo), "--html", str(written)]) == UsageError.exit_code
    assert "exists" in capsys.readouterr().err
    assert written.read_bytes() == before


@pytest.mark.parametrize("script", [False, True])
def test_no_request_leaves_and_the_policy_is_never_broken(chromium: Any, written: Path, script: bool) -> None:
    with opened(chromium, written, script=script) as (sheet, seen):
        sheet.wait_for_load_state("networkidle")
        assert seen == [written.as_uri()]


def test_pictures_are_drawn_and_sql_unfolds_without_script(chromium: Any, written: Path) -> None:
    with opened(chromium, written, script=False) as (sheet, _):
        picture = sheet.locator("#swimmer img")
        box = picture.bounding_box()
        assert box["height"] > 300
        sql = sheet.locator("#swimmer details", has_text="Show SQL").locator("code")
        assert not sql.is_visible()
        sheet.locator("#swimmer summary", has_text="Show SQL").click()
        assert sql.is_visible()
        assert sql.inner_text().startswith("WITH infused AS")
        command = sheet.locator("#swimmer details", has_text="Show command")
        command.locator("summary").press("Enter")  # by keyboard too
        assert command.locator("code").inner_text() == "enfold report STUDY --figure swimmer"


def test_the_skip_link_comes_first(chromium: Any, written: Path) -> None:
    with opened(chromium, written) as (sheet, _):
        sheet.keyboard.press("Tab")
        assert sheet.evaluate("document.activeElement.className") == "skip"
        sheet.keyboard.press("Enter")
        assert sheet.evaluate("location.hash") == "#content"


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_hangs_over_the_edge(chromium: Any, written: Path, width: int) -> None:
    with opened(chromium, written, width=width) as (sheet, _):
        sheet.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert sheet.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(chromium: Any, written: Path, width: int) -> None:
    with opened(chromium, written, width=width) as (sheet, _):
        assert axe_finds(sheet) == ""


def test_it_prints_on_sheets_that_each_say_synthetic(chromium: Any, written: Path, tmp_path: Path) -> None:
    with opened(chromium, written) as (sheet, _):
        sheet.pdf(path=tmp_path / "report.pdf", prefer_css_page_size=True, format="A4")
        sheet.emulate_media(media="print")
        assert not sheet.locator("nav").is_visible()
        assert not sheet.locator("#swimmer summary").first.is_visible()
        assert sheet.evaluate("getComputedStyle(document.querySelector('thead')).display") == "table-header-group"
    data = (tmp_path / "report.pdf").read_bytes()
    assert 15 < len(re.findall(rb"/Type\s*/Page\b", data)) < 60
    pdftotext = Path("/usr/bin/pdftotext")
    if pdftotext.exists():
        import subprocess

        printed = subprocess.run([pdftotext, tmp_path / "report.pdf", "-"], capture_output=True, text=True, check=True)
        sheets = printed.stdout.rstrip("\f").split("\f")
        assert all("SYNTHETIC data: no real patient" in s for s in sheets)
