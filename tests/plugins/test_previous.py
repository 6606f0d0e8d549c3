"""A plugin built for the previous minor version keeps working.

0.1 is the first minor version, so "previous" is the contract as it stood before `PatientRule` was added to it.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from enfold.evaluate import isolation
from enfold.evaluate.discover import discover, identity
from enfold.testing.laws import Trial


def test_a_plugin_of_the_previous_minor_version_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    source = str(Path(__file__).parent / "previous")
    subprocess.run([*pip, "--disable-pip-version-check", "--target", str(tmp_path), source], check=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    pin = identity("previous-minor")
    assert pin is not None
    found = discover(["previous-minor"], {"previous-minor": pin})
    assert not found.failures
    for name in ("previous_count", "previous_enough", "previous_held"):
        assert Trial(found, name, 10).rows.num_rows > 0, name
    isolation.end_all()
