"""Every picture: the same bytes, nothing from outside, what its statement returns and nothing else, any cohort."""

import hashlib
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from enfold.cli.main import main as enfold
from enfold.errors import UsageError
from enfold.report.model import Figure
from enfold.report.plots import catalogue, components, profile, responders, style, svg
from enfold.report.plots.plan import Plan, Row, drawn, figure, rows
from enfold.report.survival import kaplan_meier
from enfold.serve.build import current
from enfold.serve.study import answer, connect
from report.served import COHORTS, changed, study_of

pytest.importorskip("vl_convert")
SVG = "{http://www.w3.org/2000/svg}"
KEYS = [
    "swimmer", "responders", *(f"components-{a}" for a in ("sri4", "lldas", "clldas", "doris", "doris_off", "ccr",
    "ccr0")), "sledai-spider",
    *(f"kaplan-meier-{what}-of-response{a}".replace("time-of", "time-to") for what in ("time", "duration")
      for a in ("-doris_course", "-lldas_course", "")),
    "kaplan-meier-relapse-free-survival", "kaplan-meier-follow-up", "expansion-levels",
]  # fmt: skip
ALL = [*KEYS, "profile"]


@pytest.fixture(scope="module")
def plans(demo: Path) -> dict[str, Plan]:
    study = study_of(demo)
    with connect(current(demo)) as con:
        return {p.key: p for p in [*catalogue.plans(con, study), profile.plan(study, "DEMO-010")]}


@pytest.fixture(scope="module")
def pictures(demo: Path, plans: dict[str, Plan]) -> dict[str, Figure]:
    with connect(current(demo)) as con:
        return {k: figure(con, study_of(demo), p) for k, p in plans.items()}


def asked(demo: Path, sql: str) -> list[Row]:
    """Return the rows of a statement on the demo's serving file."""
    with connect(current(demo)) as con:
        return rows(con, sql)


def test_which_there_are(plans: dict[str, Plan]) -> None:
    assert list(plans) == ALL


@pytest.mark.parametrize("key", ALL)
def test_it_stands_alone_and_says_what_it_is(pictures: dict[str, Figure], key: str) -> None:
    picture = pictures[key]
    root = ElementTree.fromstring(picture.svg)
    assert root.findtext(f"{SVG}title") == picture.title
    assert root.findtext(f"{SVG}desc") == picture.alt
    assert picture.alt.startswith("Synthetic data.")
    texts = [t.text for t in root.iter(f"{SVG}text")]
    assert style.SYNTHETIC in texts
    assert any("Days since" in (t or "") or "W12" in (t or "") for t in texts)
    assert not [
        e.tag
        for e in root.iter()
        if e.tag.removeprefix(SVG) in ("script", "image", "a", "use", "style", "foreignObject")
    ]
    assert "href" not in picture.svg.replace("http://www.w3.org/1999/xlink", "")
    assert "NaN" not in picture.svg
    assert {e.get("id") for e in root.iter() if e.get("id")} == {"title", "desc"}  # others count up within a process
    assert {e.get("font-family") for e in root.iter() if e.get("font-family")} == {style.FONT}


@pytest.mark.parametrize("key", ALL)
def test_its_statement_gives_all_that_is_drawn(
    demo: Path, plans: dict[str, Plan], pictures: dict[str, Figure], key: str
) -> None:
    shown = answer(demo, pictures[key].sql).to_pylist()
    assert drawn(plans[key], shown, study_of(demo)).svg == pictures[key].svg


