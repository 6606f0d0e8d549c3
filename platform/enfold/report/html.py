"""HTML by plain functions: whatever is not HTML yet is escaped, so that no text of a study becomes markup."""

from collections.abc import Iterable
from html import escape
from typing import NewType

Html = NewType("Html", str)
EMPTY = Html("")
VOID = {"img", "meta", "br"}


def text(content: str) -> Html:
    """Return a text as HTML."""
    return Html(escape(content, quote=False))


def element(tag: str, /, *children: Html, **attributes: str | None) -> Html:
    """Return an element; an attribute that is None is left out, `class_` is class, other underscores are hyphens."""
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{tag}{said}>" if tag in VOID else f"<{tag}{said}>{''.join(children)}</{tag}>")


def joined(parts: Iterable[Html], between: str = "\n") -> Html:
    """Return parts one after the other."""
    return Html(between.join(parts))


def paragraph(content: str, class_: str | None = None) -> Html:
    """Return a paragraph of plain text."""
    return element("p", text(content), class_=class_)


def folded(summary: str, content: Html) -> Html:
    """Return content that a reader unfolds; no script is needed for it."""
    return element("details", element("summary", text(summary)), content)


def code(content: str) -> Html:
    """Return lines of code."""
    return element("pre", element("code", text(content)), tabindex="0")


def table(
    caption: Html, header: Iterable[str], rows: Iterable[Iterable[Html]], *, label: str, class_: str | None = None
) -> Html:
    """Return a table with caption and heads; the first cell of each row names the row.

    It scrolls sideways by itself where the screen is narrow; `label` names that region, once a page.
    """
    head = element("tr", *(element("th", text(h), scope="col") if h else element("td") for h in header))
    body = []
    for row in rows:
        first, *rest = row
        body.append(element("tr", element("th", first, scope="row"), *(element("td", c) for c in rest)))
    made = element(
        "table", element("caption", caption), element("thead", head), element("tbody", joined(body)), class_=class_
    )
    return element("div", made, class_="scroll", role="region", aria_label=label, tabindex="0")
