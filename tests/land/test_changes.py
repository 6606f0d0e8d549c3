"""Snapshots, corrections, moves, retractions, refused records and redaction, through the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from enfold.cli.main import main
from enfold.land.change import standing
from enfold.ledger.ledger import Ledger
from enfold.ledger.verify import verify

STUDY = 'plugins = []\n[study]\nid = "S"\ntitle = "t"\ntime_zone = "UTC"\n'
MAPPING = """
version = 1
[[rules]]
name = "pga"
emits = "assessment"
key = ["SUBJ", "VISIT"]
present = ["SUBJ"]
[rules.fields]
subject_id = "SUBJ"
visit_id = "VISIT"
occurred = "DATE"
instrument = { constant = "PGA" }
item = { constant = "PGA_0_3" }
value_number = "PGA"
"""
NIGHT_1 = [("01", "W1", "2026-01-02", "1.5"), ("01", "W2", "2026-01-09", "1.2"), ("02", "W1", "2026-01-03", "2")]


class Desk:
    """A study at a data manager's desk."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root, self.study, self.capsys = root, root / "study", capsys
        (root / "study.toml").write_text(STUDY, "utf-8")
        (root / "edc.toml").write_text(MAPPING, "utf-8")
        assert main(["init", str(self.study), str(root / "study.toml"), "--author", "dm"]) == 0
        self.capsys.readouterr()

    def __call__(self, verb: str, *words: str, code: int = 0) -> Any:
        """Run a verb and return its JSON."""
        found = main([verb, str(self.study), *words, "--json"])
        out, err = self.capsys.readouterr()
        assert found == code, err
        return json.loads(out.strip().splitlines()[-1])

    def file(self, rows: list[tuple[str, ...]], name: str = "export.csv") -> str:
        path = self.root / name
        path.write_text("SUBJ,VISIT,DATE,PGA\n" + "".join(",".join(r) + "\n" for r in rows), "utf-8")
        return str(path)

    def night(self, rows: list[tuple[str, ...]], *more: str, code: int = 0) -> Any:
        """Land a nightly export as a snapshot."""
        words = ["--mapping", str(self.root / "edc.toml"), "--source", "edc", "--snapshot", "--reason", "nightly"]
        return self("land", self.file(rows), *words, *more, code=code)

    def values(self) -> dict[tuple[str, str], str]:
        """Return the standing values by subject and visit; a contested one as `?`."""
        from enfold import schema
        from enfold.ledger import engine
        from enfold.ledger.versions import standing_facts

        con = engine.connect()
        for event_type in schema.events():
            con.register(f"ev_{event_type}", Ledger(self.study / "ledger").read(event_type))
        standing_facts(con)
        rows = con.execute("SELECT subject_id, visit_id, contested, value_number FROM facts_assessment").fetchall()
        return {(s, v): "?" if c else f"{n.normalize():f}" for s, v, c, n in rows}

    def event(self, subject: str, visit: str) -> str:
        rows = self("history", "--subject", subject)
        return next(r["event_id"] for r in rows if r["field"] == "visit_id" and r["new"] == visit)


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, capsys)


def test_a_source_that_sends_everything_again_is_compared_with_what_it_last_said(desk: Desk) -> None:
    """Each night: what the source sent, and what the ledger then counts and holds."""
    one, two, three = NIGHT_1
    changed = ("01", "W1", "2026-01-02", "1.7")
    fresh = ("03", "W1", "2026-01-20", "0.4")
    table = [  # rows sent, landed, corrected, retracted, reinstated, unchanged
        (NIGHT_1, 3, 0, 0, 0, 0),
        (NIGHT_1, 0, 0, 0, 0, 3),
        ([changed, two, three, fresh], 1, 1, 0, 0, 2),
        ([changed, three, fresh], 0, 0, 1, 0, 3),
        ([one, two, three, fresh], 0, 1, 0, 1, 3),  # a value that returns is another correction, a key that
        ([one, three, fresh], 0, 0, 1, 0, 3),  # returns retracts its retraction; and it may vanish again
        ([one, two, three, fresh], 0, 0, 0, 1, 4),
        ([fresh, three, two, one], 0, 0, 0, 0, 4),
    ]
    for rows, landed, corrected, retracted, reinstated, unchanged in table:
        planned = desk.night(rows, "--dry-run")
        got = desk.night(rows)
        counts = [got[k] for k in ("landed", "corrected", "retracted", "reinstated", "already")]
        assert counts == [landed, corrected, retracted, reinstated, unchanged]
        assert [planned[k] for k in ("landed", "corrected", "retracted", "reinstated", "already")] == counts
        assert planned["position"] is None
        assert desk.values() == {(s, v): f"{float(n):g}" for s, v, _, n in rows}
    verify(desk.study / "ledger")


