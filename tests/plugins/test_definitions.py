"""A plugin brings an event type, an instrument, expectations and a mapping: landed, folded, judged, kept when it goes."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from enfold import schema
from enfold.cli.main import main as enfold
from enfold.errors import ConflictError, UsageError
from enfold.evaluate import isolation
from enfold.land.definitions import Brought, merged, read
from enfold.ledger.bundles import added_in, schema_bundle, shipped_bundle
from enfold.ledger.ledger import Ledger
from tests_support import STUDY

SOURCE = Path(__file__).parent / "lesions"
TR = "USUBJID,TRTESTCD,TRLNKID,VISIT,TRDTC,TRLOC,TRSTRESN\n"
ENROLMENT = "study_id,subject_id,event_id,occurred,sex\nS,01,e1,2026-01-01,F\nS,02,e2,2026-01-02,M\n"
INFUSION = "study_id,subject_id,event_id,occurred,product,role\nS,01,i1,2026-02-01T10:00,car,study_product\n"


def answer(capsys: pytest.CaptureFixture[str], code: int, *words: str) -> Any:
    capsys.readouterr()
    assert enfold([*words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    """The distribution, installed as a user would, on the path."""
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--disable-pip-version-check", "--target", str(target), str(SOURCE)], check=True)
    before = list(sys.path)
    sys.path.append(str(target))
    yield target
    isolation.end_all()
    sys.path[:] = before


def files(tmp_path: Path, **texts: str) -> list[str]:
    out = []
    for name, text in texts.items():
        path = tmp_path / f"{name}.csv"
        path.write_text(text)
        out.append(str(path))
    return out


def test_from_trust_to_report_and_on_without_the_plugin(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(tmp_path / "study")
    (tmp_path / "study.toml").write_text(
        STUDY.replace("plugins = []\n", "") + '[[endpoints]]\nendpoint = "lesion_sum"\n'
    )
    assert enfold(["init", folder, str(tmp_path / "study.toml")]) == 0
    assert enfold(["land", folder, *files(tmp_path, enrolment=ENROLMENT, infusion=INFUSION)]) == 0
    (lesions,) = files(
        tmp_path,
        tr=TR + "01,LDIAM,T1,W4,2026-03-01,LIVER,12.5\n01,LDIAM,T2,W4,2026-03-01,LUNG,7\n"
        "01,LDIAM,T3,W4,2026-03-01,BRAIN,9\n01,LDIAM,T4,W4,2026-03-01,LUNG,0.5\n01,OTHER,T1,W4,2026-03-01,LIVER,1\n",
    )  # fmt: skip

    assert enfold(["land", folder, lesions, "--mapping", "acme-lesions/tr"]) == 2  # not trusted: not known
    assert enfold(["plugin", "trust", folder, "acme-lesions"]) == 0
    listed = answer(capsys, 0, "plugin", "list", folder)
    (mine,) = (p for p in listed["plugins"] if p["name"] == "acme-lesions")
    assert (mine["trust"], mine["version"], mine["held_version"]) == ("pinned", "1.0", "1.0")
    assert mine["event_types"] == [{"name": "acme_lesions__lesion", "installed": True, "held": True}]
    assert [d["name"] for d in mine["instruments"]] == ["acme_lesions__WELLBEING"]
    assert [d["name"] for d in mine["suites"]] == ["acme-lesions/acme_lesions__lesion", "acme-lesions/assessment"]
    assert [d["name"] for d in mine["mappings"]] == ["acme-lesions/tr"]

    landed = answer(capsys, 3, "land", folder, lesions, "--mapping", "acme-lesions/tr")
    assert (landed["landed"], landed["refused"], landed["ignored"]) == (2, 2, {"other measures": 1})
    assert [(r["source_row"], r["code"]) for r in landed["refusals"]] == [
        (3, "not_in_codes"),
        (4, "acme_lesions__too_small"),
    ]
    scores = (
        "study_id,subject_id,event_id,occurred,visit_id,instrument,item,value_number\n"
        "S,01,a1,2026-03-01,W4,acme_lesions__WELLBEING,TODAY,1\n"
        "S,01,a2,2026-03-01,W4,PGA,PGA_0_3,1\n"
        "S,02,a3,2026-03-01,W4,acme_lesions__WELLBEING,TOMORROW,5\n"
    )
    landed = answer(capsys, 3, "land", folder, *files(tmp_path, assessment=scores))
    assert [(r["source_row"], r["code"]) for r in landed["refusals"]] == [(3, "unknown_item")]
    assert [(q["code"], q["event_ids"]) for q in landed["queries"]] == [("acme_lesions__very_low", ["a1"])]

    manifest = answer(capsys, 0, "run", folder)
    assert manifest["rows"]["acme_lesions__lesion"] == 2
    rows = answer(capsys, 0, "sql", folder, "SELECT status, value_number, compared FROM verdicts ORDER BY subject_id")
    assert [[str(v) for v in r.values()] for r in rows] == [
        ["met", "19.500000000", "TODAY"],
        ["not_evaluable", "None", "TODAY"],
    ]
    what = "SELECT visit_id, infusion_day, period, site FROM acme_lesions__lesion ORDER BY site"
    assert [[*r.values()] for r in answer(capsys, 0, "sql", folder, what)] == [
        ["W4", 28, 1, "liver"],
        ["W4", 28, 1, "lung"],
    ]
    assert enfold(["parcel", folder, "--out", str(tmp_path / "first.zip")]) == 0
    assert subprocess.run([sys.executable, str(tmp_path / "first.zip")], check=False).returncode == 0

    checked = answer(capsys, 0, "plugin", "check", "acme-lesions")
    asked = {(f["declaration"], f["law"]) for f in checked["findings"]}
    assert ("lesion_sum", "no foresight") in asked
    assert ("lesion_sum", "worked examples (3)") in asked
    assert ("expectations/acme-lesions/assessment.json", "can be computed") in asked

    isolation.end_all()
    shutil.rmtree(site)  # the plugin is uninstalled
    sys.path_importer_cache.clear()
    assert enfold(["verify", folder]) == 0
    (more,) = files(tmp_path, tr2=TR + "02,LDIAM,T1,W4,2026-03-01,LIVER,30\n")
    assert answer(capsys, 0, "land", folder, more, "--mapping", "acme-lesions/tr")["landed"] == 1
    gone = answer(capsys, 6, "run", folder)
    assert {f["message"] for f in gone["failures"]} >= {"the distribution is not installed"}
    assert gone["rows"]["acme_lesions__lesion"] == 3
    history = answer(capsys, 0, "history", folder, "--subject", "01")
    assert "acme_lesions__lesion" in json.dumps(history)
    assert enfold(["parcel", folder, "--out", str(tmp_path / "second.zip")]) == 0
    assert subprocess.run([sys.executable, str(tmp_path / "second.zip")], check=False).returncode == 0
    listed = answer(capsys, 6, "plugin", "list", folder)
    (mine,) = (p for p in listed["plugins"] if p["name"] == "acme-lesions")
    assert (mine["trust"], mine["version"], mine["held_version"]) == ("not installed", None, "1.0")
    assert mine["event_types"] == [{"name": "acme_lesions__lesion", "installed": False, "held": True}]
    assert schema.added() == schema.NOTHING  # nothing of it outlives a command
    assert added_in(tmp_path / "study") == Ledger(tmp_path / "study" / "ledger").added


LESION = (SOURCE / "acme_lesions/schemas/events/lesion.toml").read_text("utf-8")
WELLBEING = (SOURCE / "acme_lesions/schemas/instruments/wellbeing.toml").read_text("utf-8")
SUITE = (SOURCE / "acme_lesions/expectations/acme_lesions__lesion.json").read_text("utf-8")


def brought(version: str = "1.0", **texts: str) -> Brought:
    """Return what a plugin with these files brings; `events_lesion` stands for `schemas/events/lesion.toml`."""
    places = {"events": "schemas/events", "instruments": "schemas/instruments", "mappings": "schemas/mappings"}
    contents = []
    for key, text in texts.items():
        kind, _, stem = key.partition("_")
        place = places.get(kind, kind)
        suffix = "json" if kind == "expectations" else "toml"
        contents.append((f"acme_lesions/{place}/{stem}.{suffix}", text.encode()))
    return read("acme-lesions", version, "0" * 64, contents)


@pytest.mark.parametrize(
    ("key", "text", "says"),
    [
        ("events_x", LESION.replace("acme_lesions__lesion", "visit"), "`visit` is defined by enfold and by acme-lesions"),
        ("events_x", LESION.replace("acme_lesions__lesion", "lesion"), "`lesion` is not a name of this plugin"),
        ("events_x", LESION.replace("acme_lesions__lesion", "acme__lesion"), "not a name of this plugin"),
        ("events_x", LESION.replace("lesions__lesion", "lesions__a b"), "not a name of this plugin"),
        ("events_x", LESION.replace('"code"', '"float"'), "field `site`: has kind `float`"),
        ("events_x", LESION.replace("fields.site", "fields.event_id"), "field `event_id`: is a name that every event"),
        ("events_x", LESION.replace("fields.site", 'fields."a\\"b"'), "holds other than small letters"),
        ("events_x", LESION.replace("version = 1", ""), "no version"),
        ("events_x", "= no TOML", "events/x.toml: cannot be read"),
        ("instruments_x", WELLBEING.replace("acme_lesions__WELLBEING", "PGA"), "`PGA` is defined by enfold and by acme"),
        ("instruments_x", WELLBEING.replace("integer", "whole"), "item `TODAY`: unknown key whole"),
        ("instruments_x", WELLBEING.replace("[0, 10]", "[10, 0]"), "`range` is not [lowest, highest]"),
        ("expectations_visit", SUITE, "speaks of `visit`"),
        ("expectations_assessment", SUITE, "`assessment` has no column longest_mm"),
        ("expectations_assessment", SUITE.replace("acme_lesions__too", "too"), "does not begin with `acme_lesions__`"),
        ("mappings_x", "version = 1\n[[rules]]\nname='a'\nemits='b__c'\nkey=['K']\n", "emits `b__c`"),
    ],
)  # fmt: skip
def test_a_definition_that_is_not_what_it_should_be_is_refused(key: str, text: str, says: str) -> None:
    with pytest.raises((UsageError, ConflictError)) as caught:
        brought(**{key: text})
    assert says in str(caught.value)
    assert "acme-lesions" in str(caught.value)


def test_two_files_that_define_one_name_are_refused_with_both_named() -> None:
    with pytest.raises(ConflictError, match=r"events/a.toml and .*events/b.toml both define `acme_lesions__lesion`"):
        brought(events_a=LESION, events_b=LESION)


def test_definitions_change_only_so_that_what_landed_stays_readable() -> None:
    first = merged(
        schema.NOTHING, {"acme-lesions": brought(events_lesion=LESION, expectations_acme_lesions__lesion=SUITE)}
    )
    second = LESION.replace("version = 1", "version = 2")

    def then(text: str) -> schema.Added:
        return merged(first, {"acme-lesions": brought("2.0", events_lesion=text)})

    more = then(second + '[fields.method]\nkind = "code"\noptional = true\nabout = "How."\n')
    assert dict(more.files)["events/acme_lesions__lesion.toml"].endswith('"How."\n')
    assert not more.within("expectations")  # the new release brings none; what is judged at landing is the newest
    kept = merged(first, {"acme-lesions": brought("2.0")})
    assert kept.within("events") == first.within("events")  # no longer brought; needed to read what landed
    for text in (
        LESION.replace("One measured", "Another"),
        second.replace("[fields.site]", "[fields.place]"),
        second.replace('kind     = "number"', 'kind     = "count"'),
        second + '[fields.method]\nkind = "code"\nabout = "How."\n',
        second.replace("optional = true\n", ""),
    ):
        with pytest.raises(ConflictError):
            then(text)


def test_what_plugins_add_moves_no_digest_of_what_ships(tmp_path: Path) -> None:
    """The bundle without plugins, and so every commit and run of a study without definitions, is what it was."""
    assert schema_bundle(schema.NOTHING) == shipped_bundle()
    more = merged(schema.NOTHING, {"acme-lesions": brought(events_lesion=LESION)})
    texts, ours = json.loads(schema_bundle(more)), json.loads(shipped_bundle())
    assert {n: t for n, t in texts.items() if n in ours} == ours
    assert set(texts) - set(ours) == {"events/acme_lesions__lesion.toml", "plugins.json"}
    with schema.using(more):
        assert "acme_lesions__lesion" in schema.events()
        assert "acme_lesions__lesion" in schema.state()
    assert "acme_lesions__lesion" not in schema.events()
