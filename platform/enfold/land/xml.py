"""XML from elsewhere: no entity is expanded, nothing is fetched, depth and size are bounded."""

import io
from collections.abc import Iterator
from typing import Any

from enfold import extras
from enfold.errors import UsageError
from enfold.land import limits

AGAIN = "Nothing was landed. Export the file again, as XML without a DOCTYPE."
Element = Any  # of lxml, which is imported where it is needed


def elements(data: bytes, name: str, containers: set[str]) -> Iterator[Element]:
    """Yield the document's root, with its attributes only, and then each child of a container, whole; it is cleared.

    Args:
        data: the document.
        name: of the source.
        containers: local names of elements that are descended into and not yielded; the root is one.

    Raises:
        UsageError: not well-formed, a DOCTYPE, too deep, or beyond a limit; never quotes the document.
    """
    (etree,) = extras.load("reading XML", "lxml.etree")
    if len(data) > limits.MAX_DOCUMENT:
        remedy = "Export fewer subjects a file, and land the files one after the other."
        raise limits.over(name, f"{len(data):,} octets in one document", limits.MAX_DOCUMENT, remedy=remedy)
    parser = etree.iterparse(
        io.BytesIO(data), events=("start", "end"), resolve_entities=False, no_network=True, load_dtd=False,
        dtd_validation=False, attribute_defaults=False, huge_tree=False, remove_comments=True, remove_pis=True,
    )  # fmt: skip
    within = 0
    depth = 0
    try:
        for event, element in parser:
            if event == "start":
                depth += 1
                if depth == 1:
                    if element.getroottree().docinfo.doctype:
                        raise UsageError(f"{name}: has a DOCTYPE, by which entities are declared", remedy=AGAIN)
                    yield element
                elif depth > limits.MAX_DEPTH:
                    raise limits.over(name, "elements are nested too deep", limits.MAX_DEPTH, "levels", AGAIN)
                elif within or local(element) not in containers:
                    within += 1
                continue
            depth -= 1
            within -= within > 0
            if within == 0 and depth and local(element) not in containers:
                yield element
                element.clear()
                while element.getprevious() is not None:
                    del element.getparent()[0]
    except etree.XMLSyntaxError as error:
        line = error.lineno or 0
        msg = f"{name}: not well-formed XML, near line {line:,}"
        raise UsageError(msg, remedy=AGAIN) from None
    except (LookupError, UnicodeError, ValueError):
        raise UsageError(f"{name}: not in an encoding that can be read", remedy=AGAIN) from None


def local(element: Element) -> str:
    """Return the name of an element without its namespace."""
    return str(element.tag).rpartition("}")[2]


def space(element: Element) -> str:
    """Return the namespace of an element."""
    return str(element.tag).rpartition("}")[0].removeprefix("{")


def label(element: Element, name: str) -> str:
    """Return an attribute's or element's name as the document writes it, with the prefix of a foreign namespace."""
    uri, brace, plain = name.rpartition("}")
    uri = uri.removeprefix("{")
    if not brace or uri == space(element):
        return plain
    prefix = next((p for p, u in element.nsmap.items() if u == uri and p), None)
    return f"{prefix or uri}:{plain}"


def attributes(element: Element, path: str, known: set[str]) -> dict[str, str]:
    """Return an element's attributes beside the `known`, by path: `ItemData@name`."""
    return {f"{path}@{label(element, a)}": v for a, v in element.attrib.items() if label(element, a) not in known}


def leaves(element: Element, path: str, known: set[str]) -> dict[str, str]:
    """Return what an element holds beside the `known` attributes and children: text by path.

    A path is `ItemData/Annotation[2]/Comment` for a text, `ItemData@name` for an attribute.
    """
    out = attributes(element, path, known)
    counts: dict[str, int] = {}
    for child in element:
        tag = label(element, child.tag)
        if tag in known:
            continue
        counts[tag] = counts.get(tag, 0) + 1
        below = f"{path}/{tag}" + (f"[{counts[tag]}]" if counts[tag] > 1 else "")
        out |= leaves(child, below, set())
        text = (child.text or "").strip()
        if text or (not child.attrib and not len(child)):
            out[below] = text
    return out