def test_a_snapshot_does_not_overwrite_what_was_corrected_here(desk: Desk) -> None:
    desk.night(NIGHT_1)
    desk("correct", desk.event("02", "W1"), "value_number=2.5", "--reason", "query 12")
    assert desk.night(NIGHT_1)["already"] == 3  # the source says what it said before
    assert desk.values()["02", "W1"] == "2.5"
    desk.night([*NIGHT_1[:2], ("02", "W1", "2026-01-03", "2.5")])  # it agrees by now
    assert desk.values()["02", "W1"] == "2.5"
    desk.night([*NIGHT_1[:2], ("02", "W1", "2026-01-03", "3")])  # it says something third: two corrections live
    assert desk.values()["02", "W1"] == "?"
    desk("correct", desk.event("02", "W1"), "value_number=3", "--reason", "site confirmed")
    assert desk.values()["02", "W1"] == "3"


def test_a_snapshot_settles_what_its_own_source_said_twice(desk: Desk) -> None:
    words = ["--mapping", str(desk.root / "edc.toml"), "--source", "edc"]
    desk("land", desk.file(NIGHT_1), *words)
    other = ("02", "W1", "2026-01-03", "2.5")
    assert desk("land", desk.file([other]), *words)["conflicting"] == 1  # the same key, another content
    assert desk.values()["02", "W1"] == "?"
    assert desk.night([*NIGHT_1[:2], other])["corrected"] == 1  # the source says which of the two it means
    assert desk.values()["02", "W1"] == "2.5"
    assert desk.night([*NIGHT_1[:2], other])["already"] == 3


def test_a_withdrawal_made_here_outlives_the_nightly_export(desk: Desk) -> None:
    desk.night(NIGHT_1)
    desk("retract", desk.event("02", "W1"), "--reason", "not our patient")
    assert desk.night(NIGHT_1)["already"] == 3
    assert ("02", "W1") not in desk.values()


def test_many_vanished_keys_stop_a_snapshot(desk: Desk) -> None:
    many = [(f"{n:02d}", "W1", "2026-01-02", "1") for n in range(40)]
    desk.night(many)
    before = Ledger(desk.study / "ledger").position
    assert desk.night(many[:30], "--dry-run")["retracted"] == 10
    desk.night(many[:30], code=3)
    assert Ledger(desk.study / "ledger").position == before
    assert desk.night(many[:30], "--max-vanished", "30")["retracted"] == 10


def test_a_refused_row_is_not_taken_for_a_vanished_one(desk: Desk) -> None:
    desk.night(NIGHT_1)
    got = desk.night([*NIGHT_1[:2], ("02", "W1", "not a date", "2")], code=3)
    assert (got["refused"], got["retracted"]) == (1, 0)
    desk.night([*NIGHT_1[:2], ("", "W1", "2026-01-03", "2")], code=3)  # whose row it is cannot be told: all stops
    assert desk.values() == {("01", "W1"): "1.5", ("01", "W2"): "1.2", ("02", "W1"): "2"}


def test_a_snapshot_needs_a_reason(desk: Desk) -> None:
    words = ["--mapping", str(desk.root / "edc.toml"), "--snapshot"]
    assert "reason" in desk("land", desk.file(NIGHT_1), *words, code=2)["error"]


def test_other_sources_keys_do_not_vanish(desk: Desk) -> None:
    desk.night(NIGHT_1)
    words = ["--mapping", str(desk.root / "edc.toml"), "--source", "other", "--snapshot", "--reason", "first"]
    got = desk("land", desk.file([("09", "W1", "2026-01-02", "1")]), *words)
    assert (got["landed"], got["retracted"]) == (1, 0)
    assert len(desk.values()) == 4


