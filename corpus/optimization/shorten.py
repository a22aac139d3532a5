"""Stage 2: painted outlines → few tokens. What the eye does not see at 256 pixels is left out.

On a tokenizer with one token a digit (Qwen's), path data costs about a token a character, so short text is what counts:
fewer segments, numbers on the integer grid, relative commands, merged paths. Everything after `approximate` and
rounding is exact, and a function of the outlines alone: text that is read again comes out the same, byte for byte.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from common.svg_values import Command
from corpus.optimization import outline
from corpus.optimization.drawn import Drawn, Group
from corpus.optimization.gradients import gradient_text
from corpus.optimization.paint import Gradient, Paint, mean_colour
from corpus.optimization.path_text import number
from corpus.optimization.refusal import Refused
from corpus.optimization.strokes import plain_strokes
from svg_constraint import CANVAS, MAX_DECIMALS

# Canvas units that an outline may move when segments are joined or simplified; rounding adds up to 0.5. Strokes differ
# on both sides where they are moved, and get half of it.
TOLERANCE = 0.8
# What rounding may move before a path gets one decimal more than the rest: square units of one segment (the long edges
# of flags), of a whole stroke, of all strokes together. 1 % of the canvas, the bound of the picture, is 655.
MAX_MOVED_BY_SEGMENT, MAX_MOVED_BY_STROKE, MAX_MOVED_BY_STROKES = 100.0, 120.0, 400.0
SMALL = 10.0  # outlines up to this side, and radii, get a decimal more in any case …
LARGE = 50.0  # … and so do circles from this radius and rectangles from twice this side, and all that have a stroke


@dataclass(frozen=True)
class Shape:
    """One element of the result, on the canvas. geometry: its attributes; commands: of a path, absolute, instead."""

    tag: str
    geometry: dict[str, str]
    fill: Paint
    stroke: Paint = None
    stroke_width: str = ""
    opacity: str = ""
    commands: tuple[Command, ...] = ()


@dataclass(frozen=True)
class ShapeGroup:
    """Members made translucent together."""

    opacity: str
    members: tuple["Shape | ShapeGroup", ...]


@dataclass(frozen=True)
class _Form:
    """What shorten was asked for, and the gradients met so far by their text: what is written alike is one."""

    decimals: int
    gradients: bool
    exact: bool
    cubic: bool
    moved: list[float] = field(default_factory=list)  # by rounding strokes
    met: dict[str, Gradient] = field(default_factory=dict)

    def paint(self, paint: Paint) -> Paint:
        return self.met.setdefault(gradient_text(paint, ""), paint) if isinstance(paint, Gradient) else paint


def shorten(
    drawn: Iterable[Drawn | Group], decimals: int, gradients: bool, exact: bool = False, cubic: bool = False
) -> list[Shape | ShapeGroup]:
    """Return Shapes and ShapeGroups. decimals: of coordinates. gradients: keep them, else their mean colour.

    exact: nothing is approximated; for what is in the dialect already. cubic: curves and lines as cubic curves only.
    """
    parts = _parts(drawn, _Form(decimals, gradients, exact, cubic))
    if not parts:
        raise Refused("nothing is drawn")
    return parts


def _parts(drawn: Iterable[Drawn | Group], form: _Form) -> list[Shape | ShapeGroup]:
    parts: list[Shape | ShapeGroup] = []
    boxes: list[outline.Box] = []  # what each of them may paint
    for part in drawn:
        if isinstance(part, Group):
            members = _parts(part.members, form)
            opacity = number(part.opacity, 2)
            if opacity == "0" or not members:
                continue
            if len(members) == 1:  # the others draw nothing
                opacity = number(float(opacity) * float(members[0].opacity or 1), 2)
                parts.append(replace(members[0], opacity=opacity))
            else:
                parts.append(ShapeGroup(opacity, tuple(members)))
            boxes.append((0.0, 0.0, CANVAS, CANVAS))
            continue
        for plain in plain_strokes(part if form.gradients else _solid(part)):
            if shape := _shape(plain, form):
                _add(parts, boxes, shape)
    return parts


# --- paint ------------------------------------------------------------------------------------------------------


def _solid(part: Drawn) -> Drawn:
    """Replace a gradient by its mean colour over the outline's middle: the nearest one colour comes."""
    for name in ("fill", "stroke"):
        paint = getattr(part, name)
        if isinstance(paint, Gradient):
            colour, opacity = mean_colour(paint)
            if opacity < 1 and part.fill and part.stroke:
                raise Refused("translucent gradient")
            part = replace(part, **{name: colour}, opacity=part.opacity * opacity)
    return part


