"""Cuts, locks, and what moved between two cuts, on the demo trial."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from enfold.cli.main import main
from enfold.errors import ConflictError, IntegrityError
from enfold.fold import cuts
from enfold.ledger.ledger import Ledger

PGA = "DEMO-003/pga/W12/PGA_0_3"


@pytest.fixture
def ask(demo_copy: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(verb: str, *words: str, code: int = 0) -> Any:
        found = main([verb, str(demo_copy), *words, "--json"])
        out, err = capsys.readouterr()
        assert found == code, err
        return json.loads(out.strip().splitlines()[-1])

    return run


def test_a_locked_cut_is_recomputed_to_the_same_digests_after_later_landings(ask: Any, demo_copy: Path) -> None:
    ask("cut", "create", "interim", "--reason", "interim analysis")
    locked = ask("cut", "lock", "interim", "--author", "statistician")["lock"]
    wrong = ask("correct", PGA, "value_number=8.5", "--reason", "typing error", "--author", "dm")
    assert ask("run")["cut_digest"] != locked["cut_digest"]
    ask("pack")
    again = ask("run", "--cut", "interim")
    assert {k: again[k] for k in ("run", *cuts.DIGESTS)} == {k: locked[k] for k in ("run", *cuts.DIGESTS)}
    (listed,) = ask("cut", "list")
    assert (listed["name"], listed["redacted"], listed["lock"]["run"]) == ("interim", 0, locked["run"])
    assert "called `interim` already" in ask("cut", "create", "interim", code=7)["error"]
    assert "locked already" in ask("cut", "lock", "interim", code=7)["error"]
    assert "no cut" in ask("run", "--cut", "final", code=2)["error"]

    # what is impossible on the scale of its instrument is a query, and the correction of it closes the query
    ask("run")
    (query,) = [q for q in ask("queries", "list") if q["code"] == "value_outside_instrument"]
    assert (query["subject_id"], query["position"]) == ("DEMO-003", wrong["position"])
    before = str(Ledger(demo_copy / "ledger").position)
    ask("correct", PGA, "value_number=0.5", "--reason", "query 7")
    ask("run")
    assert [q for q in ask("queries", "list") if q["code"] == "value_outside_instrument"] == []
    (closed,) = ask("queries", "list", "--closed-since", before)
    latest = Ledger(demo_copy / "ledger").position
    (by,) = closed["closed_by"]
    rows = ask("history", "--subject", "DEMO-003", "--event", by)
    assert {r["position"] for r in rows} == {latest}

    # a cut that saw what was redacted says that it cannot be recomputed
    versions = {PGA, by, *(r["event_id"] for r in ask("history", "--subject", "DEMO-003", "--event", PGA))}
    ask("redact", *sorted(versions), "--reason", "erasure")
    assert ask("cut", "list")[0]["redacted"] == 1
    assert "redacted since" in ask("run", "--cut", "interim", code=5)["error"]


def test_diff_names_the_events_through_which_verdicts_and_figures_moved(ask: Any, demo_copy: Path) -> None:
    ask("cut", "create", "interim")
    served = (demo_copy / "serve" / "current.json").read_bytes()
    got = ask("correct", PGA, "value_number=2.9", "--reason", "typing error", "--author", "dm")
    found = ask("diff", "interim", str(got["position"]))
    assert (demo_copy / "serve" / "current.json").read_bytes() == served  # the run in force stays in force
    new = next(e for e in found["events"] if e["change"] == "corrected")
    assert (new["author"], new["reason"]) == ("dm", "typing error")
    assert {(e["event_id"], e["change"]) for e in found["events"]} == {
        (new["event_id"], "corrected"),
        (PGA, "no longer stands"),
    }
    assert {v["subject_id"] for v in found["verdicts"]} == {"DEMO-003"}
    assert all(v["through"] == [new["event_id"]] for v in found["verdicts"])
    sri = next(v for v in found["verdicts"] if (v["alias"], v["visit_id"], v["criterion"]) == ("sri4", "W12", "pga"))
    assert (sri["old_status"], sri["new_status"], sri["direct"]) == ("met", "not_met", True)
    figure = next(f for f in found["figures"] if f["figure"] == "sri4.by_visit.W12.observed.n")
    assert (figure["old"] - figure["new"], figure["through"]) == (1, [new["event_id"]])
    assert found["state"]["findings"]["changed"] >= 1
    back = ask("diff", str(got["position"]), "interim")
    assert {e["change"] for e in back["events"]} == {"no longer seen", "stands now"}
    same = ask("diff", "interim", "interim")
    assert (same["events"], same["state"], same["verdicts"], same["figures"]) == ([], {}, [], [])
    assert "no cut, no position and no run" in ask("diff", "interim", "nothing", code=2)["error"]


def named_cut(**pins: str) -> cuts.NamedCut:
    lock = {"run": "r", "cut_digest": "c", "state_digest": "s", "verdicts_digest": "v", "pins": {"lock": "1", **pins}}
    return cuts.NamedCut("final", cuts.Cut(1), "a", "t", "r", lock)


def test_a_run_of_a_locked_cut_must_give_what_was_locked() -> None:
    one = named_cut()
    run = dict(one.lock or {})
    assert cuts.check(one, run) == []
    assert cuts.check(one, {**run, "pins": {"lock": "2"}}) == [
        "lock"
    ]  # other libraries, same results: said, not refused
    with pytest.raises(IntegrityError, match="verdicts digest"):
        cuts.check(one, {**run, "verdicts_digest": "w"})
    with pytest.raises(IntegrityError, match="cut digest"):
        cuts.check(one, {**run, "cut_digest": "d", "pins": {"lock": "2"}})
    with pytest.raises(ConflictError, match="with other lock"):
        cuts.check(one, {**run, "verdicts_digest": "w", "pins": {"lock": "2"}})
    assert cuts.check(dataclasses.replace(one, lock=None), {}) == []