def test_history_tells_who_changed_what_when_and_why(desk: Desk) -> None:
    desk.night(NIGHT_1)
    event = desk.event("02", "W1")
    desk("correct", event, "value_number=2.5", "occurred=2026-01-04", "--reason", "query 12", "--author", "anna")
    desk("correct", event, "value_number=2.50", "--reason", "checked again", "--author", "ben")
    rows = [(r["author"], r["reason"], r["change"], r["field"], r["old"], r["new"])
            for r in desk("history", "--subject", "02") if r["change"] == "corrected"]  # fmt: skip
    assert rows == [
        ("anna", "query 12", "corrected", "occurred", "2026-01-03", "2026-01-04"),
        ("anna", "query 12", "corrected", "value_number", "2", "2.5"),
        ("ben", "checked again", "corrected", None, None, None),  # a change to nothing is a change
    ]


def test_a_fact_moves_to_another_subject_in_one_commit(desk: Desk) -> None:
    desk.night(NIGHT_1)
    event = desk.event("02", "W1")
    got = desk("correct", event, "--move", "07", "--reason", "samples swapped")
    assert desk.values()["07", "W1"] == "2"
    assert ("02", "W1") not in desk.values()
    commit = Ledger(desk.study / "ledger").commits[got["position"] - 1]
    assert (commit.kind, commit.rows) == ("move", {"assessment": 1, "retraction": 1})
    assert commit.details["record"]["moved"]["from"] == event
    desk("correct", event, "value_number=1", "--reason", "too late", code=2)  # it does not stand any more


def test_what_was_moved_and_put_back_moves_again(desk: Desk) -> None:
    desk.night(NIGHT_1)
    event = desk.event("02", "W1")
    got = desk("correct", event, "--move", "07", "--reason", "samples swapped")
    rows = Ledger(desk.study / "ledger").read("retraction").to_pylist()
    desk("retract", desk.event("07", "W1"), "--reason", "not swapped")
    desk("retract", rows[0]["event_id"], "--reason", "not swapped")
    assert desk.values()["02", "W1"] == "2"
    again = desk("correct", event, "--move", "07", "--reason", "swapped after all")
    assert again["position"] > got["position"]
    assert desk.values()["07", "W1"] == "2"
    assert ("02", "W1") not in desk.values()


def test_two_facts_joined_by_a_correction_move_as_one(desk: Desk) -> None:
    """Both first versions go; else the correction would stand on the one that stayed."""
    desk.night([*NIGHT_1, ("02", "W2", "2026-01-12", "2")])
    first, second = desk.event("02", "W1"), desk.event("02", "W2")
    joined = desk.root / "assessment.csv"
    joined.write_text(
        "event_id,subject_id,occurred,visit_id,instrument,item,value_number,supersedes,reason,author\n"
        f"j1,02,2026-01-05,W1,PGA,PGA_0_3,2,{first} {second},entered twice,dm\n"
    )
    assert main(["land", str(desk.study), str(joined)]) == 0
    desk.capsys.readouterr()
    desk("correct", "j1", "--move", "07", "--reason", "samples swapped")
    assert {k: v for k, v in desk.values().items() if k[0] in {"02", "07"}} == {("07", "W1"): "2"}


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["value_number=heavy"], 3, "not a plain decimal"),
        (["subject_id=07"], 2, "--move"),
        (["nonsense=1"], 2, "no field nonsense"),
        ([], 2, "either"),
    ],
)
def test_a_wrong_correction_is_refused_and_nothing_written(desk: Desk, words: list[str], code: int, says: str) -> None:
    desk.night(NIGHT_1)
    before = Ledger(desk.study / "ledger").commits.head
    got = desk("correct", desk.event("02", "W1"), *words, "--reason", "r", code=code)
    assert says in got["error"] + str(got["remedy"])
    assert Ledger(desk.study / "ledger").commits.head == before


def test_an_unknown_event_is_named(desk: Desk) -> None:
    assert "no event nothing" in desk("correct", "nothing", "value_number=1", "--reason", "r", code=2)["error"]


