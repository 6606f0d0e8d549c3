"""Verbs, exit codes and output formats, as a user meets them."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from enfold.cli.main import VERBS
from enfold.cli.main import main as enfold
from enfold.errors import EXIT_CODES, EnfoldError


def subclasses(cls: type[EnfoldError]) -> list[type[EnfoldError]]:
    return [cls, *(s for c in cls.__subclasses__() for s in subclasses(c))]


def test_every_error_has_a_documented_exit_code() -> None:
    assert {c.exit_code for c in subclasses(EnfoldError)} | {0} == set(EXIT_CODES)


def test_help_names_every_verb_and_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        enfold(["--help"])
    text = capsys.readouterr().out
    assert stop.value.code == 0
    assert all(v in text for v in VERBS)
    assert all(str(c) in text for c in EXIT_CODES)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom enfold.cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'duckdb', 'pyarrow', 'apache_beam', 'great_expectations', 'pandas'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False).returncode == 0


def test_sql_loads_neither_beam_nor_great_expectations(demo: Path) -> None:
    code = (
        "import sys\nfrom enfold.cli.main import main\n"
        f"main(['sql', {str(demo)!r}, 'SELECT 1'])\n"
        "heavy = {'apache_beam', 'great_expectations', 'pandas'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False).returncode == 0


def test_a_run_imports_nothing_that_it_does_not_use(demo_copy: Path) -> None:
    code = (
        "import sys\nfrom enfold.cli.main import command\n"
        f"sys.argv = ['enfold', 'run', {str(demo_copy)!r}, '--again']\n"
        "failed = command()\n"
        "heavy = {'great_expectations', 'pandas', 'pymongo', 'scipy', 'vl_convert'} & set(sys.modules)\n"
        "import pandas\n"  # as ever, when the command is done
        "sys.exit(str(heavy) if failed or heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", ["verify {}", "sql {} FROM+adsl", "run {} --again"])
def test_a_command_ends_without_words_of_its_libraries(demo_copy: Path, words: str) -> None:
    asked = [w.format(demo_copy).replace("+", " ") for w in words.split()]
    done = subprocess.run(
        [sys.executable, "-m", "enfold.cli.main", *asked], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_usage_errors_exit_with_2(tmp_path: Path, demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert enfold(["run", str(tmp_path / "nowhere")]) == 2
    assert "enfold init" in capsys.readouterr().err
    assert enfold(["sql", str(demo), "SELEC 1"]) == 2
    assert enfold(["init", str(tmp_path / "s"), str(tmp_path / "no.toml")]) == 2
    assert enfold(["land", str(demo), str(tmp_path / "colours.csv")]) == 2
    assert enfold(["run", str(demo), "--occurred-until", "yesterday"]) == 2
    assert enfold(["explain", str(demo), "sri4", "--subject", "NOBODY"]) == 2


def test_refused_records_exit_with_3_and_say_where(
    demo_copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "visit.csv"
    path.write_text(
        "event_id,subject_id,occurred,status\nx1,DEMO-001,2025-01-01,held\nx2,DEMO-001,2025-01-01,perhaps\n"
    )
    assert enfold(["land", str(demo_copy), str(path)]) == 3
    out = capsys.readouterr().out
    assert "1 refused" in out
    assert "row 2, column status" in out
    assert "perhaps" not in out


def test_integrity_errors_exit_with_4(demo_copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert enfold(["verify", str(demo_copy)]) == 0
    path = next((demo_copy / "ledger" / "segments").rglob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-1])
    assert enfold(["verify", str(demo_copy)]) == 4
    assert enfold(["run", str(demo_copy)]) == 0  # every shard is there and whole: the ledger is not read
    assert enfold(["run", "--again", str(demo_copy)]) == 4
    assert path.name in capsys.readouterr().err


def test_a_missing_plugin_exits_with_6_and_the_others_stand(demo_copy: Path, tmp_path: Path) -> None:
    text = (demo_copy / "study.toml").read_text().replace('"enfold-crs"', '"enfold-nowhere"')
    path = tmp_path / "study.toml"
    path.write_text(text)
    assert enfold(["land", str(demo_copy), str(path)]) == 0
    assert enfold(["run", str(demo_copy)]) == 6
    assert enfold(["report", str(demo_copy)]) == 0


def test_denied_internal_and_busy(
    demo_copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from enfold.ledger import storage, writing
    from enfold.ledger.ledger import Ledger

    visit = demo_copy.parent / "visit.csv"
    visit.write_text("event_id,subject_id,occurred,status\nx1,DEMO-001,2025-01-01,held\n")
    land = ["land", str(demo_copy), str(visit)]
    head = Ledger(demo_copy / "ledger").position

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "commits")

    def fail(*_: object) -> None:
        raise RuntimeError("a patient's value")

    with monkeypatch.context() as patch:
        patch.setattr(storage.os, "link", refuse)
        assert enfold(land) == 5
    with monkeypatch.context() as patch:
        patch.setattr(storage.os, "link", fail)
        assert enfold(land) == 1
        assert "patient's value" not in capsys.readouterr().err
    with monkeypatch.context() as patch:
        patch.setattr(writing, "_commit", lambda *_: None)  # another writer is always first
        assert enfold(land) == 75
    assert Ledger(demo_copy / "ledger").position == head
    assert enfold(["verify", str(demo_copy)]) == 0
    assert enfold(land) == 0


def test_sql_formats_carry_the_same_answer(demo: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    query = "SELECT subject_id, status FROM subjects ORDER BY 1 LIMIT 3"
    answers = []
    enfold(["sql", str(demo), query, "--format", "csv"])
    answers.append(list(csv.DictReader(io.StringIO(capsysbinary.readouterr().out.decode()))))
    enfold(["sql", str(demo), query, "--json"])
    answers.append(json.loads(capsysbinary.readouterr().out))
    enfold(["sql", str(demo), query, "--format", "arrow"])
    answers.append(pa.ipc.open_stream(capsysbinary.readouterr().out).read_all().to_pylist())
    enfold(["sql", str(demo), query, "--format", "parquet"])
    answers.append(pq.read_table(io.BytesIO(capsysbinary.readouterr().out)).to_pylist())
    assert answers[0] == answers[1] == answers[2] == answers[3]
    assert len(answers[0]) == 3


@pytest.mark.parametrize("form", ["table", "csv", "json", "arrow", "parquet"])
def test_sql_writes_a_new_file_or_none(
    demo: Path, form: str, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    words = ["sql", str(demo), "SELECT subject_id, event_ids FROM verdicts LIMIT 20", "--format", form]
    assert enfold(words) == 0
    printed = capsysbinary.readouterr().out
    assert enfold([*words, "--output", str(tmp_path / "answer")]) == 0
    assert capsysbinary.readouterr().out == b""
    assert (tmp_path / "answer").read_bytes() == printed
    assert enfold([*words, "--output", str(tmp_path / "answer")]) == 2
    assert b"exists" in capsysbinary.readouterr().err
    assert (tmp_path / "answer").read_bytes() == printed


@pytest.mark.parametrize(
    "query",
    [
        "CREATE TABLE x (a INT)",
        "DELETE FROM verdicts",
        "COPY subjects TO '/tmp/enfold-leak.csv'",
        "SELECT * FROM read_csv('/etc/passwd')",
    ],
)
def test_sql_can_neither_write_nor_leave_the_file(demo: Path, query: str) -> None:
    assert enfold(["sql", str(demo), query]) == 2


def test_explain_leads_from_a_verdict_to_source_rows(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert enfold(["explain", str(demo), "doris", "--subject", "DEMO-001", "--visit", "W12", "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    found = {c["criterion"]: c for c in answer["clauses"]}
    assert answer["citation"].startswith("van Vollenhoven")
    assert answer["parameters"]["pga_below"] == "0.5"
    assert found["pga"]["rule"]
    (event,) = found["pga"]["events"]
    rows = list(csv.DictReader((demo.parent / "incoming" / event["source_file"]).open()))
    assert rows[event["source_row"] - 1]["event_id"] == event["event_id"]


def test_explain_finds_a_change_that_really_flips_the_verdict(
    demo_copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `explain` says would flip the verdict is landed as a correction, and does."""

    def answer() -> dict[str, Any]:
        words = ["explain", str(demo_copy), "sri4", "--subject", "DEMO-022", "--visit", "W12", "--json"]
        assert enfold(words) == 0
        return dict(json.loads(capsys.readouterr().out)[0])

    before = answer()
    change = before["flip"]["smallest"]
    assert change["kind"] == "value"
    assert before["overall"]["status"] == "not_met"
    instrument, item = change["about"].split()
    field = change["field"]
    path = tmp_path / "assessment.csv"
    path.write_text(
        f"subject_id,occurred,occasion_id,visit_id,instrument,item,{field},supersedes,reason\n"
        + ",".join(
            [
                "DEMO-022",
                *_copied(demo_copy, change["event_id"]),
                instrument,
                item,
                change["after"],
                change["event_id"],
                "test",
            ]
        )
        + "\n"
    )
    assert enfold(["land", str(demo_copy), str(path)]) == 0
    assert enfold(["run", str(demo_copy)]) == 0
    capsys.readouterr()
    assert answer()["overall"]["status"] == change["status"] == "met"


