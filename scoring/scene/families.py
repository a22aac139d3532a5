"""What each thing looks like, at any place and size and in any colour; and how much a part of a drawing looks like it.

A family is a thing of corpus/composing drawn from its parameters, and for plain shapes in several proportions, for
pictograms also mirrored. All are brought to the same size on a small grid, and so is what is compared with them.

    likeness = 1 - (pixels that only one of both covers + difference in colour) / pixels that either covers

What a family leaves open, the thing's own colour, is the mean of the drawing's pixels there; what differs from that
mean counts as a difference. Other parts have the colour that the family has.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from corpus.composing import things
from corpus.composing.answer import block
from corpus.composing.scene import Item
from corpus.composing.shapes import SHAPES
from scoring.scene.drawing import CELL, OPAQUE, laid_over, read_drawing
from svg_constraint import SVG_OPEN

GRID = 24  # pixels of the longer side when compared
COLOUR_WEIGHT = 0.6  # of a difference between two colours: of the square of their distance in the RGB cube
LEVELS = np.arange(0.125, 1, 0.25, np.float32)  # of opacity, by which two outlines are compared
_OWN = (1.0, 0.0, 1.0)  # fuchsia stands for a thing's own colour: no family has it elsewhere
PROPORTIONS = {  # further ones than the generator's, as SVG on a canvas of 256
    "oval": ('<ellipse cx="128" cy="128" rx="{a}" ry="{b}"/>', ((60, 40), (60, 20), (40, 60), (30, 60), (20, 60))),
    "rectangle": (
        '<path d="M{l},{t} H{r} V{b} H{l} Z"/>',
        ((60, 40), (60, 45), (60, 20), (60, 15), (40, 60), (45, 60), (30, 60), (20, 60)),
    ),
    "triangle": ('<path d="M128,{t} L{r},{b} H{l} Z"/>', ((60, 52), (60, 40), (45, 60))),
    "diamond": ('<path d="M128,{t} L{r},128 L128,{b} L{l},128 Z"/>', ((40, 60), (45, 60), (60, 45))),
    "hexagon": ('<path d="M{l},128 L98,{t} H158 L{r},128 L158,{b} H98 Z"/>', ((60, 52),)),
    "ring": (
        '<circle cx="128" cy="128" r="{a}" stroke="fuchsia" stroke-width="{b}" fill="none"/>', ((60, 8), (60, 24))
    ),
    "cross": ('<path d="M128,128 V{t} V{b} M{l},128 H{r}" stroke="fuchsia" stroke-width="{a}"/>', ((24, 60), (40, 60))),
}  # fmt: skip


@dataclass(frozen=True)
class Families:
    """Of N pictures of things: names, and float32 (N, GRID²) and (N, GRID², 3)."""

    names: list[str]
    alpha: Any
    own: Any  # where the thing's own colour is
    rest: Any  # where another colour is
    rest_colour: Any  # which one, times `rest`
    above: Any  # where `alpha` is above each of LEVELS, (N, GRID² · levels)


@cache
def families() -> Families:
    names, views = [], []
    for name in (*SHAPES, *things.pictograms()):
        for view in _views(name):
            names.append(name)
            views.append(view)
    alpha = np.stack([view[..., 3].ravel() for view in views])
    paint = np.stack([view[..., :3].reshape(-1, 3) for view in views])
    own = np.abs(paint - alpha[..., None] * np.array(_OWN, np.float32)).sum(axis=2) < 0.25 * alpha
    own = np.where(own, alpha, 0).astype(np.float32)
    rest = alpha - own
    return Families(names, alpha, own, rest, np.where(rest[..., None] > 0, paint, 0).astype(np.float32),
                    _above(alpha))  # fmt: skip


def _views(name: str) -> list[Any]:
    colour = "fuchsia" if name in SHAPES or things.pictograms()[name].colours != ("",) else ""
    drawn = ["\n".join(block(Item(name, colour, ((128, 128),), 56)))]
    template, sizes = PROPORTIONS.get(name, ("", ()))
    for a, b in sizes:
        shape = template.format(a=a, b=b, l=128 - a, r=128 + a, t=128 - b)
        drawn.append(shape if "stroke" in shape else shape.replace("/>", ' fill="fuchsia"/>'))
    views = []
    for body in drawn:
        drawing = read_drawing(f"{SVG_OPEN}{body}</svg>")
        view = look_at(drawing.paint)
        views += [view] if name in SHAPES else [view, view[:, ::-1]]
    return views


def look_at(paint: Any) -> Any:
    """Bring layers to the grid: float32 (GRID, GRID, 4), RGBA premultiplied; the longer side fills it."""
    seen, alpha = laid_over(paint)
    if (alpha < OPAQUE).all():
        return np.zeros((GRID, GRID, 4), np.float32)
    (top, bottom), (left, right) = _extent(alpha.max(axis=1)), _extent(alpha.max(axis=0))
    colour = seen - (1 - alpha[..., None])  # off the white paper, premultiplied
    both = (np.concatenate([colour, alpha[..., None]], axis=2).clip(0, 1) * 255 + 0.5).astype(np.uint8)
    scale = GRID / max(bottom - top, right - left)
    height, width = (max(1, round(n * scale)) for n in (bottom - top, right - left))
    image = Image.fromarray(both, "CMYK")  # four channels: as RGBA they would be divided by alpha
    small = image.resize((width, height), Image.Resampling.BOX, (left, top, right, bottom))
    view = np.zeros((GRID, GRID, 4), np.float32)
    y, x = (GRID - height) // 2, (GRID - width) // 2
    view[y : y + height, x : x + width] = np.asarray(small, np.float32) / 255
    return view


def _extent(most: Any) -> tuple[float, float]:
    """Return where something begins and ends, in pixels and parts of one. most: the largest opacity across."""
    found = np.flatnonzero(most >= 0.1)
    first, last = found[0], found[-1]
    return float(first + 1 - most[first]), float(last + most[last]) if last > first else float(last + 1)


def likeness(views: Any) -> tuple[Any, Any]:
    """Return how alike parts of a drawing and families are, (parts, N), and the own colour fitted, (parts, N, 3).

    views: float32 (parts, GRID, GRID, 4), as `look_at` makes them.
    """
    known = families()
    alpha = views[..., 3].reshape(len(views), -1)
    paint = views[..., :3].reshape(len(views), -1, 3)  # premultiplied
    solid = np.maximum(alpha, 1e-3)
    squares = (paint**2).sum(axis=2) / solid  # alpha · |colour|²
    common = _above(alpha) @ known.above.T / len(LEVELS)  # the sum of the smaller of both opacities
    both = alpha.sum(axis=1)[:, None] + known.alpha.sum(axis=1)[None]
    outline, union = np.maximum(both - 2 * common, 0), both - common
    # The thing's own colour: what is left of the squares about the mean.
    weight = np.maximum(alpha @ known.own.T, 1e-3)
    sums = np.stack([paint[..., k] @ known.own.T for k in range(3)], axis=2)
    own = squares @ known.own.T - (sums**2).sum(axis=2) / weight
    # The rest: squares about the family's colours.
    covered = np.maximum(known.rest, 1e-3)
    colour_squares = (known.rest_colour**2).sum(axis=2) / covered
    cross = sum(paint[..., k] @ known.rest_colour[..., k].T for k in range(3))
    rest = squares @ known.rest.T - 2 * cross + alpha @ colour_squares.T
    difference = COLOUR_WEIGHT * np.maximum(own + rest, 0)
    return 1 - (outline + difference) / np.maximum(union, 1e-3), sums / weight[..., None]


def _above(alpha: Any) -> Any:
    """Return where opacities are above each of LEVELS: (N, P) → float32 (N, P · levels)."""
    return (alpha[..., None] > LEVELS).reshape(len(alpha), -1).astype(np.float32)


assert CELL >= 2 * GRID
