"""A drawing in few tokens, for small models: each shape as a polygon of at most 8 corners on a grid of 16, coloured.

    <path d="M10 20L30 20L30 50Z" fill="#f2a104"/>   →   <path #f90 0,1 1,1 1,3

From the full text (encoder/drawing_text.py). Curves are their end points; colours one of the 216 with equal steps in
each channel, a stroke's behind `/`. A point is one token and there are 256, so each is seen often enough to be learned
in minutes, and a drawing takes a sixth of the tokens. Rotations of single shapes are not applied.
"""

import re
from collections.abc import Callable, Iterator

from qwen_svg.svg.values import NAMED_COLOURS

GRID, CORNERS = 16, 8
CANVAS = 256
_ELEMENT = re.compile(r"<(\w+)([^<>]*)>")
_ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')
_COMMAND = re.compile(r"([A-Z])([^A-Z]*)")
_NUMBER = re.compile(r"-?\d*\.?\d+")
_LEVELS = "0369cf"


def outline(text: str) -> str:
    """Return the shapes of a drawing's full text, in their order; shapes without an extent are left out."""
    parts = []
    for tag, attributes in _ELEMENT.findall(text):
        values = dict(_ATTRIBUTE.findall(attributes))
        points = list(_corners(tag, values))
        if len(points) > CORNERS:
            points = [points[round(i * (len(points) - 1) / (CORNERS - 1))] for i in range(CORNERS)]
        cells = [f"{_cell(x)},{_cell(y)}" for x, y in points]
        cells = [cell for i, cell in enumerate(cells) if not i or cell != cells[i - 1]]
        if cells:
            paint = [_colour(values.get("fill", "#000000"))]
            paint += ["/" + _colour(values["stroke"])] if "stroke" in values else []
            parts.append(" ".join([f"<{tag}", *paint, *cells]))
    return "".join(parts)


READINGS: dict[str, Callable[[str], str]] = {"full": str, "outline": outline}  # of a drawing's full text


def _corners(tag: str, values: dict[str, str]) -> Iterator[tuple[float, float]]:
    def number(name: str, other: str = "") -> float:
        found = _NUMBER.match(values.get(name, values.get(other, "0")))
        return float(found[0]) if found else 0.0

    if tag == "path":
        x = y = 0.0
        for letter, text in _COMMAND.findall(values.get("d", "")):
            numbers = [float(found) for found in _NUMBER.findall(text)]
            if letter == "H" and numbers:
                x = numbers[0]
            elif letter == "V" and numbers:
                y = numbers[0]
            elif len(numbers) > 1:
                x, y = numbers[-2:]
            else:  # Z
                continue
            yield x, y
    elif tag in ("circle", "ellipse"):
        x, y, across, down = number("cx"), number("cy"), number("r", "rx"), number("r", "ry")
        yield from ((x - across, y), (x, y - down), (x + across, y), (x, y + down))
    elif tag == "rect":
        x, y, width, height = map(number, ("x", "y", "width", "height"))
        yield from ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
    elif tag == "line":
        yield from ((number("x1"), number("y1")), (number("x2"), number("y2")))
    else:
        numbers = [float(found) for found in _NUMBER.findall(values.get("points", ""))]
        yield from zip(numbers[::2], numbers[1::2], strict=False)


def _cell(value: float) -> int:
    return max(0, min(GRID - 1, int(value * GRID / CANVAS)))


def _colour(text: str) -> str:
    """Return one of the 216 colours, or what is none (`none`, a gradient) as it is."""
    text = NAMED_COLOURS.get(text, text)
    if not re.fullmatch(r"#[0-9a-fA-F]{3}|#[0-9a-fA-F]{6}", text):
        return text
    digits = text[1:] if len(text) == 7 else "".join(digit * 2 for digit in text[1:])
    return "#" + "".join(_LEVELS[int(digits[i : i + 2], 16) * 6 // 256] for i in (0, 2, 4))
