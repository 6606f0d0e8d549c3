"""How pictures look: colours that colour-blind readers and grey printers tell apart, one font, one frame.

Colours are those of Okabe and Ito (Color Universal Design, 2008). Whatever a colour says, a shape, a dash, a letter or
the order says too.
"""

from typing import Any

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, YELLOW, PURPLE, BLACK = "#56B4E9", "#F0E442", "#CC79A7", "#000000"
GREY, PALE, INK = "#666666", "#D9D9D9", "#1A1A1A"

LEVELS = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED, BLACK)  # dose levels, arms
DASHES = ([1, 0], [6, 3], [2, 2], [8, 2, 2, 2], [4, 4], [1, 3], [10, 4])
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right")

WIDTH = 600  # px of the plotting area: with axes and legend, a page of A4 at 96 px an inch
# vl-convert carries Liberation Sans, so that text is measured alike everywhere; browsers have one with its widths
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"

CONFIG: dict[str, Any] = {
    "font": FONT,
    "background": "white",
    "aria": False,  # the picture has one text alternative, not a thousand
    "view": {"stroke": PALE},
    "axis": {
        "labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": "normal", "labelColor": INK, "titleColor": INK,
        "gridColor": "#E6E6E6", "domainColor": GREY, "tickColor": GREY, "titlePadding": 8,
        "labelLimit": 0,  # none: to look for a limit, each label would be measured once more
    },
    "legend": {
        "orient": "bottom", "labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": "normal", "labelColor": INK,
        "titleColor": INK, "labelLimit": 0, "symbolSize": 90, "columnPadding": 18,
    },
    "header": {"labelFontSize": 12, "labelColor": INK, "titleColor": INK, "titleFontSize": 12, "labelPadding": 4,
               "titleFontWeight": "normal"},
    "title": {
        "anchor": "start", "frame": "group", "fontSize": 15, "fontWeight": "bold", "color": INK, "offset": 14,
        "subtitleFontSize": 12, "subtitleColor": INK, "subtitleFontWeight": "bold", "subtitlePadding": 6,
    },
}  # fmt: skip
SYNTHETIC = "SYNTHETIC data: no real patient"
LINE = 78  # characters of a title's line


def titled(spec: dict[str, Any], title: str, *, synthetic: bool) -> dict[str, Any]:
    """Return a whole specification: the drawing with its title, its label if the data are synthetic, and the look."""
    head: dict[str, Any] = {"text": wrapped(title, LINE)}
    if synthetic:
        head["subtitle"] = SYNTHETIC
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "padding": 12,
        "title": head,
        **spec,
        "config": CONFIG,
    }


def plain(sentence: str) -> dict[str, Any]:
    """Return the drawing of one sentence: what is printed where there is nothing to draw."""
    return {
        "width": WIDTH,
        "height": 70,
        "data": {"values": [{}]},
        "mark": {"type": "text", "text": wrapped(sentence, 90), "fontSize": 13, "color": INK, "align": "center"},
    }


def wrapped(text: str, at: int) -> list[str]:
    """Return a text as lines of at most `at` characters, words kept whole."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > at:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def scale(labels: list[str], values: list[Any] | tuple[Any, ...]) -> dict[str, Any]:
    """Return a scale that gives each label its value, the values anew where they run out."""
    return {"domain": labels, "range": [values[i % len(values)] for i in range(len(labels))]}


def row_height(count: int) -> float:
    """Return the height in px of one patient's row: readable for a few, a page for hundreds."""
    height = min(18.0, 880 / max(count, 1))
    return height if height >= 9 else max(2, int(height))  # whole pixels: no hairlines between thin rows


def names_fit(count: int) -> bool:
    """Return whether rows of `count` patients are high enough for their ids."""
    return row_height(count) >= 9
