"""Each misdeed once; `make torture` does each twenty times."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from enfold import schema
from enfold.cli.main import main as enfold
from enfold.evaluate import isolation
from enfold.run.digest import slot_digests, total
from evaluate import misdeeds
from tests_support import STUDY


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = list(sys.path)
    misdeeds.install(tmp_path_factory.mktemp("site"))
    yield
    isolation.end_all()
    sys.path[:] = before


def test_every_misdeed_has_its_expectation() -> None:
    assert {*misdeeds.EXPECTED, "behaves"} == set(misdeeds.NAMES)


@pytest.mark.parametrize("name", misdeeds.EXPECTED)
def test_a_misdeed_costs_only_its_own_result(name: str) -> None:
    misdeeds.check(name)


def test_a_whole_run_goes_on_and_exits_with_6(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The study's other endpoints have the same rows, to the digest, with and without the misdeed beside them."""
    ids = ("bad_behaves", "after_behaves")
    (tmp_path / "enrolment.csv").write_text("study_id,subject_id,event_id,occurred,sex\nS,01,e1,2026-01-01,F\n")
    rows = {}
    for name, code in (("behaves", 0), ("exits", 6)):
        folder = tmp_path / name
        asked = ids if name == "behaves" else (*ids, "bad_exits", "after_exits")
        text = STUDY.replace("plugins = []\n", "") + "".join(f'[[endpoints]]\nendpoint = "{i}"\n' for i in asked)
        (tmp_path / "study.toml").write_text(text)
        assert enfold(["init", str(folder), str(tmp_path / "study.toml")]) == 0
        for plugin in dict.fromkeys(("behaves", name)):
            assert enfold(["plugin", "trust", str(folder), f"misdeed-{plugin}"]) == 0
        assert enfold(["land", str(folder), str(tmp_path / "enrolment.csv")]) == 0
        capsys.readouterr()
        assert enfold(["run", str(folder), "--json"]) == code
        manifest = json.loads(capsys.readouterr().out)
        (shard,) = (folder / "runs").glob("*/verdicts/*.parquet")
        table = pq.read_table(shard)
        rows[name] = table.filter(pc.is_in(table.column("id"), pa.array(ids)))
        if code:
            (failure,) = manifest["failures"]
            assert (failure["plugin"], failure["stage"], failure["declaration"]) == (
                "misdeed-exits", "compute", "bad_exits",
            )  # fmt: skip
            assert "after_exits" in table.column("id").to_pylist()
    verdicts = schema.results()["verdicts"]
    first, second = (total(slot_digests(verdicts, t)) for t in rows.values())
    assert rows["behaves"].num_rows == 2
    assert first == second


def test_a_guest_ends_when_its_host_is_killed() -> None:
    code = (
        "import sys, os; from enfold.evaluate.isolation import *; g = Guest(Source('x')); "
        "print(g._process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    pid = int(done.stdout)
    for _ in range(100):
        status = Path(f"/proc/{pid}/status")
        if not status.exists() or "zombie" in status.read_text():
            return
        time.sleep(0.1)
    pytest.fail("the guest lives on")
