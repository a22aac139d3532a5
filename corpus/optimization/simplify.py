"""Outlines with fewer segments, on the grid: pure functions of path data, the lossy half of stage 2."""

import math

from corpus.optimization import outline
from qwen_svg.svg.values import Command

# Canvas units that an outline may move when segments are joined or simplified; rounding adds up to 0.5. Strokes differ
# on both sides where they are moved, and get half of it.
TOLERANCE = 0.8
MAX_LEFT_OUT = 100  # corners in a row: each is measured again for each one more
SMALL = 10.0  # outlines up to this side, and radii, get a decimal more than the rest …
THIN = 2.0  # … and so do bars up to this width


def _cubic(p: tuple[float, ...], t: float) -> tuple[float, float]:
    u = 1 - t
    a, b, c, d = u * u * u, 3 * u * u * t, 3 * u * t * t, t * t * t
    return a * p[0] + b * p[2] + c * p[4] + d * p[6], a * p[1] + b * p[3] + c * p[5] + d * p[7]


# --- fewer segments ---------------------------------------------------------------------------------------------


def approximate(commands: list[Command], stroked: bool, cubic: bool = False) -> list[Command]:
    """Join segments that are nearly one, straighten curves that are nearly straight."""
    left, top, right, bottom = outline.bounds(commands)
    thin = max(0.1, min(right - left, bottom - top) / 8)  # a bar is not to lose a corner
    tolerance = TOLERANCE / 2 if stroked else min(TOLERANCE, thin)
    result = _Joined(tolerance)
    at = (0.0, 0.0)
    for letter, v in commands:
        curves = outline.arc_curves(at, v) if letter == "A" else []
        if letter == "A" and (cubic or len(curves) < 2):  # up to a quarter turn a curve is shorter to write
            for curve in curves:
                result.push(*curve)
        elif letter == "Q":
            (x, y), (qx, qy, ex, ey) = at, v
            curve = (x + 2 / 3 * (qx - x), y + 2 / 3 * (qy - y), ex + 2 / 3 * (qx - ex), ey + 2 / 3 * (qy - ey), ex, ey)
            result.push("C", curve)
        else:
            result.push(letter, v)
        at = v[-2:] if v else at
    segments = _with_starts(result.commands)
    if cubic:
        return [("C", _as_cubic(p, v)) if letter == "L" else (letter, v) for p, letter, v in segments]
    return [_simplest(p, letter, v, tolerance) for p, letter, v in segments]


def _with_starts(commands: list[Command]):
    at = start = (0.0, 0.0)
    for letter, v in commands:
        yield at, letter, v
        at = start if letter == "Z" else v[-2:]
        if letter == "M":
            start = at


def _as_cubic(p: tuple[float, float], v: tuple[float, ...]) -> tuple[float, ...]:
    (x, y), (ex, ey) = p, v
    return x + (ex - x) / 3, y + (ey - y) / 3, x + 2 * (ex - x) / 3, y + 2 * (ey - y) / 3, ex, ey


class _Joined:
    """Segments, each joined with the one before where that changes little: counted from the last point that is kept,
    because of many short steps each changes next to nothing, and all of them a circle into a triangle."""

    def __init__(self, tolerance: float):
        self.tolerance = tolerance
        self.commands: list[Command] = []
        self.left_out: list[tuple[float, float]] = []  # corners since the last one kept
        self.spent = 0.0  # of the tolerance, by curves since the last end kept

    def push(self, letter: str, v: tuple[float, ...]) -> None:
        done = self.commands
        joined = None
        if letter in "LC" and len(done) > 1 and done[-1][0] == letter and done[-2][0] != "Z":
            p0, w = done[-2][1][-2:], done[-1][1]
            joined = self._line(p0, w, v) if letter == "L" else self._curve(p0, w, v)
        if joined:
            done[-1] = (letter, joined)
        else:
            self.left_out, self.spent = [], 0.0
            done.append((letter, v))

    def _line(self, p0: tuple[float, ...], p3: tuple[float, ...], v: tuple[float, ...]) -> tuple[float, ...] | None:
        if len(self.left_out) >= MAX_LEFT_OUT or not _ahead(p0, p3, v):
            return None
        if any(_from_line(p, p0, v) >= self.tolerance or not _ahead(p0, p, v) for p in (*self.left_out, p3)):
            return None
        self.left_out.append(p3)
        return v

    def _curve(self, p0: tuple[float, ...], w: tuple[float, ...], v: tuple[float, ...]) -> tuple[float, ...] | None:
        found = _one_curve(p0, w, v, self.tolerance - self.spent)
        if found is None:
            return None
        joined, error = found
        self.spent += error
        return joined


def _one_curve(
    p0: tuple[float, float], w: tuple[float, ...], v: tuple[float, ...], tolerance: float
) -> tuple[tuple[float, ...], float] | None:
    """Return the curve that two were cut from and how far it lies from them, if there is one nearby.

    Their tangents in common, handles longer.
    """
    (ax, ay), (bx, by), (cx, cy) = w[2:4], w[4:6], v[0:2]
    ux, uy, wx, wy = bx - ax, by - ay, cx - bx, cy - by
    before, after = math.hypot(ux, uy), math.hypot(wx, wy)
    if before + after < 1e-9 or before < 1e-9 or after < 1e-9:
        return None
    if ux * wx + uy * wy < 0.97 * before * after:  # a corner
        return None
    t = before / (before + after)
    t = min(0.9, max(0.1, t))
    ex, ey = v[4:6]
    q1 = (p0[0] + (w[0] - p0[0]) / t, p0[1] + (w[1] - p0[1]) / t)
    q2 = (ex + (v[2] - ex) / (1 - t), ey + (v[3] - ey) / (1 - t))
    joined = (*p0, *q1, *q2, ex, ey)
    first, second = (*p0, *w), (bx, by, *v)
    error = 0.0
    for share in (0.35, 0.7, 1.0):
        error = max(error, math.dist(_cubic(joined, t * share), _cubic(first, share)))
        if error > tolerance:
            return None
    for share in (0.35, 0.7):
        error = max(error, math.dist(_cubic(joined, t + (1 - t) * share), _cubic(second, share)))
        if error > tolerance:
            return None
    return joined[2:], error