# --- one shape --------------------------------------------------------------------------------------------------


def _shape(part: Drawn, form: _Form) -> Shape | None:
    decimals = MAX_DECIMALS - 1 if form.exact else form.decimals
    opacity = number(part.opacity, MAX_DECIMALS if form.exact else 2)
    if opacity == "0" or not part.path:
        return None
    reach = 2 * part.width
    left, top, right, bottom = outline.bounds(part.path)
    if left - reach >= CANVAS or top - reach >= CANVAS or right + reach <= 0 or bottom + reach <= 0:
        return None
    stroke = part.stroke
    width = number(part.width, decimals + 1) if stroke else ""
    if width == "0":
        stroke, width = None, ""
        if part.fill is None:
            return None
    look = {
        "fill": form.paint(part.fill),
        "stroke": form.paint(stroke),
        "stroke_width": "" if width == "1" else width,
        "opacity": "" if opacity == "1" else opacity,
    }
    basic = part.basic or ((_as_circle(part.path) or ()) if not form.exact else ())
    if (
        basic
        and not form.cubic
        and (geometry := _basic_geometry(basic, decimals, bool(stroke) or form.exact)) is not None
    ):
        tag, values = geometry
        return Shape(tag, values, **look) if values else None
    commands = part.path
    if form.exact:
        commands = [(letter, tuple(round(value, MAX_DECIMALS) + 0.0 for value in v)) for letter, v in commands]
    else:
        fewer = approximate(commands, TOLERANCE / 2 if stroke else TOLERANCE, form.cubic)
        commands = rounded(fewer, decimals)
        moved = _moved(fewer, commands)
        by_stroke = 2 * sum(moved) if stroke else 0.0
        if (
            max(right - left, bottom - top) <= SMALL
            or max(moved, default=0.0) > MAX_MOVED_BY_SEGMENT
            or by_stroke > MAX_MOVED_BY_STROKE
            or by_stroke + sum(form.moved) > MAX_MOVED_BY_STROKES
        ):
            commands = rounded(fewer, decimals + 1)
        else:
            form.moved.append(by_stroke)
    commands = tidy(commands, bool(stroke))
    if not any(letter not in "MZ" for letter, _ in commands):
        return None
    return Shape("path", {}, commands=tuple(commands), **look)


def _basic_geometry(basic: tuple, decimals: int, fine: bool) -> tuple[str, dict[str, str]] | None:
    """Return (tag, attributes), with {} where it rounds to nothing; None where a path is to be written instead."""
    kind, *v = basic
    if kind == "rect":
        x, y, width, height, rx, ry = v
        places = decimals + 1
        decimals += fine or max(width, height) >= 2 * LARGE
        right, bottom = round(x + width, decimals), round(y + height, decimals)
        x, y = round(x, decimals), round(y, decimals)
        if right <= x or bottom <= y:  # thinner than the grid
            return None
        # Rounded down: a radius of more than half a side would be read as another.
        limits = ((rx, (right - x) / 2), (ry, (bottom - y) / 2))
        rx, ry = (math.floor(min(pair) * 10**places + 1e-6) / 10**places for pair in limits)
        values = {"x": number(x, decimals), "y": number(y, decimals), "width": number(right - x, decimals),
                  "height": number(bottom - y, decimals), "rx": number(rx, places), "ry": ""}  # fmt: skip
        if abs(rx - ry) > 0.05:
            values["ry"] = number(ry, places)
        return "rect", {name: value for name, value in values.items() if value not in ("", "0") or name in ("width",)}
    places = decimals + (fine or min(v[2:]) <= SMALL or max(v[2:]) >= LARGE)
    center = {"cx": number(v[0], places), "cy": number(v[1], places)}
    center = {name: value for name, value in center.items() if value != "0"}
    radii = [number(radius, decimals + 1) for radius in v[2:]]
    if "0" in radii:
        return kind, {}
    if kind == "circle":
        return "circle", center | {"r": radii[0]}
    if radii[0] == radii[1]:
        return "circle", center | {"r": radii[0]}
    return "ellipse", center | {"rx": radii[0], "ry": radii[1]}


