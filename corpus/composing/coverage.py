"""Which pixels a thing covers, as resvg draws it: how much of it is left when another stands before it."""

import io
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from corpus.composing.answer import block
from corpus.composing.scene import Item
from qwen_svg.svg.render import png_bytes
from svg_constraint import CANVAS, SVG_OPEN


def visible_share(behind: Item, before: Item) -> float:
    """Return the share of the first thing's pixels that the second leaves free."""
    under, over = covered(behind), covered(before)
    return float((under & ~over).sum() / under.sum())


def covered(item: Item) -> Any:
    """Return the pixels of an item's first thing, bool (CANVAS, CANVAS)."""
    middle = CANVAS // 2
    x, y = item.spots[0]
    there = _covered_in_the_middle(item.thing, item.r)
    moved = np.zeros_like(there)
    rows, columns = _overlap(y - middle), _overlap(x - middle)
    moved[rows[1], columns[1]] = there[rows[0], columns[0]]
    return moved


def _overlap(by: int) -> tuple[slice, slice]:
    """From where to where, on one axis, when moved."""
    return slice(max(0, -by), CANVAS - max(0, by)), slice(max(0, by), CANVAS - max(0, -by))


@cache
def _covered_in_the_middle(thing: str, r: int) -> Any:
    middle = CANVAS // 2
    svg = "\n".join([SVG_OPEN, *block(Item(thing, "red", ((middle, middle),), r)), "</svg>"])
    with Image.open(io.BytesIO(png_bytes(svg, CANVAS, transparent=True))) as image:
        return np.asarray(image.convert("RGBA"))[..., 3] > 127
