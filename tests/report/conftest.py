"""Shared: a browser, started once a module."""

from collections.abc import Iterator
from typing import Any

import pytest

from report.browsing import browser


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The system's Chromium, headless."""
    with browser() as started:
        yield started
