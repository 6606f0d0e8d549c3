"""Each misdeed once; `make torture` does each twenty times."""

import sys
from collections.abc import Iterator

import pytest

from enfold.evaluate import isolation
from evaluate import misdeeds


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
