"""Real misbehaving distributions, installed beside the host, each called while a well-behaved one runs on."""

import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pyarrow as pa

from enfold import study
from enfold.evaluate.call import Evaluated, evaluate
from enfold.evaluate.discover import Discovery, Failure, discover, identity
from enfold.evaluate.graph import plan
from enfold.evaluate.isolation import Limits
from enfold.fold.cut import Cut
from enfold.fold.fold import fold
from tests_support import STUDY, table

FOLDER = Path(__file__).parents[1] / "plugins" / "misdeeds"
NAMES = sorted(p.parent.name for p in FOLDER.glob("*/pyproject.toml"))
LIMITS = Limits(seconds=4, memory=3 << 30)
SUBJECTS = 5


@dataclass(frozen=True)
class Misdeed:
    """What must be recorded of one: at which stage, and words of the message."""

    stage: str
    says: str


EXPECTED = {
    "raises": Misdeed("compute", "ValueError at misdeed_raises:"),
    "wrong_table": Misdeed("return", "columns that the result table does not have: colour"),
    "nan_grade": Misdeed("return", "`grade` holds double that does not fit int64 exactly"),
    "exits": Misdeed("compute", "ended by itself with exit status 0"),
    "segfaults": Misdeed("compute", "died of SIGSEGV"),
    "loops": Misdeed("compute", "no answer within 4 s"),
    "hoards": Misdeed("compute", "MemoryError at misdeed_hoards:"),
    "floods": Misdeed("compute", "printed more than 1048576 octets"),
    "patches": Misdeed("compute", "changed what is not its own: pyarrow.compute.equal"),
    "writes": Misdeed("compute", "a plugin may not do this: opening a file to write"),
    "changes": Misdeed("compute", "died of SIGSEGV"),
    "hangs": Misdeed("load", "no answer within 4 s"),
}


def install(target: Path) -> None:
    """Install every misdeed as a user would, without a network, and put it on this process's path."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    command = [*pip, "--disable-pip-version-check", "--target", str(target), *(str(FOLDER / n) for n in NAMES)]
    subprocess.run(command, check=True)
    sys.path.append(str(target))


def found(name: str) -> Discovery:
    """Return what `name` and the well-behaved one offer, trusted as they are installed."""
    names = [f"misdeed-{n}".replace("_", "-") for n in (name, "behaves")]
    pins = {n: identity(n) for n in names}
    return discover(names, {n: p for n, p in pins.items() if p}, limits=LIMITS)


def results(name: str) -> tuple[dict[str, pa.Table], list[Failure]]:
    """Return results by endpoint, and the failures, of one misdeed beside the well-behaved plugin."""
    offers = found(name)
    ids = [f"{kind}_{n}" for n in dict.fromkeys((name, "behaves")) for kind in ("bad", "after")]
    parsed = study.parse(STUDY + "".join(f'[[endpoints]]\nendpoint = "{i}"\n' for i in ids))
    rows = table("enrolment", [{"event_id": f"e{i}", "subject_id": f"{i}"} for i in range(SUBJECTS)])
    state = fold({"enrolment": rows.append_column("position", pa.array([1] * SUBJECTS))}, parsed, Cut(1))
    out: Evaluated = evaluate(plan(parsed, offers), state, parsed)
    return {t.column("id")[0].as_py(): t for t in out.verdicts}, [*offers.failures, *out.failures]


@cache
def undisturbed() -> tuple[dict[str, pa.Table], list[Failure]]:
    """Return what the well-behaved plugin gives alone."""
    return results("behaves")


def check(name: str) -> None:
    """Call one misdeed; the host lives, the fault is on record, everything else has its results.

    Raises:
        AssertionError: not so.
    """
    expected = EXPECTED[name]
    good, none = undisturbed()
    assert not none, none
    tables, failures = results(name)
    own = [f for f in failures if f.plugin == f"misdeed-{name}".replace("_", "-")]
    assert len(own) == 1, failures
    assert own[0].stage == expected.stage, own
    assert expected.says in own[0].message, own
    assert "7.1" not in own[0].message, own
    if expected.stage != "load":
        assert own[0].declaration == f"bad_{name}"
        assert tables[f"after_{name}"].num_rows == SUBJECTS  # the same distribution goes on, in a new process
    assert all(tables[i].equals(t) for i, t in good.items())
