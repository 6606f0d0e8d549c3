"""Parcels: checked by their own verifier alone, the same bytes for the same run, and no change passes."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from enfold.cli.main import main
from enfold.fold.cut import Cut
from enfold.ledger.ledger import Ledger
from enfold.ledger.pack import pack
from enfold.run.run import run
from enfold.serve import parcel, verify_parcel
from enfold.testing.demo.main import write

PGA = "DEMO-003/pga/W12/PGA_0_3"
Files = dict[str, bytes]


@pytest.fixture(scope="module")
def whole(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The parcel of the demo's run."""
    target = tmp_path_factory.mktemp("parcel") / "demo.zip"
    assert main(["parcel", str(demo), "--output", str(target)]) == 0
    return target


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The parcel of three of the demo's patients, for many ways to change it."""
    root = tmp_path_factory.mktemp("small")
    paths = [str(p) for p in write(root / "incoming")]
    for path in paths:
        if path.endswith(".csv"):
            head, *lines = Path(path).read_text("utf-8").splitlines(keepends=True)
            Path(path).write_text(head + "".join(n for n in lines if n[:8] in {"DEMO-001", "DEMO-003", "DEMO-022"}))
    assert main(["init", str(root / "study"), str(root / "incoming" / "study.toml")]) == 0
    assert main(["land", str(root / "study"), *paths]) == 0
    assert main(["run", str(root / "study")]) == 0
    assert main(["parcel", str(root / "study"), "--output", str(root / "small.zip")]) == 0
    return root / "small.zip"


def checked(archive: Path, *digests: str) -> tuple[int, str]:
    """Let a Python without site-packages, which cannot import enfold, check an archive."""
    words = [sys.executable, "-I", "-S", str(archive), *digests]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=archive.parent)
    assert done.stderr == ""
    return done.returncode, done.stdout.strip()


def test_a_parcel_is_checked_without_enfold(demo: Path, whole: Path) -> None:
    text = Path(verify_parcel.__file__).read_text("utf-8")
    assert len(text.splitlines()) <= 200
    assert "enfold" not in [line.split()[1].split(".")[0] for line in text.splitlines() if line.startswith(("import", "from"))]  # fmt: skip
    manifest = json.loads(next(demo.glob("runs/*/manifest.json")).read_bytes())
    head = str(Ledger(demo / "ledger").commits.head)
    code, said = checked(whole, head, manifest["run"][:16], manifest["verdicts_digest"], manifest["cut_digest"])
    assert (code, said.split(":")[0]) == (0, "intact")
    assert f"{Ledger(demo / 'ledger').position} commits, {manifest['events']} events" in said
    assert f"head {head}" in said
    assert checked(whole, "0" * 64) == (4, f"NOT INTACT: {'0' * 64} is no digest of this parcel")
    elsewhere = [sys.executable, "-I", str(verify_parcel.__file__), str(whole)]
    assert subprocess.run(elsewhere, check=False, capture_output=True).returncode == 0
    assert subprocess.run([*elsewhere[:-1], "missing.zip"], check=False, capture_output=True).returncode == 2


def test_every_value_of_the_run_is_in_it(demo: Path, whole: Path) -> None:
    """Events, state and results as the serving file has them."""
    from enfold.serve.study import answer

    with zipfile.ZipFile(whole) as archive:
        lines = {n: len(archive.read(n).splitlines()) for n in archive.namelist() if n.endswith(".ndjson")}
        (verdict,) = [
            r
            for r in map(json.loads, archive.read("results/verdicts.ndjson").splitlines())
            if (r["subject_id"], r["alias"], r.get("visit_id"), r["criterion"])
            == ("DEMO-003", "sri4", "W12", "overall")
        ]
    for name in lines:
        if not name.startswith(("events", "commits", "redacted")):
            count = answer(demo, f"SELECT count(*) FROM {Path(name).stem}").column(0)[0].as_py()
            assert lines[name] == count, name
    (served,) = answer(
        demo,
        "SELECT status, event_ids FROM verdicts WHERE subject_id = 'DEMO-003' AND alias = 'sri4' AND visit_id = 'W12' "
        "AND criterion = 'overall'",
    ).to_pylist()
    assert {k: verdict[k] for k in served} == served


