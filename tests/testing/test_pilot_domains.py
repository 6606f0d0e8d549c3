"""Every domain of the CDISC pilot: each row and each column is mapped, or left out by a named rule, or refused."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from enfold.cli.main import main as enfold
from enfold.errors import UsageError
from enfold.land import mapping, readers, supplement
from enfold.land.stage import Staged, stage
from enfold.shipped import package_file
from enfold.testing.cdisc.main import DOMAINS as LANDED
from enfold.testing.cdisc.main import mapping as mapping_of
from enfold.testing.cdisc.main import source

FOLDER = source("dm").parent
DOMAINS = sorted(p.stem for p in FOLDER.glob("*.parquet") if not p.stem.startswith("supp"))
EVENTS = {"ae": 961, "cm": 7510, "dm": 306, "ds": 596, "ex": 591, "lbch": 32740, "lbhe": 21927, "lbur": 4913, "mh": 1817,
          "qsco": 12241, "qsda": 32920, "qsgi": 562, "qshi": 3302, "qsmm": 1524, "qsni": 71200, "sc": 254, "sv": 3559,
          "vs": 29643}  # fmt: skip
LEFT_OUT = {"relrec": 211, "se": 752, "ta": 11, "te": 7, "ti": 31, "ts": 48, "tv": 21}


def staged(domain: str) -> Staged:
    rows = readers.read(FOLDER / f"{domain}.parquet")
    extra = FOLDER / f"supp{domain}.parquet"
    if extra.exists():
        rows = supplement.join(rows, readers.read(extra))
    name = "lb" if domain.startswith("lb") else "qs" if domain.startswith("qs") else domain
    return stage(rows, mapping.load(f"sdtm/{name}"), "CDISCPILOT01", "sdtm")


def test_the_package_holds_these_domains_and_no_other() -> None:
    assert set(DOMAINS) == {*EVENTS, *LEFT_OUT}


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_row_and_column_is_accounted_for(domain: str) -> None:
    found = staged(domain)
    assert found.refused == []
    assert sum(t.num_rows for t in found.events.values()) == EVENTS.get(domain, 0)
    assert sum(found.ignored.values()) == LEFT_OUT.get(domain, 0)
    used = set(found.mapping.columns)
    left = {c for columns in found.ignored_columns.values() for c in columns}
    assert used | left >= {*found.source.rows.column_names} - {"source_row"}
    assert not used & left


def test_results_are_the_text_of_the_source_and_not_the_double_beside_it() -> None:
    rows = pq.read_table(FOLDER / "lbch.parquet")
    (event,) = staged("lbch").events.values()
    texts = rows.column("LBSTRESC").to_pylist()
    seen = 0
    for text, row in zip(texts, event.sort_by("source_row").to_pylist(), strict=True):
        if row["value_number"] is not None:
            shown = (row["comparator"] or "") + format(row["value_number"].normalize(), "f")
            bare = text.lstrip("<>=")
            assert shown == text[: len(text) - len(bare)] + (bare.rstrip("0").rstrip(".") if "." in bare else bare)
            seen += row["comparator"] is not None
        else:
            assert row["value_text"] == text
    assert seen == sum(t.startswith(("<", ">")) for t in texts) > 0


def test_a_dose_of_a_double_is_the_decimal_that_was_meant() -> None:
    doses = {row["dose"] for row in staged("cm").events["medication"].to_pylist() if row["dose"] is not None}
    assert "0.4" in {format(d.normalize(), "f") for d in doses}


def test_what_is_not_done_is_stated(tmp_path: Path) -> None:
    del tmp_path
    (event,) = staged("vs").events.values()
    assert sum(row["not_done"] or False for row in event.to_pylist()) == 8


def test_supplemental_qualifiers_find_their_rows() -> None:
    rows = supplement.join(readers.read(FOLDER / "ae.parquet"), readers.read(FOLDER / "suppae.parquet")).rows
    theirs = pq.read_table(FOLDER / "suppae.parquet").to_pylist()
    wanted = {(r["USUBJID"], r["IDVARVAL"].strip()): r["QVAL"] for r in theirs}
    assert {(r["USUBJID"], r["AESEQ"]): r["AETRTEM"] for r in rows.to_pylist()} == wanted


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"IDVARVAL": "99999"}, "1 qualifiers belong to no row; first: row 1"),
        ({"USUBJID": "nobody"}, "1 qualifiers belong to no row; first: row 1"),
        ({"IDVAR": "AESTDTC"}, "belong to"),
        ({"IDVAR": None}, "1 qualifiers belong to several rows; first: row 1"),
        ({"IDVAR": "NONE"}, "an IDVAR is none of its columns"),
        ({"QNAM": "AETERM"}, "a QNAM is empty or a column of ae.parquet"),
        ({"QNAM": None}, "a QNAM is empty"),
    ],
)
def test_a_qualifier_that_finds_no_place_refuses_the_file(
    change: dict[str, str | None], message: str, tmp_path: Path
) -> None:
    table = pq.read_table(FOLDER / "suppae.parquet")
    rows = table.to_pylist()
    rows[0] |= change
    pq.write_table(table.from_pylist(rows, table.schema), tmp_path / "suppae.parquet")
    with pytest.raises(UsageError, match=message):
        supplement.join(readers.read(FOLDER / "ae.parquet"), readers.read(tmp_path / "suppae.parquet"))


def test_a_dry_run_shows_a_table_and_lands_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "study.toml").write_text(package_file("testing/cdisc/study.toml"))
    study = str(tmp_path / "study")
    assert enfold(["init", study, str(tmp_path / "study.toml")]) == 0
    words = ["land", study, str(FOLDER / "sv.parquet"), "--mapping", "sdtm/sv", "--dry-run"]
    before = sorted(tmp_path.rglob("*"))
    assert enfold(words) == 0
    said = " ".join(capsys.readouterr().out.split())
    for line in ("rule unplanned 122 visit events", "rule planned 3437 visit events",
                 "column VISITNUM", "left out no_place_in_the_event", "Nothing was landed (--dry-run)."):  # fmt: skip
        assert line in said
    assert enfold([*words, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["preview"]
    assert {"source": "column SVSTDTC", "becomes": "visit.occurred", "rows": None} in shown
    assert enfold(["land", study, str(tmp_path / "study.toml"), "--dry-run"]) == 0
    assert sorted(tmp_path.rglob("*")) == before
    words = ["land", study, str(FOLDER / "cm.parquet"), "--mapping", "sdtm/cm"]
    assert enfold(words) == 0
    assert "7510 events = 1084 landed, 6426 already there" in capsys.readouterr().out


def test_a_commit_names_the_supplement_too(tmp_path: Path) -> None:
    from enfold.ledger.ledger import Ledger

    (tmp_path / "study.toml").write_text(package_file("testing/cdisc/study.toml"))
    study = str(tmp_path / "study")
    assert enfold(["init", study, str(tmp_path / "study.toml")]) == 0
    words = ["land", study, str(FOLDER / "ds.parquet"), "--mapping", "sdtm/ds"]
    supp = ["--supp", str(FOLDER / "suppds.parquet")]
    assert enfold([*words[:3], str(FOLDER / "dm.parquet"), *words[3:], *supp]) == 2
    assert enfold([*words, *supp]) == 0
    commit = [*Ledger(tmp_path / "study" / "ledger").commits][-1]
    assert [s["name"] for s in commit.sources] == ["ds.parquet", "suppds.parquet"]
    assert commit.details["reconciliation"]["ignored_columns"]["no_place_in_the_event"] == ["ENTCRIT"]


ENOUGH = 4_000  # of the 29,643 and 12,241 rows of two domains every so many, from first to last
FORMATS = ("csv", "xpt", "json", "dataset.ndjson", "ndjson", "arrow", "arrows")


def rewritten(rows: pa.Table, path: Path) -> None:
    """Write a domain in another format, by a library that is not enfold: numbers as numbers, texts as texts."""
    kind = path.name.removeprefix("x.")
    records = rows.to_pylist()
    if kind == "csv":
        return pacsv.write_csv(rows, path)
    if kind == "xpt":
        import pandas as pd
        import pyreadstat

        frame = pd.DataFrame({c: pd.Series(rows.column(c).to_pylist(), dtype="float64" if pa.types.is_float64(t) else object)
                              for c, t in zip(rows.column_names, rows.schema.types, strict=True)})  # fmt: skip
        return pyreadstat.write_xport(frame, str(path), table_name="X", file_format_version=5)
    if kind == "ndjson":
        return path.write_text("\n".join(map(json.dumps, records)), "utf-8") and None
    if kind in ("arrow", "arrows"):
        with (pa.ipc.new_file if kind == "arrow" else pa.ipc.new_stream)(str(path), rows.schema) as out:
            out.write_table(rows)
        return None
    columns = [{"itemOID": f"IT.{f.name}", "name": f.name, "label": f.name,
                "dataType": "double" if pa.types.is_float64(f.type) else "string"} for f in rows.schema]  # fmt: skip
    head = {"datasetJSONVersion": "1.1.0", "records": len(records), "columns": columns}
    values = [list(r.values()) for r in records]
    text = json.dumps({**head, "rows": values}) if kind == "json" else "\n".join(map(json.dumps, [head, *values]))
    return path.write_text(text, "utf-8") and None


def said(path: Path, domain: str) -> dict[str, pa.Table]:
    """Return the events of a file by type, ids and content digests included."""
    found = stage(readers.read(path), mapping.load(mapping_of(domain)), "CDISCPILOT01", "sdtm")
    assert found.refused == []
    return {t: rows.drop_columns("source_file") for t, rows in found.events.items()}


@pytest.mark.parametrize("domain", LANDED)
def test_a_domain_in_any_format_gives_the_same_events(domain: str, tmp_path: Path) -> None:
    rows = pq.read_table(source(domain))
    if rows.num_rows > ENOUGH:
        rows = rows.take(pa.array(range(0, rows.num_rows, rows.num_rows // ENOUGH)))
    pq.write_table(rows, tmp_path / "x.parquet")
    wanted = said(tmp_path / "x.parquet", domain)
    for form in FORMATS:
        rewritten(rows, tmp_path / f"x.{form}")
        assert said(tmp_path / f"x.{form}", domain) == wanted, form


def test_race_that_an_earlier_mapping_left_out_comes_with_a_snapshot(tmp_path: Path) -> None:
    from enfold.ledger.ledger import Ledger
    from enfold.shipped import shipped

    now = (shipped("schemas") / "mappings" / "sdtm" / "dm.toml").read_text("utf-8")
    before = now.replace('race       = "RACE"\nethnicity  = "ETHNIC"\n', "").replace(
        'optional = ["RACE", "ETHNIC"]\n', ""
    )
    (tmp_path / "dm.toml").write_text(
        f'{before}\n[[ignore_columns]]\nname = "no_place"\ncolumns = ["RACE", "ETHNIC"]\n'
    )
    (tmp_path / "study.toml").write_text(package_file("testing/cdisc/study.toml"))
    study = str(tmp_path / "study")
    assert enfold(["init", study, str(tmp_path / "study.toml")]) == 0
    words = ["land", study, str(FOLDER / "dm.parquet"), "--mapping", str(tmp_path / "dm.toml")]
    assert enfold(words) == 0
    (tmp_path / "dm.toml").write_text(now)
    assert enfold([*words, "--snapshot", "--reason", "the mapping reads race now"]) == 0
    rows = Ledger(tmp_path / "study" / "ledger").read("enrolment").to_pylist()
    corrections = [r for r in rows if r["supersedes"]]
    assert len(rows) == 2 * len(corrections) == 612
    assert all(r["race"] and r["ethnicity"] for r in corrections)