def _copied(folder: Path, event_id: str) -> list[str]:
    import enfold as package

    query = f"SELECT e.occurred, f.occasion_id, f.visit_id FROM events e JOIN findings f ON f.finding_id = e.event_id WHERE e.event_id = '{event_id}'"
    return [str(v) for v in package.open(str(folder)).sql(query).fetchall()[0]]


def test_explain_says_when_nothing_single_flips_it(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert enfold(["explain", str(demo), "doris", "--subject", "DEMO-022", "--visit", "W12"]) == 0
    assert "no single value, item or review flips it" in capsys.readouterr().out


def test_imputation_stands_beside_the_raw_verdict(demo: Path) -> None:
    import enfold as package

    rows = package.open(str(demo)).sql(
        "SELECT DISTINCT status, status_imputed, imputed FROM responses_by_visit WHERE alias = 'sri4' ORDER BY ALL"
    )
    assert set(rows.fetchall()) >= {
        ("met", "met", False),
        ("not_met", "not_met", False),
        ("not_evaluable", "not_met", True),
    }


def test_report_json_has_a_field_per_figure(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert enfold(["report", str(demo), "--json"]) == 0
    assert {"sri4", "lldas", "doris", "crs", "icans", "relapse", "follow_up_months"} <= set(
        json.loads(capsys.readouterr().out)
    )


def test_plugin_list_names_what_is_offered(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert enfold(["plugin", "list", str(demo), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"sri", "lldas", "doris", "crs", "icans", "relapse", "expansion"} <= {o["id"] for o in found["offered"]}
    assert found["failures"] == []


def test_ec_84_an_implausible_value_is_a_data_finding_until_a_correction_settles_it(
    demo_copy: Path, tmp_path: Path
) -> None:
    import enfold as package

    def doubts() -> list[tuple[str, ...]]:
        assert enfold(["run", str(demo_copy)]) == 0
        query = "SELECT code, subject_ref FROM data_findings WHERE code = 'implausible_weight'"
        return package.open(str(demo_copy)).sql(query).fetchall()

    path = tmp_path / "assessment.csv"
    head = "event_id,subject_id,occurred,instrument,item,value_number,unit,supersedes,reason\n"
    path.write_text(head + "heavy,DEMO-001,2025-06-01,WEIGHT,WEIGHT,301,kg,,\n")
    assert enfold(["land", str(demo_copy), str(path)]) == 0
    assert doubts() == [("implausible_weight", "heavy")]
    path.write_text(head + ",DEMO-001,2025-06-01,WEIGHT,WEIGHT,30.1,kg,heavy,decimal point\n")
    assert enfold(["land", str(demo_copy), str(path)]) == 0
    assert doubts() == []
