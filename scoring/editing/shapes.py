"""The shapes of a drawing as geometry on the canvas: outline and paint of each, however it is written."""

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from corpus.oklab import to_oklab
from corpus.optimization.drawn import Drawn, Group
from corpus.optimization.outline import arcs_as_curves, on_curve
from corpus.optimization.paint import Paint
from corpus.optimization.refusal import Refused
from corpus.optimization.resolve import resolve
from qwen_svg.svg.values import Command

STEP = 2.0  # canvas units between points on an outline, at most
CURVE_STEPS = 12  # between the ends of a curve
NEAR = 1.5  # canvas units that an outline may lie beside another that is the same
SAME_PAINT = 0.03  # distance in OKLab
SAME_WIDTH, SAME_OPACITY = 0.15, 0.05  # of a stroke, as a share of it; of a shape
MOST_POINTS = 20_000  # of one outline; one with more is not looked at in detail


@dataclass(frozen=True)
class Shape:
    """points: float (n, 2) on the canvas, along the outline. fill, stroke: "#rrggbb", a gradient, None for no paint."""

    points: Any
    fill: Paint
    stroke: Paint
    width: float
    opacity: float

    @cached_property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        return (*map(float, self.points.min(axis=0)), *map(float, self.points.max(axis=0)))


def read_shapes(svg: str | None) -> list[Shape]:
    """Return a drawing's shapes in painting order; none where it cannot be read."""
    try:
        return [_shape(drawn, opacity) for drawn, opacity in _flat(resolve(svg or ""), 1.0)]
    except (Refused, RecursionError):
        return []


def _flat(drawn: list[Drawn | Group], opacity: float) -> list[tuple[Drawn, float]]:
    found = []
    for one in drawn:
        inner = opacity * one.opacity
        found += _flat(one.members, inner) if isinstance(one, Group) else [(one, inner)]
    return found


def _shape(drawn: Drawn, opacity: float) -> Shape:
    return Shape(points_along(drawn.path, drawn.fill is not None), drawn.fill, drawn.stroke, drawn.width, opacity)


def points_along(path: list[Command], filled: bool) -> Any:
    """Return points on an outline, STEP apart or nearer, float (n, 2). filled: its subpaths are closed, said or not."""
    found: list[tuple[float, float]] = []
    at, start = (0.0, 0.0), None  # the pen, and where the subpath began
    for letter, v in [*arcs_as_curves(path), ("M", ())]:
        if letter in "MZ":
            if start is not None and (filled or letter == "Z"):
                found += _line(at, start)
            start = at = v if letter == "M" else start
        elif letter == "L":
            found += _line(at, v)
        else:
            control = [at, *zip(v[::2], v[1::2], strict=True)]
            corners = [on_curve(control, i / CURVE_STEPS) for i in range(CURVE_STEPS + 1)]
            for a, b in pairwise(corners):
                found += _line(a, b)
        at = v[-2:] or at
    return np.array(found[:MOST_POINTS] or [at], float)


def _line(a: tuple[float, float], b: tuple[float, float]) -> list[tuple[float, float]]:
    steps = max(1, min(512, math.ceil(math.dist(a, b) / STEP)))
    return [(a[0] + (b[0] - a[0]) * i / steps, a[1] + (b[1] - a[1]) * i / steps) for i in range(steps + 1)]


def same_outline(a: Any, b: Any, near: float = NEAR, step: float = STEP) -> bool:
    """Does each point of either outline lie beside the other? Where it begins and which way round do not count.

    step: canvas units between the points of the one, or the other, at most.
    """
    corners = np.abs(np.concatenate([a.min(axis=0) - b.min(axis=0), a.max(axis=0) - b.max(axis=0)]))
    if corners.max() > near:
        return False
    gaps = np.hypot(a[:, None, 0] - b[None, :, 0], a[:, None, 1] - b[None, :, 1])
    between = math.hypot(near, step / 2)  # the nearest of the points may lie half a step along
    return bool(max(gaps.min(axis=0).max(), gaps.min(axis=1).max()) <= between)


def paint_distance(a: Paint, b: Paint) -> float:
    """Distance in OKLab; of no paint to a paint, and of gradients that are not equal, infinity."""
    if isinstance(a, str) and isinstance(b, str):
        return math.dist(to_oklab(a), to_oklab(b))
    return 0.0 if a == b else math.inf


def same_paint(a: Shape, b: Shape, scaled: float = 1.0) -> bool:
    """scaled: by how much strokes may have become wider; they may also be as they were."""
    return (
        paint_distance(a.fill, b.fill) <= SAME_PAINT
        and paint_distance(a.stroke, b.stroke) <= SAME_PAINT
        and abs(a.opacity - b.opacity) <= SAME_OPACITY
        and (a.stroke is None or any(_same_width(a.width * by, b.width) for by in {1.0, scaled}))
    )


def _same_width(a: float, b: float) -> bool:
    return abs(a - b) <= SAME_WIDTH * max(a, b) + 0.1


def same(a: Shape, b: Shape) -> bool:
    return same_paint(a, b) and same_outline(a.points, b.points)