def _from_line(p: tuple[float, float], a: tuple[float, float], b: tuple[float, float]) -> float:
    length = math.dist(a, b)
    if length < 1e-9:
        return math.dist(p, a)
    return abs((b[0] - a[0]) * (a[1] - p[1]) - (a[0] - p[0]) * (b[1] - a[1])) / length


def _ahead(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[0] - a[0]) * (c[0] - b[0]) + (b[1] - a[1]) * (c[1] - b[1]) >= 0


def _simplest(p: tuple[float, float], letter: str, v: tuple[float, ...], tolerance: float) -> Command:
    """A cubic curve as a line or a quadratic curve where it nearly is one."""
    if letter != "C":
        return letter, v
    c1, c2, end = v[0:2], v[2:4], v[4:6]
    flat = max(_from_line(c1, p, end), _from_line(c2, p, end))
    if flat < tolerance and _ahead(p, c1, end) and _ahead(p, c2, end) and math.dist(p, end) > 0:
        return "L", end
    third = [(end[i] - 3 * c2[i] + 3 * c1[i] - p[i]) for i in (0, 1)]
    if math.hypot(*third) * math.sqrt(3) / 36 < tolerance:
        return "Q", (
            (3 * (c1[0] + c2[0]) - p[0] - end[0]) / 4, (3 * (c1[1] + c2[1]) - p[1] - end[1]) / 4, *end,
        )  # fmt: skip
    return letter, v


# --- on the grid ------------------------------------------------------------------------------------------------


def rounded(commands: list[Command], decimals: int) -> list[Command]:
    """Round all numbers; an arc that rounding would bend into another becomes curves."""
    result: list[Command] = []
    at = (0.0, 0.0)  # before rounding
    for letter, v in commands:
        if letter == "A":
            start = result[-1][1][-2:] if result[-1][0] != "Z" else at
            result += _rounded_arc(at, v, start, decimals)
        else:
            result.append((letter, tuple(round(value, decimals) + 0.0 for value in v)))
        at = v[-2:] if v else at
    return result


def moved(before: list[Command], after: list[Command]) -> list[float]:
    """Return about how much area, in square units, lies between the segments of a path and their rounded ones."""
    areas = []
    p = q = (0.0, 0.0)
    ends = [v[-2:] for letter, v in after if letter != "Z"]
    for (letter, v), end in zip((c for c in before if c[0] != "Z"), ends, strict=False):
        (x, y), (ex, ey) = p, v[-2:]
        if letter != "M":  # the mean displacement across the segment, times its length
            areas.append(abs((ex - x) * (end[1] - ey + q[1] - y) - (ey - y) * (end[0] - ex + q[0] - x)) / 2)
        p, q = (ex, ey), end
    return areas


def _rounded_arc(
    at: tuple[float, float], v: tuple[float, ...], start: tuple[float, float], decimals: int
) -> list[Command]:
    """An arc's radii are nearly free where it is short and decide its bulge where it is a half turn."""
    end = tuple(round(value, decimals) + 0.0 for value in v[5:])
    wanted = outline.arc_points(at, v, 4)
    places = decimals + (min(v[:2]) < SMALL)
    half = math.dist(start, end) / 2
    for radii in ((v[0], v[1]), (min(v[0], half), min(v[1], half))):
        arc = (*(math.floor(r * 10**places + 0.5) / 10**places for r in radii), round(v[2]) % 180, v[3], v[4], *end)
        if arc[0] and arc[1] and start != end:
            found = outline.arc_points(start, arc, 4)
            if all(math.dist(p, q) < 0.75 for p, q in zip(wanted, found, strict=False)):
                return [("A", arc)]
    curves = outline.arc_curves(at, v)
    return [("C", tuple(round(value, decimals) + 0.0 for value in curve)) for _, curve in curves if len(curve) == 6]


def tidy(commands: list[Command], stroked: bool) -> list[Command]:
    """Leave out segments and subpaths that have become points, and closing lines that filling draws anyway."""
    result: list[Command] = []
    for subpath in _subpaths(commands):
        start = at = subpath[0][1]
        closed = subpath[-1][0] == "Z"
        kept: list[Command] = []
        for letter, v in subpath[1 : len(subpath) - closed]:
            if letter == "A" and (not v[0] or not v[1]):
                letter, v = "L", v[-2:]
            if all((v[i], v[i + 1]) == at for i in range(5 if letter == "A" else 0, len(v), 2)):
                continue
            kept.append((letter, v))
            at = v[-2:]
        if kept and kept[-1][0] == "L" and at == start and (closed or not stroked) and len(kept) > 1:
            kept.pop()
        if not stroked and len(kept) == 1 and kept[0][0] == "L":
            continue  # a line has no inside
        if kept:
            result += [("M", start), *kept]
            if closed and stroked:
                result.append(("Z", ()))
    return result


def _subpaths(commands: list[Command]) -> list[list[Command]]:
    subpaths: list[list[Command]] = []
    for command in commands:
        if command[0] == "M":
            subpaths.append([command])
        else:
            subpaths[-1].append(command)
    return subpaths
