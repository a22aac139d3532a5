"""Outlines on the canvas: path data in canonical commands, transformed, stroked, measured.

Canonical: absolute M, L, C, Q, A, Z. Stroking is Skia's (skia-pathops). Arcs and points on
curves are our own: fontTools has them behind pens, where each arc becomes curves at once, while here an arc stays one
short command as long as it can; and its curve functions take one degree each, where De Casteljau's three lines take
both.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice, pairwise

import pathops

from corpus.optimization.refusal import Refused
from qwen_svg.svg.values import Command, Matrix, absolute_path, parse_path

STROKED_AT = 4.0  # units to a canvas unit
MAX_DASHES = 1_000  # of one path; more would not fit into the dialect's size
CAPS = {"butt": pathops.LineCap.BUTT_CAP, "round": pathops.LineCap.ROUND_CAP, "square": pathops.LineCap.SQUARE_CAP}
JOINS = {"miter": pathops.LineJoin.MITER_JOIN, "round": pathops.LineJoin.ROUND_JOIN}
LETTERS = {
    pathops.PathVerb.MOVE: "M",
    pathops.PathVerb.LINE: "L",
    pathops.PathVerb.QUAD: "Q",
    pathops.PathVerb.CUBIC: "C",
    pathops.PathVerb.CLOSE: "Z",
}
Point = tuple[float, float]
Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True)
class Ends:
    """How a stroke ends and turns, in SVG's words. Most dialects know the defaults only."""

    cap: str = "butt"
    join: str = "miter"
    miter_limit: float = 4.0


PLAIN = Ends()


def is_closed(commands: list[Command]) -> bool:
    """Does every subpath end in Z?"""
    following = [letter for letter, _ in commands[1:]] + ["M"]
    return all(letter == "Z" for (letter, _), after in zip(commands, following, strict=True) if after == "M")


def parse(d: str) -> list[Command]:
    """Return path data in canonical commands. Raises ValueFault."""
    return canonical(absolute_path(parse_path(d)))


def canonical(commands: Iterable[Command]) -> list[Command]:
    """Write H and V as L, S as C, T as Q; drop what follows a Z without a moveto into a subpath of its own."""
    result: list[Command] = []
    x = y = start_x = start_y = 0.0
    control: tuple[float, float] | None = None
    kind = ""  # of the command before, C or Q, when `control` is its last control point
    for letter, v in commands:
        if letter == "Z":
            result.append((letter, v))
            x, y, kind = start_x, start_y, ""  # the pen goes back to where the subpath began
            continue
        if result and result[-1][0] == "Z" and letter != "M":
            result.append(("M", (x, y)))
        if letter == "H":
            letter, v = "L", (v[0], y)
        elif letter == "V":
            letter, v = "L", (x, v[0])
        elif letter in "ST":
            # The first control point is the last one of the command before, mirrored at the pen; after a command of
            # another kind it is the pen itself (SVG 2, 9.3.6 and 9.3.7).
            curve = "C" if letter == "S" else "Q"
            first = (2 * x - control[0], 2 * y - control[1]) if kind == curve and control else (x, y)
            letter, v = curve, (*first, *v)
        result.append((letter, v))
        kind = letter if letter in "CQ" else ""
        control = (v[-4], v[-3]) if kind else None
        x, y = v[-2:]
        if letter == "M":
            start_x, start_y = x, y
    return result


def transformed(commands: list[Command], m: Matrix) -> list[Command]:
    """Apply a matrix. Arcs stay arcs where it keeps circles round, else they become curves."""
    a, b, c, d, e, f = m
    if any(letter == "A" for letter, _ in commands):
        if not keeps_circles(m):  # the image of an arc is one too, but finding its radii takes an eigenproblem
            commands = arcs_as_curves(commands)
        else:
            scale, turn, mirrored = math.hypot(a, b), math.degrees(math.atan2(b, a)), a * d < b * c
            commands = [
                (letter, _arc(v, scale, turn, mirrored)) if letter == "A" else (letter, v) for letter, v in commands
            ]
    result: list[Command] = []
    for letter, v in commands:
        head, pairs = (v[:5], v[5:]) if letter == "A" else ((), v)
        points = []
        for i in range(0, len(pairs), 2):
            x, y = pairs[i], pairs[i + 1]
            points += (a * x + c * y + e, b * x + d * y + f)
        result.append((letter, (*head, *points)))
    return result