def test_a_mended_record_keeps_the_link_to_its_refusal(desk: Desk) -> None:
    bad = [("01", "W1", "2026-13-02", "1.5"), ("02", "W1", "2026-01-03", "two"), ("03", "W1", "2026-01-03", "1")]
    desk("land", desk.file(bad), "--mapping", str(desk.root / "edc.toml"), code=3)
    (listed,) = desk("refused", "list")
    assert (listed["refused"], listed["open"]) == (2, 2)
    shown = desk("refused", "show", listed["id"])
    assert [(r["row"], r["reasons"][0]["code"]) for r in shown] == [(1, "not_a_time"), (2, "not_a_number")]
    mend = desk.root / "mend.csv"
    desk("refused", "export", listed["id"][:8], "--output", str(mend))
    mend.write_text(mend.read_text("utf-8").replace("2026-13-02", "2026-12-02"), "utf-8")
    got = desk("refused", "retry", str(mend), code=3)
    assert (got["landed"], got["refused"]) == (1, 1)
    assert desk("refused", "list")[0]["open"] == 1
    link = Ledger(desk.study / "ledger").commits[got["position"] - 1].details["mends"]
    assert (link["refusal"], list(link["events"])) == (listed["id"], ["1"])
    assert standing(Ledger(desk.study / "ledger"), link["events"]["1"][0])[1]["occurred"] == "2026-12-02"
    assert "mended already" in desk("refused", "retry", str(mend), code=2)["error"]
    again = desk.root / "again.csv"
    desk("refused", "export", listed["id"], "--output", str(again))
    again.write_text(again.read_text("utf-8").replace("two", "2"), "utf-8")
    assert desk("refused", "retry", str(again))["landed"] == 1
    assert desk("refused", "list")[0]["open"] == 0


def test_a_file_that_is_no_export_of_refused_records_is_not_retried(desk: Desk) -> None:
    assert "enfold_refusal" in desk("refused", "retry", desk.file(NIGHT_1), code=2)["error"]


def test_an_exported_formula_is_shown_by_a_spreadsheet_and_not_run(desk: Desk) -> None:
    bad = [("01", "W1", "=SUM(A1:A9)", "1.5")]
    desk("land", desk.file(bad), "--mapping", str(desk.root / "edc.toml"), code=3)
    mend = desk.root / "mend.csv"
    desk("refused", "export", desk("refused", "list")[0]["id"], "--output", str(mend))
    assert ",'=SUM(A1:A9)," in mend.read_text("utf-8")


def test_redaction_removes_content_and_every_copy_and_the_chain_verifies(desk: Desk) -> None:
    secret = "1.2345"
    desk.night([*NIGHT_1, ("04", "W1", "2026-01-05", secret)])
    desk("correct", desk.event("04", "W1"), f"value_number={secret}6", "--reason", "r")
    main(["run", str(desk.study)])
    desk.capsys.readouterr()
    ids = sorted({r["event_id"] for r in desk("history", "--subject", "04")})
    head = verify(desk.study / "ledger").head
    assert ids[1] in desk("redact", ids[0], "--reason", "erasure", code=2)["error"]  # else the old value would stand
    got = desk("redact", *ids, "--reason", "erasure asked for by the family")
    assert verify(desk.study / "ledger", anchor=head).redacted == 2
    assert ("04", "W1") not in desk.values()
    assert not (desk.study / "runs").exists()
    assert not (desk.study / "serve").exists()
    again = desk.night([*NIGHT_1, ("04", "W1", "2026-01-05", secret)])
    assert (again["redacted"], again["position"]) == (1, None)  # its id never lands again
    assert "redacted since" in desk("run", "--position", str(got["position"] - 1), code=5)["error"]
    assert main(["run", str(desk.study)]) == 0
    left = [p for p in desk.study.rglob("*") if p.is_file() and secret.encode() in p.read_bytes()]
    assert left == []
    assert "not in the ledger" in desk("redact", "nothing", "--reason", "r", code=2)["error"]


@pytest.mark.parametrize("words", ["", " ", "a\x1b[2J", "two\nlines", "x\u202ey", "x" * 1001])
def test_an_author_or_a_reason_that_a_screen_would_not_show_is_refused(desk: Desk, words: str) -> None:
    desk.night(NIGHT_1)
    before = Ledger(desk.study / "ledger").commits.head
    event = desk.event("02", "W1")
    assert "the reason is" in desk("retract", event, "--reason", words, code=2)["error"]
    assert "the author is" in desk("retract", event, "--reason", "r", "--author", words, code=2)["error"]
    assert Ledger(desk.study / "ledger").commits.head == before


def test_a_study_or_mapping_file_that_is_none_is_refused(desk: Desk) -> None:
    huge = desk.root / "huge.toml"
    huge.write_bytes(b"#" * (5 << 20))
    assert "octets" in desk("land", desk.file(NIGHT_1), "--mapping", str(huge), code=2)["error"]
    huge.write_bytes(b"\xff\xfe")
    assert "not UTF-8" in desk("land", desk.file(NIGHT_1), "--mapping", str(huge), code=2)["error"]
    assert (
        "cannot be read" in desk("land", desk.file(NIGHT_1), "--mapping", str(desk.root / "none.toml"), code=2)["error"]
    )
