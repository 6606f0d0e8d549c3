"""Pages read: as a parser sees them, and in the system's Chromium."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from enfold.report import html

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
]  # fmt: skip
NASTY = "</style></title><script>alert('x')</script> & \"quotes\" <b>bold</b>"


class Read(HTMLParser):
    """Reads a page: elements with their attributes, whether every one is closed, and the text."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(content)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in html.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [a for t, a in self.elements if t == tag]


@contextmanager
def browser() -> Iterator[Any]:
    """Start the system's Chromium; without one, CI fails and a laptop skips, saying why."""
    if not CHROMIUM.exists():
        if os.environ.get("CI") == "true":
            pytest.fail("no /usr/bin/chromium: .ci/run installs it")
        pytest.skip("no /usr/bin/chromium to read the page with (apt-get install chromium)")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield started
        started.close()


@contextmanager
def opened(chromium: Any, path: Path, *, width: int = 1280, script: bool = True) -> Iterator[tuple[Any, list[str]]]:
    """Open a page in a context of its own; also yield what it asked for and complained of."""
    context = chromium.new_context(viewport={"width": width, "height": 850}, java_script_enabled=script)
    seen: list[str] = []
    context.on("request", lambda r: None if r.url.startswith("data:") else seen.append(r.url))
    sheet = context.new_page()
    sheet.on("console", lambda m: seen.append(f"console: {m.text}"))
    sheet.on("pageerror", lambda e: seen.append(f"error: {e}"))
    sheet.goto(path.as_uri())
    yield sheet, seen
    context.close()


def axe_finds(sheet: Any) -> str:
    """Unfold everything and return what axe-core objects to, in words; empty where it objects to nothing."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    sheet.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    results = axe.run(sheet)
    assert len(results.response["passes"]) > 20  # it looked
    return results.generate_report() if results.violations_count else ""