def _arc(v: tuple[float, ...], scale: float, turn: float, mirrored: bool) -> tuple[float, ...]:
    """A similarity's image of an arc's numbers, but for the end point: a reflection turns angle and sweep around."""
    angle = round(turn - v[2] if mirrored else turn + v[2], 3) % 180  # an ellipse is itself after half a turn
    return v[0] * scale, v[1] * scale, angle, v[3], 1 - v[4] if mirrored else v[4], *v[5:]


def keeps_circles(m: Matrix, within: float = 1e-6) -> bool:
    """Is the matrix a similarity: rotation, reflection, even scaling? within: the share by which it may miss that."""
    a, b, c, d, _, _ = m
    # The images of the axes, (a, b) and (c, d), are as long as each other and at a right angle.
    size = max(abs(a), abs(b), abs(c), abs(d))
    return abs(a * a + b * b - c * c - d * d) <= within * size * size and abs(a * c + b * d) <= within * size * size


def arcs_as_curves(commands: list[Command]) -> list[Command]:
    result: list[Command] = []
    at = (0.0, 0.0)
    for letter, v in commands:
        if letter == "A":
            result += arc_curves(at, v)
        else:
            result.append((letter, v))
        at = v[-2:] if v else at
    return result


@dataclass(frozen=True)
class _Arc:
    """An elliptical arc by its center (SVG 2, appendix B.2.4): angles in radians, of the circle it is an image of."""

    center: tuple[float, float]
    rx: float
    ry: float
    cos: float
    sin: float
    first: float
    turn: float

    def place(self, u: float, w: float) -> tuple[float, float]:
        """Return the image of a point of the unit circle's plane."""
        x, y = self.rx * u, self.ry * w
        return self.center[0] + self.cos * x - self.sin * y, self.center[1] + self.sin * x + self.cos * y


def _by_center(start: tuple[float, float], v: tuple[float, ...]) -> _Arc:
    """From end points to the center. Names in brackets are those of SVG 2, appendix B.2.4."""
    rx, ry, degrees, large, sweep, x, y = v
    rx, ry, cos, sin = abs(rx), abs(ry), math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    # Half the chord, turned so that the ellipse's axes are the coordinates' (x1', y1').
    dx, dy = (start[0] - x) / 2, (start[1] - y) / 2
    px, py = cos * dx + sin * dy, cos * dy - sin * dx
    # Its squared length on the unit circle that the ellipse is the image of (Λ); above 1, no such circle reaches.
    reach = (px / rx) ** 2 + (py / ry) ** 2
    if reach > 1:  # radii too small for the chord are scaled up
        rx, ry = rx * math.sqrt(reach), ry * math.sqrt(reach)
    # Pythagoras on that circle: the center lies across the chord, sqrt(1 - reach) from its middle; the flags say on
    # which side. Divided by the half chord, which is turned by 90° and scaled to it in the next lines (cx', cy').
    share = max(0.0, 1 / min(reach, 1.0) - 1) if reach else 0.0
    factor = math.sqrt(share) * (-1 if bool(large) == bool(sweep) else 1)
    qx, qy = factor * rx * py / ry, -factor * ry * px / rx
    center = (cos * qx - sin * qy + (start[0] + x) / 2, sin * qx + cos * qy + (start[1] + y) / 2)
    # The angles at which the arc begins and ends, on the circle (θ1, Δθ); sweep = 1 is the way of growing angles.
    first = math.atan2((py - qy) / ry, (px - qx) / rx)
    turn = (math.atan2((-py - qy) / ry, (-px - qx) / rx) - first) % (2 * math.pi)
    return _Arc(center, rx, ry, cos, sin, first, turn if sweep else turn - 2 * math.pi)


def _is_arc(start: tuple[float, float], v: tuple[float, ...]) -> bool:
    return bool(v[0] and v[1]) and start != v[5:]