def test_the_same_run_gives_the_same_bytes(demo_copy: Path, whole: Path, tmp_path: Path) -> None:
    """Packed, in one shard and in several."""
    pack(demo_copy / "ledger")
    again = run(demo_copy, Cut(Ledger(demo_copy / "ledger").position), rows_per_shard=5_000, again=True)
    assert len(again["shards"]) > 1
    parcel.write(demo_copy, again["run"][:16], tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == whole.read_bytes()


def test_redacted_content_is_in_no_parcel(demo_copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [json.loads((demo_copy / "runs" / "current.json").read_text())["run"]]
    assert main(["redact", str(demo_copy), PGA, "--reason", "erasure"]) == 0
    assert main(["parcel", str(demo_copy), "--output", str(tmp_path / "none.zip")]) == 2  # nothing is in force
    assert main(["parcel", str(demo_copy), runs[0], "--output", str(tmp_path / "none.zip")]) == 4
    assert not (tmp_path / "none.zip").exists()
    assert main(["run", str(demo_copy)]) == 0
    assert main(["parcel", str(demo_copy), "--output", str(tmp_path / "after.zip")]) == 0
    assert main(["parcel", str(demo_copy), "--output", str(tmp_path / "after.zip")]) == 2  # exists
    assert "exists" in capsys.readouterr().err
    code, said = checked(tmp_path / "after.zip")
    assert code == 0, said
    with zipfile.ZipFile(tmp_path / "after.zip") as archive:
        holding = [n for n in archive.namelist() if PGA.encode() in archive.read(n)]
    assert holding == ["commits.ndjson", "redacted.ndjson"]


def test_a_parcel_needs_the_rules_that_computed_it(
    demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(parcel, "code_hash", lambda dist: "0" * 16)
    assert main(["parcel", str(demo), "--output", str(tmp_path / "none.zip")]) == 7
    assert "no longer the one that the run used" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def lines_of(files: Files, name: str, edit: Callable[[list[Any]], None]) -> None:
    rows = [json.loads(line) for line in files[name].splitlines()]
    edit(rows)
    files[name] = b"".join(json.dumps(r, separators=(",", ":"), ensure_ascii=False).encode() + b"\n" for r in rows)


def named(files: Files, start: str) -> str:
    return next(n for n in files if n.startswith(start))


def of_run(files: Files, edit: Callable[[dict[str, Any]], None]) -> None:
    body = json.loads(files["run.json"])
    edit(body)
    files["run.json"] = json.dumps(body, sort_keys=True, indent=1).encode()


def a_value(files: Files) -> None:
    lines_of(files, named(files, "events/assessment"), lambda rows: rows[7]["event"].update(value_text="9"))


def an_author_of_an_event(files: Files) -> None:
    lines_of(files, named(files, "events/visit"), lambda rows: rows[3]["event"].update(author="nobody"))


def an_event_less(files: Files) -> None:
    lines_of(files, named(files, "events/visit"), lambda rows: rows.pop(5))


def an_event_more(files: Files) -> None:
    lines_of(files, named(files, "events/visit"), lambda rows: rows.append(rows[5]))


def an_event_of_no_commit(files: Files) -> None:
    lines_of(files, named(files, "events/visit"), lambda rows: rows.append({**rows[5], "position": 0}))


def a_field_that_no_schema_has(files: Files) -> None:
    lines_of(files, named(files, "events/visit"), lambda rows: rows[3]["event"].update(note="by telephone"))


def a_type_of_a_redacted_event(files: Files) -> None:
    line = {"event_id": "x", "event_type": "visit", "position": 3, "leaf": "0" * 64}
    files["redacted.ndjson"] += json.dumps(line).encode() + b"\n"


def who_landed(files: Files) -> None:
    lines_of(files, "commits.ndjson", lambda rows: rows[2].update(author="nobody"))


def the_last_commit(files: Files) -> None:
    lines_of(files, "commits.ndjson", lambda rows: rows[-1].update(author="nobody"))


def a_commit_less(files: Files) -> None:
    lines_of(files, "commits.ndjson", lambda rows: rows.pop(4))


def a_verdict(files: Files) -> None:
    def turn(rows: list[Any]) -> None:
        met = next(r for r in rows if r["status"] == "met")
        met["status"] = "not_met"

    lines_of(files, "results/verdicts.ndjson", turn)


def a_verdict_less(files: Files) -> None:
    lines_of(files, "results/verdicts.ndjson", lambda rows: rows.pop())


def a_citation(files: Files) -> None:
    def cite(rows: list[Any]) -> None:
        next(r for r in rows if r.get("event_ids"))["event_ids"][0] = "made-up"

    lines_of(files, "results/verdicts.ndjson", cite)


def a_finding(files: Files) -> None:
    lines_of(files, "state/findings.ndjson", lambda rows: rows[0].update(value_text="9"))


def the_content_that_the_fold_saw(files: Files) -> None:
    lines_of(files, "state/events.ndjson", lambda rows: rows[0].update(content="0" * 64))


def what_stands(files: Files) -> None:
    def fell(rows: list[Any]) -> None:
        next(r for r in rows if r["effective"] == "true")["effective"] = "false"

    lines_of(files, "state/events.ndjson", fell)


def a_rule(files: Files) -> None:
    files[named(files, "rules/enfold-sri/enfold_sri/sri.sql")] += b"-- changed\n"


def a_rule_more(files: Files) -> None:
    files["rules/enfold-sri/enfold_sri/more.sql"] = b"SELECT 1\n"


def the_study(files: Files) -> None:
    files["study.toml"] += b"# changed\n"


def the_lock(files: Files) -> None:
    files["requirements.lock"] += b"# changed\n"


def a_parameter(files: Files) -> None:
    of_run(files, lambda run: run["pins"].update(occurred_until="2026-01-01T00:00:00+00:00"))


def the_digest_of_verdicts(files: Files) -> None:
    a_verdict(files)
    of_run(files, lambda run: run.update(verdicts_digest="0" * 64))


def meaning_of_a_column(files: Files) -> None:
    files["tables.json"] = files["tables.json"].replace(b'kind     = \\"instant\\"', b'kind     = \\"text\\"')


CHANGES = [
    (a_value, "events of commit"),
    (an_author_of_an_event, "events of commit"),
    (an_event_less, "events of commit"),
    (an_event_more, "events of commit"),
    (an_event_of_no_commit, "belong to no commit"),
    (a_field_that_no_schema_has, "events/visit.*, line 4"),
    (a_type_of_a_redacted_event, "events of commit 3"),
    (who_landed, "commits.ndjson, line 4"),
    (the_last_commit, "the last commit"),
    (a_commit_less, "commits.ndjson, line 5"),
    (a_verdict, "results/verdicts.ndjson: its digest"),
    (a_verdict_less, "results/verdicts.ndjson: its digest"),
    (a_citation, "results/verdicts.ndjson, line"),
    (a_finding, "state/findings.ndjson: its digest"),
    (the_content_that_the_fold_saw, "state/events.ndjson, line 1"),
    (what_stands, "state/events.ndjson: its digest"),
    (a_rule, "rules/enfold-sri"),
    (a_rule_more, "rules/enfold-sri"),
    (the_study, "study.toml"),
    (the_lock, "requirements.lock"),
    (a_parameter, "run.json: pins"),
    (the_digest_of_verdicts, "results/verdicts.ndjson: its digest"),
    (meaning_of_a_column, "its digest"),
]


@pytest.mark.parametrize(("change", "where"), CHANGES, ids=[c.__name__ for c, _ in CHANGES])
def test_no_change_passes(
    change: Callable[[Files], None], where: str, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Plainly made, and with SHA256SUMS written anew by somebody who knows how."""
    import re

    files = dict(_read(small))
    change(files)
    plain = _written(tmp_path / "plain.zip", files)
    assert _verdict(plain, capsys)[0] == 4
    names = [n for n in files if n != "SHA256SUMS"]
    files["SHA256SUMS"] = "".join(f"{sha256(files[n]).hexdigest()}  {n}\n" for n in names).encode()
    code, said = _verdict(_written(tmp_path / "cunning.zip", files), capsys)
    assert code == 4
    assert re.search(where, said), said


def test_a_file_missing_surplus_or_twice_and_a_cut_off_archive_are_found(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = dict(_read(small))
    less = {n: d for n, d in files.items() if n != "requirements.lock"}
    assert _verdict(_written(tmp_path / "less.zip", less), capsys)[0] == 4
    assert _verdict(_written(tmp_path / "more.zip", {**files, "notes.txt": b""}), capsys)[0] == 4
    with (
        pytest.warns(UserWarning, match="Duplicate name"),
        zipfile.ZipFile(_written(tmp_path / "twice.zip", files), "a") as twice,
    ):
        twice.writestr("study.toml", b"")
    assert _verdict(tmp_path / "twice.zip", capsys)[0] == 4
    cut = tmp_path / "cut.zip"
    cut.write_bytes(small.read_bytes()[:-100])
    assert _verdict(cut, capsys)[0] == 4


def test_whoever_rewrites_everything_is_found_by_a_digest_kept_elsewhere(
    demo_copy: Path, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A parcel of another history agrees with itself: only what was written down tells."""
    head = str(Ledger(demo_copy / "ledger").commits.head)
    assert main(["correct", str(demo_copy), PGA, "value_number=0.1", "--reason", "nicer"]) == 0
    other = run(demo_copy)
    parcel.write(demo_copy, other["run"][:16], tmp_path / "other.zip")
    assert checked(tmp_path / "other.zip")[0] == 0
    assert checked(tmp_path / "other.zip", head)[0] == 0  # the chain goes on from there
    was = json.loads(dict(_read(whole))["run.json"])["verdicts_digest"]
    assert checked(tmp_path / "other.zip", was)[0] == 4


def _read(archive: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(archive) as file:
        yield from ((n, file.read(n)) for n in file.namelist())


def _written(path: Path, files: Files) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, data in files.items():
            file.writestr(name, data)
    return path


def _verdict(archive: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    capsys.readouterr()
    return verify_parcel.main([str(archive)]), capsys.readouterr().out
