"""Vega-Lite to SVG and PNG by vl-convert: no browser, no network, the same bytes for the same specification.

Specifications are plain dicts. Altair would write the same dicts after a second of imports; the tests check each
against Altair's schema instead.
"""

import json
from decimal import Decimal
from typing import Any
from xml.sax.saxutils import escape

from enfold import extras

VEGA_LITE = "6.4"


def from_spec(spec: dict[str, Any], *, title: str, description: str) -> str:
    """Return a specification as SVG that refers to nothing outside, with title and text alternative.

    Raises:
        UsageError: vl-convert is not installed.
    """
    text = json.dumps(spec, default=_number, allow_nan=False)
    made: str = _converter().vegalite_to_svg(text, vl_version=VEGA_LITE, allowed_base_urls=[])
    head, rest = made.split(">", 1)
    return (
        f'{head} role="img" aria-labelledby="title desc"><title id="title">{escape(title)}</title>'
        f'<desc id="desc">{escape(description)}</desc>{rest}\n'
    )


def png(svg: str, scale: int = 2) -> bytes:
    """Return an SVG as PNG, `scale` pixels a point.

    Letters are drawn with the machine's own Liberation Sans where it has one, else with vl-convert's: they may differ.
    """
    made: bytes = _converter().svg_to_png(svg, scale=scale)
    return made


def _number(value: object) -> float:
    """Return a decimal as a place on paper; nothing is computed with it."""
    if isinstance(value, Decimal):
        return float(value)
    msg = f"a drawing holds a {type(value).__name__}"
    raise TypeError(msg)


def _converter() -> Any:
    return extras.load("drawing figures", "vl_convert")[0]