def arc_curves(start: tuple[float, float], v: tuple[float, ...]) -> list[Command]:
    """Return an elliptical arc as cubic curves of at most a quarter turn each."""
    if not _is_arc(start, v):
        return [] if start == v[5:] else [("L", v[5:])]
    arc = _by_center(start, v)
    count = max(1, math.ceil(abs(arc.turn) / (math.pi / 2) - 1e-9))
    step = arc.turn / count
    handle = 4 / 3 * math.tan(step / 4)  # the curve's middle then lies on the arc; off by 0.03 % of the radius at most
    curves: list[Command] = []
    for i in range(count):
        s, t = arc.first + i * step, arc.first + (i + 1) * step
        c1 = arc.place(math.cos(s) - handle * math.sin(s), math.sin(s) + handle * math.cos(s))
        c2 = arc.place(math.cos(t) + handle * math.sin(t), math.sin(t) - handle * math.cos(t))
        # The end is the arc's own to the last bit, so that closed outlines stay closed.
        end = v[5:] if i == count - 1 else arc.place(math.cos(t), math.sin(t))
        curves.append(("C", (*c1, *c2, *end)))
    return curves


def arc_points(start: tuple[float, float], v: tuple[float, ...], steps: int) -> list[tuple[float, float]]:
    """Return the `steps` - 1 points between the ends of an arc, at even angles."""
    if not _is_arc(start, v):
        return []
    arc = _by_center(start, v)
    angles = (arc.first + arc.turn * i / steps for i in range(1, steps))
    return [arc.place(math.cos(angle), math.sin(angle)) for angle in angles]


def points_on(commands: Iterable[Command], steps: int = 8) -> list[Point]:
    """Return points on a path in canonical commands: the ends of segments and `steps` - 1 between them on curves."""
    points: list[Point] = []
    for letter, v in commands:
        if letter in "QC":
            control = [points[-1], *zip(v[::2], v[1::2], strict=True)]
            points += [on_curve(control, i / steps) for i in range(1, steps)]
        elif letter == "A":
            points += arc_points(points[-1], v, steps)
        if letter != "Z":
            points.append(v[-2:])
    return points


def on_curve(control: list[Point], t: float) -> Point:
    """De Casteljau: points between neighbours, until one is left. Any degree."""
    while len(control) > 1:
        control = [(a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])) for a, b in pairwise(control)]
    return control[0]


def bounds(commands: list[Command]) -> Box:
    """Return a box that holds the outline: that of its control points, arcs as curves. `tight_bounds` is the least."""
    xs: list[float] = []
    ys: list[float] = []
    for letter, v in arcs_as_curves(commands) if any(c[0] == "A" for c in commands) else commands:
        if letter != "Z":
            xs += v[::2]
            ys += v[1::2]
    return (min(xs), min(ys), max(xs), max(ys)) if xs else (0.0, 0.0, 0.0, 0.0)


def tight_bounds(commands: list[Command]) -> Box:
    """Return the smallest box that holds the outline: what SVG calls its bounding box."""
    xs: list[float] = []
    ys: list[float] = []
    at = (0.0, 0.0)
    for letter, v in arcs_as_curves(commands):
        if letter in "QC":
            for axis, values in ((0, xs), (1, ys)):
                values += _extremes([at[axis], *v[axis::2]])
        if v:
            at = v[-2:]
            xs.append(at[0])
            ys.append(at[1])
    return (min(xs), min(ys), max(xs), max(ys)) if xs else (0.0, 0.0, 0.0, 0.0)


def _extremes(p: list[float]) -> list[float]:
    """Return where one coordinate of a curve turns back: its values where the derivative is 0."""
    if len(p) == 3:
        slope = p[0] - 2 * p[1] + p[2]
        roots = [(p[0] - p[1]) / slope] if slope else []
    else:
        a, b, c = p[3] - 3 * p[2] + 3 * p[1] - p[0], 2 * (p[2] - 2 * p[1] + p[0]), p[1] - p[0]
        if abs(a) <= 1e-9 * (abs(b) + abs(c)):  # also where all are 0: one coordinate is the same everywhere
            roots = [-c / b] if b else []
        else:
            inside = b * b - 4 * a * c
            roots = [(-b + sign * math.sqrt(inside)) / (2 * a) for sign in (1, -1)] if inside >= 0 else []
    return [on_curve([(value, 0.0) for value in p], t)[0] for t in roots if 0 < t < 1]