@pytest.mark.parametrize("key", ALL)
def test_less_data_gives_another_picture(
    demo: Path, plans: dict[str, Plan], pictures: dict[str, Figure], key: str
) -> None:
    found = asked(demo, plans[key].sql)
    assert drawn(plans[key], found[: len(found) // 2], study_of(demo)).svg != pictures[key].svg


def fills(picture: Figure) -> Counter[str]:
    """Return how many shapes have each fill, the legend's among them."""
    return Counter(e.get("fill", "") for e in ElementTree.fromstring(picture.svg).iter(f"{SVG}path"))


def test_as_many_marks_as_verdicts(demo: Path, pictures: dict[str, Figure]) -> None:
    count = "SELECT status, count(*) AS n FROM verdicts WHERE alias = '{}' AND criterion LIKE '{}' GROUP BY status"
    by_status = {r["status"]: r["n"] for r in asked(demo, count.format("sri4", "overall"))}
    assert fills(pictures["swimmer"])[style.BLUE] == by_status["met"] + 1  # and the legend's
    cells = {r["status"]: r["n"] for r in asked(demo, count.format("doris", "%"))}
    shapes = list(ElementTree.fromstring(pictures["components-doris"].svg).iter(f"{SVG}path"))
    crosses = sum(1 for e in shapes if e.get("stroke") == style.BLACK and "M" in (e.get("d") or "")[1:])
    marks = sum(1 for t in ElementTree.fromstring(pictures["components-doris"].svg).iter(f"{SVG}text") if t.text == "?")
    assert (crosses, marks) == (cells["not_met"], cells["not_evaluable"])


def test_areas_of_the_heat_map_are_the_counts_of_its_answers(demo: Path, pictures: dict[str, Figure]) -> None:
    cells = {
        r["status"]: r["n"]
        for r in asked(demo, "SELECT status, count(*) AS n FROM verdicts WHERE alias = 'sri4' GROUP BY status")
    }
    area: Counter[str] = Counter()
    for e in ElementTree.fromstring(pictures["components-sri4"].svg).iter(f"{SVG}path"):
        box = re.fullmatch(r"M([\d.]+),([\d.]+)h([\d.]+)v([\d.]+)h-([\d.]+)Z", e.get("d") or "")
        if box and e.get("stroke") is None:
            area[e.get("fill") or ""] += round(float(box[3]) * float(box[4]) / (17 * 18))  # px of a cell
    assert {s: area[components.STATUS[s]] for s in cells} == cells


def test_counts_of_responders_are_those_of_the_abstract(demo: Path, plans: dict[str, Plan]) -> None:
    found = {(r["alias"], r["visit_id"], r["answer"]): r["patients"] for r in asked(demo, plans["responders"].sql)}
    counted = asked(
        demo,
        "SELECT alias, visit_id, status, count(*) AS n FROM verdicts JOIN asked USING (alias) WHERE grain = 'visit'"
        " AND criterion = 'overall' AND met_means = 'response' GROUP BY ALL",
    )
    words = {
        "met": "response",
        "not_met": "no response",
        "not_evaluable": "not evaluable",
        "not_applicable": "not due yet",
    }
    assert found == {(r["alias"], r["visit_id"], words[r["status"]]): r["n"] for r in counted}


def test_curves_are_those_of_the_tables(demo: Path, plans: dict[str, Plan]) -> None:
    from enfold.report.tables import tables

    with connect(current(demo)) as con:
        printed = {t.key: t for t in tables(con, study_of(demo))}
    for key in ("time-to-response", "duration-of-response", "relapse-free-survival", "follow-up"):
        found = asked(demo, plans[f"kaplan-meier-{key}"].sql)
        whole = asked(demo, printed[key].sql)
        assert found == [r for r in whole if r["series"] in {f["series"] for f in found}]
        assert found
        observed = [(r["day"], True) for r in found for _ in range(r["events"])]
        observed += [(r["day"], False) for r in found for _ in range(r["censored"])]
        steps = kaplan_meier(observed)
        assert [(s.time, s.at_risk, s.events, s.censored) for s in steps] == [
            (r["day"], r["at_risk"], r["events"], r["censored"]) for r in found
        ]


def test_at_risk_numbers_stand_under_the_axis(pictures: dict[str, Figure]) -> None:
    texts = [
        t.text for t in ElementTree.fromstring(pictures["kaplan-meier-relapse-free-survival"].svg).iter(f"{SVG}text")
    ]
    after = texts[: texts.index("At risk")]
    assert after[-8:] == ["22", "22", "20", "14", "6", "3", "2", "1"]


def test_samples_below_quantification_are_drawn_as_open_triangles(demo: Path, pictures: dict[str, Figure]) -> None:
    ((below, all_of),) = (
        r.values()
        for r in asked(
            demo,
            "SELECT count(*) FILTER (comparator = '<') AS k, count(*) AS n FROM findings WHERE item = 'CAR_COPIES'",
        )
    )
    shapes = ElementTree.fromstring(pictures["expansion-levels"].svg).iter(f"{SVG}path")
    drawn_shapes = Counter((e.get("fill"), e.get("stroke")) for e in shapes)
    assert drawn_shapes["white", style.BLACK] == below + 1  # and the legend's
    points = sum(n for (fill, _), n in drawn_shapes.items() if fill in style.LEVELS[:3])
    assert points == all_of - below + 3  # the legend of three dose levels


ALIKE = {k for k in KEYS if k.endswith("_course") or ("components" in k and k != "components-sri4")}  # of one maker


@pytest.mark.parametrize("cohort", COHORTS)
def test_every_cohort_has_a_defined_picture(demo: Path, cohort: str) -> None:
    con, study = changed(demo, *COHORTS[cohort]), study_of(demo)
    if cohort != "nobody":
        subject = con.execute("SELECT min(subject_id) FROM subjects").fetchall()[0][0]
        assert "NaN" not in figure(con, study, profile.plan(study, subject)).svg
    planned = catalogue.plans(con, study)
    assert [p.key for p in planned if "components" not in p.key] == [k for k in KEYS if "components" not in k]
    found = [figure(con, study, p) for p in planned if p.key not in ALIKE]
    assert len(found) >= 8
    for picture in found:
        ElementTree.fromstring(picture.svg)
        assert not re.search(r"NaN|undefined|null", picture.svg + picture.alt + " ".join(picture.footnotes)), (
            picture.key
        )


SENTENCES = {
    ("nobody", "swimmer"): "No patient is known to have been infused and followed.",
    ("nobody", "responders"): "No response has been judged at a planned visit.",
    ("nobody", "sledai-spider"): "No patient has a SLEDAI-2K total both at baseline and after infusion.",
    ("nobody", "kaplan-meier-relapse-free-survival"): "No patient has a time to relapse, death or last contact.",
    ("no sample", "expansion-levels"): "No level of the cells has been measured.",
    (
        "two units",
        "expansion-levels",
    ): "Levels of the cells come in several units (copies/mL, copies/ug): they are not drawn on one axis.",
    ("nobody responds", "kaplan-meier-duration-of-response"): "No patient has responded.",
    ("nothing due", "components-sri4"): "No criterion of sri4 has been judged at a planned visit.",
}


@pytest.mark.parametrize(("cohort", "key"), SENTENCES)
def test_where_there_is_nothing_to_draw_a_sentence_says_so(demo: Path, cohort: str, key: str) -> None:
    con, study = changed(demo, *COHORTS[cohort]), study_of(demo)
    sentence = SENTENCES[cohort, key]
    picture = catalogue.figure_of(con, study, key)
    assert picture.alt == f"Synthetic data. {sentence}"
    texts = "".join(f" {t}" for t in ElementTree.fromstring(picture.svg).itertext())
    assert " ".join(sentence.split()) in " ".join(texts.split())


def test_curves_of_extreme_cohorts(demo: Path) -> None:
    study = study_of(demo)

    def alt(cohort: str) -> str:
        return catalogue.figure_of(changed(demo, *COHORTS[cohort]), study, "kaplan-meier-relapse-free-survival").alt

    assert "22 patients, 0 events, 22 censored. Median not reached" in alt("everybody censored")
    assert "22 patients, 22 events, 0 censored. Median 90 days, 95 % limits 90 to 90" in alt(
        "everybody relapses on one day"
    )
    assert "22 patients, 22 events, 0 censored. Median 0 days" in alt("everybody dies on day 0")


def test_a_study_that_is_not_synthetic_has_no_such_label(demo: Path, plans: dict[str, Plan]) -> None:
    from dataclasses import replace

    with connect(current(demo)) as con:
        real = figure(con, replace(study_of(demo), synthetic=False), plans["swimmer"])
    assert "SYNTHETIC" not in real.svg
    assert not real.alt.startswith("Synthetic")


def test_text_of_the_study_is_text_of_the_picture(demo: Path) -> None:
    from dataclasses import replace

    study = study_of(demo)
    nasty = '<script>alert(1)</script>" & {{x}} $${1}'
    levels = tuple(replace(level, label=f"{level.id} {nasty}") for level in study.dose_levels)
    con = changed(demo)
    for key in ("swimmer", "expansion-levels"):
        picture = catalogue.figure_of(con, replace(study, dose_levels=levels), key)
        root = ElementTree.fromstring(picture.svg)
        assert not list(root.iter(f"{SVG}script"))
        assert any(nasty[:20] in (t.text or "") for t in root.iter(f"{SVG}text"))


def test_altair_accepts_every_specification(demo: Path, plans: dict[str, Plan]) -> None:
    import json

    from altair.vegalite.v6.schema.core import TopLevelSpec

    for key in (
        "swimmer",
        "responders",
        "components-ccr",
        "sledai-spider",
        "kaplan-meier-follow-up",
        "expansion-levels",
        "profile",
    ):
        drawing = plans[key].draw(asked(demo, plans[key].sql)[:40])
        assert isinstance(drawing.spec, dict)
        spec = style.titled(drawing.spec, "t", synthetic=True)
        TopLevelSpec.from_dict(json.loads(json.dumps(spec, default=float)), validate=True)


def test_the_same_bytes_in_another_process_time_zone_and_hash_seed(demo: Path, pictures: dict[str, Figure]) -> None:
    code = (
        "import sys, hashlib; from pathlib import Path; from enfold import study; from enfold.report.plots import catalogue\n"
        "from enfold.serve.build import current; from enfold.serve.study import connect\n"
        "folder = Path(sys.argv[1]); st = study.parse((folder / 'study.toml').read_text())\n"
        "for f in catalogue.figures(connect(current(folder)), st): print(f.key, hashlib.sha256(f.svg.encode()).hexdigest())"
    )
    env = {**os.environ, "TZ": "Pacific/Auckland", "PYTHONHASHSEED": "7", "LC_ALL": "C", "LANG": "de_DE.UTF-8"}
    done = subprocess.run([sys.executable, "-c", code, str(demo)], env=env, capture_output=True, text=True, check=True)
    here = [f"{k} {hashlib.sha256(pictures[k].svg.encode()).hexdigest()}" for k in KEYS]
    assert done.stdout.splitlines() == here


@pytest.mark.parametrize("key", ALL)
def test_its_command_writes_it(
    demo: Path, pictures: dict[str, Figure], key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (tmp_path / "STUDY").symlink_to(demo)
    monkeypatch.chdir(tmp_path)
    assert enfold(shlex.split(pictures[key].command)[1:]) == 0
    file = tmp_path / "profile.svg"
    assert (file.read_text("utf-8") if file.exists() else capsys.readouterr().out) == pictures[key].svg


def test_figures_are_listed_and_an_unknown_one_is_told(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert enfold(["report", str(demo), "--figure", "list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == KEYS
    assert enfold(["report", str(demo), "--figure", "nothing"]) == UsageError.exit_code
    assert "Figures of this run: swimmer, responders," in capsys.readouterr().err
    assert enfold(["report", str(demo), "--picture", "x.svg"]) == UsageError.exit_code
    assert "--figure KEY" in capsys.readouterr().err


def luminance(color: str) -> float:
    if color == "white":
        return 1.0
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def test_answers_differ_in_grey_print() -> None:
    shades = [luminance(components.STATUS[s]) for s in ("met", "not_met", "not_applicable", "not_evaluable")]
    assert all(b - a > 0.15 for a, b in pairwise(shades)), shades
    shades = [
        luminance(responders.ANSWERS[a][0]) for a in ("response", "no response", "not applicable", "not evaluable")
    ]
    assert all(b - a > 0.15 for a, b in pairwise(shades)), shades


def test_png_of_a_picture(pictures: dict[str, Figure]) -> None:
    image = svg.png(pictures["responders"].svg)
    assert image.startswith(b"\x89PNG")
    assert image == svg.png(pictures["responders"].svg)


def test_rows_are_never_thinner_than_two_pixels_nor_higher_than_a_page() -> None:
    for n in (0, 1, 22, 60, 200, 400):
        assert 2 <= style.row_height(n) <= 18
        assert n * style.row_height(n) <= 900