def _as_circle(path: list[Command]) -> tuple | None:
    """Return ("circle", cx, cy, r) where a closed path is one: of arcs, or of four curves."""
    if not 3 <= len(path) <= 7 or path[0][0] != "M" or any(letter not in "AC" for letter, _ in path[1:-1]):
        return None
    ends = [path[0][1]] + [v[-2:] for letter, v in path[1:] if letter != "Z"]
    if path[-1][0] not in "ZAC" or math.dist(ends[0], ends[-1]) > 0.05 or len(ends) < 3:
        return None
    left, top, right, bottom = _tight_bounds(path)
    cx, cy, r = (left + right) / 2, (top + bottom) / 2, (right - left) / 2
    if r <= 0 or abs((bottom - top) / 2 - r) > 0.1:
        return None
    at = path[0][1]
    for letter, v in path[1:]:
        if letter == "Z":
            continue
        curves = outline.arc_curves(at, v) if letter == "A" else [(letter, v)]
        for _, c in curves:
            for t in (0.25, 0.5, 1.0):
                if abs(math.dist(_cubic((*at, *c), t), (cx, cy)) - r) > 0.12:
                    return None
            at = c[-2:]
    return ("circle", cx, cy, r)


def _tight_bounds(path: list[Command]) -> outline.Box:
    xs, ys = [], []
    at = path[0][1]
    for letter, v in outline.arcs_as_curves(path):
        if letter in "MZ":
            continue
        for i in range(9):
            x, y = _cubic((*at, *v), i / 8)
            xs.append(x)
            ys.append(y)
        at = v[-2:]
    return min(xs), min(ys), max(xs), max(ys)


def _cubic(p: tuple[float, ...], t: float) -> tuple[float, float]:
    u = 1 - t
    a, b, c, d = u * u * u, 3 * u * u * t, 3 * u * t * t, t * t * t
    return a * p[0] + b * p[2] + c * p[4] + d * p[6], a * p[1] + b * p[3] + c * p[5] + d * p[7]


# --- fewer segments ---------------------------------------------------------------------------------------------


def approximate(commands: list[Command], tolerance: float, cubic: bool = False) -> list[Command]:
    """Join segments that are nearly one, straighten curves that are nearly straight."""
    result: list[Command] = []
    at = (0.0, 0.0)
    for letter, v in commands:
        curves = outline.arc_curves(at, v) if letter == "A" else []
        if letter == "A" and (cubic or len(curves) < 2):  # up to a quarter turn a curve is shorter to write
            for curve in curves:
                _push(result, tolerance, *curve)
        elif letter == "Q":
            (x, y), (qx, qy, ex, ey) = at, v
            curve = (x + 2 / 3 * (qx - x), y + 2 / 3 * (qy - y), ex + 2 / 3 * (qx - ex), ey + 2 / 3 * (qy - ey), ex, ey)
            _push(result, tolerance, "C", curve)
        else:
            _push(result, tolerance, letter, v)
        at = v[-2:] if v else at
    if cubic:
        return [("C", _as_cubic(p, v)) if letter == "L" else (letter, v) for p, letter, v in _with_starts(result)]
    return [_simplest(p, letter, v, tolerance) for p, letter, v in _with_starts(result)]


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