def without_empty(commands: list[Command]) -> list[Command]:
    """Leave out movetos that nothing follows."""
    after = [*(letter for letter, _ in commands[1:]), "M"]
    return [c for c, following in zip(commands, after, strict=False) if c[0] != "M" or following != "M"]


# --- what Skia does ---------------------------------------------------------------------------------------------


def stroked(
    commands: list[Command],
    width: float,
    ends: Ends,
    dashes: tuple[float, ...] = (),
    dash_offset: float = 0.0,
    scale: float = 1.0,
) -> list[Command]:
    """Return the outline of a stroke, to be filled. scale: canvas units to one of the path's.

    Skia approximates to a share of a unit, so it gets the path at a size where that is a share of a pixel.
    """
    if not 1e-6 < scale < 1e6:
        raise Refused("a stroke out of all scale")
    if dashes and _reach(commands) > MAX_DASHES * sum(dashes):
        raise Refused(f"more than {MAX_DASHES} dashes")
    fine = STROKED_AT * scale
    path = to_skia(transformed(commands, (fine, 0, 0, fine, 0, 0)))
    dashes = dashes * 2 if len(dashes) % 2 else dashes  # as SVG says; Skia takes pairs only
    join = JOINS.get(ends.join, pathops.LineJoin.BEVEL_JOIN)
    lengths = tuple(fine * dash for dash in dashes) or None
    path.stroke(fine * width, CAPS[ends.cap], join, ends.miter_limit, lengths, fine * dash_offset)
    path.convertConicsToQuads()  # Skia's round caps and joins are conics, which SVG lacks
    return transformed(without_empty(from_skia(path)), (1 / fine, 0, 0, 1 / fine, 0, 0))


def _reach(commands: list[Command]) -> float:
    """Return a length that a path does not exceed: that of its control polygon."""
    total, at, start = 0.0, (0.0, 0.0), (0.0, 0.0)
    for letter, v in arcs_as_curves(commands):
        start = v if letter == "M" else start
        for point in zip(v[::2], v[1::2], strict=True) if v else (start,):
            total += math.dist(at, point) if letter != "M" else 0.0
            at = point
    return total


def may_cross(commands: list[Command]) -> bool:
    """Can the even-odd rule and the nonzero rule fill differently?"""
    return len(commands) > 4 or any(letter in "CQA" for letter, _ in commands[2:])


def count_crossings(paths: Iterable[list[Command]], most: int) -> int:
    """Return how many pairs of segments may cross, besides neighbours; more than `most` are not counted.

    Those whose boxes overlap: a sweep from left to right, which stops at the first box that begins right of this one.
    """
    boxes: list[Box] = []
    for commands in paths:
        at = (0.0, 0.0)
        for letter, v in arcs_as_curves(commands):
            if letter not in "MZ":
                xs, ys = (at[0], *v[::2]), (at[1], *v[1::2])
                boxes.append((min(xs), min(ys), max(xs), max(ys)))
            at = v[-2:] if v else at
    boxes.sort()
    pairs = -len(boxes)  # each touches the one before it
    for i, (_, top, right, bottom) in enumerate(boxes):
        for other in islice(boxes, i + 1, None):
            if other[0] > right:
                break
            pairs += other[1] <= bottom and other[3] >= top
        if pairs > most:
            break
    return max(0, pairs)


def to_skia(commands: list[Command], even_odd: bool = False):
    path = pathops.Path(fillType=pathops.FillType.EVEN_ODD if even_odd else pathops.FillType.WINDING)
    for letter, v in arcs_as_curves(commands):
        if letter == "M":
            path.moveTo(*v)
        elif letter == "L":
            path.lineTo(*v)
        elif letter == "Q":
            path.quadTo(*v)
        elif letter == "C":
            path.cubicTo(*v)
        else:
            path.close()
    return path


def from_skia(path) -> list[Command]:
    return [(LETTERS[verb], tuple(value for point in points for value in point)) for verb, points in path]
