"""A page that needs nothing: one file, no script, nothing loaded, a policy that forbids both."""

import base64
import hashlib

from enfold import __version__
from enfold.report.html import EMPTY, Html, code, element, folded, joined, paragraph, table, text
from enfold.report.model import Figure, Table
from enfold.shipped import package_file

LONG = 40  # characters: no number is printed so long
SYNTHETIC = "SYNTHETIC data: generated for demonstration; no real patient is in it."
ON_EVERY_SHEET = (
    '@page { @top-left { content: "SYNTHETIC data: no real patient"; font-size: 8pt; font-weight: bold; } }\n'
)


def page(title: str, body: Html, *, contents: Html = EMPTY, run: str, synthetic: bool) -> str:
    """Return a whole HTML file; `contents` is a list of links into `body`."""
    css = package_file("report/page.css") + (ON_EVERY_SHEET if synthetic else "")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", text(title)),
        element("style", Html(css)),
    )
    banner = element("p", text(SYNTHETIC), class_="synthetic") if synthetic else EMPTY
    whole = element(
        "html",
        head,
        element(
            "body",
            element("a", text("Skip to the content"), href="#content", class_="skip"),
            element("header", element("h1", text(title)), banner),
            element("nav", contents, aria_label="Contents") if contents else EMPTY,
            element("main", body, id="content", tabindex="-1"),
            element("footer", paragraph(f"Run {run}, written by enfold {__version__}.")),
        ),
        lang="en",
    )
    return f"<!DOCTYPE html>\n{whole}\n"


def links(titles: dict[str, str]) -> Html:
    """Return a list of links, from anchor to title."""
    return element("ul", *(element("li", element("a", text(t), href=f"#{key}")) for key, t in titles.items()))


def table_section(printed: Table) -> Html:
    """Return a table with its footnotes, its statement and its command."""
    estimand = f" Estimand: {printed.estimand}." if printed.estimand else ""
    rows = [[text(cell) for cell in row] for row in printed.rows]
    title = element("h3", text(f"{printed.title}.{estimand}"))
    made = table(title, printed.header, rows, label=f"Table: {printed.title}", class_=_class(printed))
    return element("section", made, notes(printed.footnotes), shown(printed.sql, printed.command), id=printed.key)


def _class(printed: Table) -> str | None:
    """Return the class of a table that holds sentences: they stand to the left, numbers to the right."""
    return "words" if any(len(cell) > LONG for row in printed.rows for cell in row[1:]) else None


def figure_section(picture: Figure) -> Html:
    """Return a picture with its text alternative, footnotes, statement and command."""
    made = element(
        "figure",
        element("img", src=data_url(picture.svg), alt=picture.alt),
        element("figcaption", element("h3", text(picture.title))),
    )
    said = folded("Describe in words", paragraph(picture.alt))
    how = shown(picture.sql, picture.command)
    return element("section", made, notes(picture.footnotes), element("div", said, class_="shown"), how, id=picture.key)


def notes(lines: tuple[str, ...]) -> Html:
    """Return footnotes."""
    return element("ul", *(element("li", text(n)) for n in lines), class_="notes") if lines else EMPTY


def shown(sql: str, command: str) -> Html:
    """Return what gives the numbers again."""
    return element("div", folded("Show SQL", code(sql)), folded("Show command", code(command)), class_="shown")


def data_url(svg: str) -> str:
    """Return a picture as the address of itself."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def described(facts: dict[str, str]) -> Html:
    """Return names and what they stand for."""
    pairs = (joined([element("dt", text(k)), element("dd", text(v))]) for k, v in facts.items())
    return element("dl", joined(pairs))