def _push(result: list[Command], tolerance: float, letter: str, v: tuple[float, ...]) -> None:
    """Append a segment, joined with the one before where that changes little."""
    if letter not in "LC" or len(result) < 2 or result[-1][0] not in "LC" or result[-2][0] == "Z":
        result.append((letter, v))
        return
    p0, (before, w) = result[-2][1][-2:], result[-1]
    p3 = w[-2:]
    joined = None
    if letter == before == "L":
        joined = v if _from_line(p3, p0, v[-2:]) < tolerance and _ahead(p0, p3, v[-2:]) else None
    elif letter == before == "C":
        joined = _one_curve(p0, w, v, tolerance)
    if joined:
        result[-1] = (letter, joined)
    else:
        result.append((letter, v))


def _one_curve(
    p0: tuple[float, float], w: tuple[float, ...], v: tuple[float, ...], tolerance: float
) -> tuple[float, ...] | None:
    """Return the curve that two were cut from, if there is one nearby: their tangents in common, handles longer."""
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
    for share in (0.35, 0.7, 1.0):
        if math.dist(_cubic(joined, t * share), _cubic(first, share)) > tolerance:
            return None
    for share in (0.35, 0.7):
        if math.dist(_cubic(joined, t + (1 - t) * share), _cubic(second, share)) > tolerance:
            return None
    return joined[2:]


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


def _moved(before: list[Command], after: list[Command]) -> list[float]:
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


# --- paths of the same look -------------------------------------------------------------------------------------

LOOK_BACK = 32  # parts
MAX_JOINED = 400  # commands


def _add(parts: list[Shape | ShapeGroup], boxes: list[outline.Box], shape: Shape) -> None:
    """Append a shape, or join it to a path of the same look that only what lies elsewhere was drawn after."""
    box = _painted(shape)
    if shape.tag == "path":
        for i in range(len(parts) - 1, max(-1, len(parts) - 1 - LOOK_BACK), -1):
            apart = not _overlap(boxes[i], box)
            if isinstance(parts[i], Shape) and (joined := _joined(parts[i], shape, apart)):
                parts[i], other = joined, boxes[i]
                boxes[i] = (*map(min, other[:2], box[:2]), *map(max, other[2:], box[2:]))
                return
            if not apart:
                break
    parts.append(shape)
    boxes.append(box)


def _painted(shape: Shape) -> outline.Box:
    """Return a box around all that a shape paints; rounded, so that it is the same when the text is read again."""
    reach = 2 * float(shape.stroke_width or 1) if shape.stroke else 0.0
    if shape.tag == "path":
        left, top, right, bottom = outline.bounds(shape.commands)
    else:
        g = {name: float(value) for name, value in shape.geometry.items()}
        rx, ry = g.get("rx", g.get("r", 0.0)), g.get("ry", g.get("r", 0.0))
        x, y = (
            (g.get("x", 0.0), g.get("y", 0.0))
            if shape.tag == "rect"
            else (g.get("cx", 0.0) - rx, g.get("cy", 0.0) - ry)
        )
        left, top, right, bottom = x, y, x + g.get("width", 2 * rx), y + g.get("height", 2 * ry)
    return round(left - reach, 3), round(top - reach, 3), round(right + reach, 3), round(bottom + reach, 3)


def _overlap(p: outline.Box, q: outline.Box) -> bool:
    return p[0] < q[2] and q[0] < p[2] and p[1] < q[3] and q[1] < p[3]


def _joined(a: Shape, b: Shape, apart: bool) -> Shape | None:
    """Return two paths of the same look as one. Where they are not apart, strokes in one colour may still be."""
    if a.tag != "path" or (a.fill, a.stroke, a.stroke_width, a.opacity) != (
        b.fill,
        b.stroke,
        b.stroke_width,
        b.opacity,
    ):
        return None
    if not apart and (a.fill or a.opacity):
        return None
    if len(a.commands) + len(b.commands) > MAX_JOINED:
        return None
    return replace(a, commands=(*a.commands, *b.commands))
