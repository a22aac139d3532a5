"""Paths that draw a circle, an ellipse or a rounded rectangle: elements are shorter, and sooner learned by a model."""

import math

from corpus.optimization import outline
from corpus.optimization.outline import Point
from qwen_svg.svg.values import Command

MAX_COMMANDS = 14  # four sides, eight curves for the corners, M and Z
NEAR = 0.25  # canvas units that the outline may lie beside the shape's


def recognised(path: list[Command], stroked: bool) -> tuple:
    """Return ("circle", cx, cy, r), ("ellipse", cx, cy, rx, ry), ("rect", x, y, width, height, rx, ry) or ()."""
    letters = "".join(letter for letter, _ in path)
    if not 3 <= len(letters) <= MAX_COMMANDS or "M" in letters[1:] or "Z" in letters[:-1]:
        return ()
    curves = outline.arcs_as_curves(path)
    points = outline.points_on(curves)
    if stroked and letters[-1] != "Z":
        return ()
    xs, ys = zip(*points, strict=True)
    left, top, width, height = min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)
    if min(width, height) <= 2 * NEAR:
        return ()
    area = abs(_area(curves))
    rx, ry = width / 2, height / 2
    slack = NEAR * (width + height)  # what an outline that lies NEAR beside may enclose more or less
    if abs(area - math.pi * rx * ry) < slack and _on_ellipse(points, left + rx, top + ry, rx, ry):
        if abs(rx - ry) < NEAR / 2:
            return ("circle", left + rx, top + ry, (rx + ry) / 2)
        return ("ellipse", left + rx, top + ry, rx, ry)
    missing = width * height - area  # of the four corners: (4 - π) r²
    radius = math.sqrt(max(0.0, missing) / (4 - math.pi))
    if missing < -slack or radius > min(rx, ry) + NEAR:
        return ()
    radius = min(radius, rx, ry)
    if radius < 1:  # with plain corners, path data is shorter
        return ()
    if not all(abs(_from_rectangle(x - left - rx, y - top - ry, rx, ry, radius)) < NEAR for x, y in points):
        return ()
    return ("rect", left, top, width, height, radius, radius)


def _area(curves: list[Command]) -> float:
    """Return what M, L, Q, C enclose, by Green's theorem; the sign says which way round."""
    area, start = 0.0, curves[0][1]
    at = start
    for letter, v in [*curves[1:], ("L", start)]:
        if letter == "Z":
            continue
        p = [at, *zip(v[::2], v[1::2], strict=True)]
        if letter == "Q":
            p = [p[0], _between(p[0], p[1], 2 / 3), _between(p[2], p[1], 2 / 3), p[2]]
        if letter == "L":
            area += _cross(p[0], p[1]) / 2
        else:
            area += 0.3 * (_cross(p[0], p[1]) + _cross(p[2], p[3])) + 0.05 * _cross(p[0], p[3])
            area += 0.15 * (_cross(p[0], p[2]) + _cross(p[1], p[2]) + _cross(p[1], p[3]))
        at = p[-1]
    return area


def _cross(p: Point, q: Point) -> float:
    return p[0] * q[1] - q[0] * p[1]


def _between(p: Point, q: Point, share: float) -> Point:
    return p[0] + share * (q[0] - p[0]), p[1] + share * (q[1] - p[1])


def _on_ellipse(points: list[Point], cx: float, cy: float, rx: float, ry: float) -> bool:
    share = NEAR / 2 / max(rx, ry)
    return all(abs(math.hypot((x - cx) / rx, (y - cy) / ry) - 1) < share for x, y in points)


def _from_rectangle(x: float, y: float, rx: float, ry: float, radius: float) -> float:
    """Return the signed distance of a point from a rounded rectangle around the origin, of half sides rx, ry."""
    dx, dy = abs(x) - (rx - radius), abs(y) - (ry - radius)
    return math.hypot(max(dx, 0.0), max(dy, 0.0)) + min(max(dx, dy), 0.0) - radius
