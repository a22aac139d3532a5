"""How far apart are two drawings, as LunaSVG draws them? Twenty times sooner than resvg says it, and nearly the same.

It hands out pixels, where resvg hands out PNG. Its antialiasing is another one, and so is what it makes of unusual
files: what its word is good for, compare.py decides. It draws in this process: only what has been read and resolved.
"""

import math
from typing import Any

import numpy as np

from qwen_svg.svg.render import picture_difference
from svg_constraint import CANVAS

try:
    import pylunasvg
except ImportError:  # there is no wheel for Linux on ARM
    pylunasvg = None


WHITE = 0xFFFFFFFF


def luna_difference(svg: str, other: str) -> tuple[float, float]:
    """Return `picture_difference` of two drawings at 256 pixels. Raises ValueError where it cannot be told."""
    if pylunasvg is None:
        raise ValueError("LunaSVG is not installed")
    return picture_difference(_pixels(svg), _pixels(other))


def _pixels(svg: str) -> Any:
    """Return a drawing on white in those pixels that resvg fits it into, uint8 (256, 256, 4), the last channel 255.

    Raises ValueError for what LunaSVG cannot read, and where resvg would round the drawing's own size first.
    """
    document = pylunasvg.Document.loadFromData(svg)
    if document is None:
        raise ValueError("LunaSVG cannot read the SVG")
    sides = document.width(), document.height()
    width, height = (math.ceil(CANVAS * side / max(sides)) for side in sides)
    if any(side % 1 for side in sides) or (width == height and sides[0] != sides[1]):
        raise ValueError("resvg would round its size")
    drawn = np.asarray(document.renderToBitmap(width, height, WHITE))
    if width == height:
        return drawn
    canvas = np.full((CANVAS, CANVAS, 4), 255, np.uint8)
    top, left = (CANVAS - height) // 2, (CANVAS - width) // 2
    canvas[top : top + height, left : left + width] = drawn
    return canvas
