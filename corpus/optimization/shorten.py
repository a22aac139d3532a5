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
from svg_constraint import CANVAS

TOLERANCE = 0.5  # canvas units that an outline may move when segments are joined; rounding adds up to 0.5
# Outlines up to this side, and radii and widths, get one decimal more than the rest; so do strokes, which differ on
# both sides where they are moved.
SMALL = 20.0


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
            continue
        for plain in plain_strokes(part if form.gradients else _solid(part)):
            shape = _shape(plain, form)
            if shape and parts and isinstance(parts[-1], Shape) and (joined := _joined(parts[-1], shape)):
                parts[-1] = joined
            elif shape:
                parts.append(shape)
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
    decimals = form.decimals
    opacity = number(part.opacity, 2)
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
    if basic and not form.cubic and (geometry := _basic_geometry(basic, decimals)) is not None:
        tag, values = geometry
        return Shape(tag, values, **look) if values else None
    commands = part.path
    if not form.exact and (stroke or max(right - left, bottom - top) <= SMALL):
        decimals += 1
    places = 3 if form.exact else decimals
    if not form.exact:
        commands = rounded(approximate(commands, cubic=form.cubic), places)
    commands = tidy(commands, bool(stroke))
    if not any(letter not in "MZ" for letter, _ in commands):
        return None
    return Shape("path", {}, commands=tuple(commands), **look)


def _basic_geometry(basic: tuple, decimals: int) -> tuple[str, dict[str, str]] | None:
    """Return (tag, attributes), with {} where it rounds to nothing; None where a path is to be written instead."""
    kind, *v = basic
    if kind == "rect":
        x, y, width, height, rx, ry = v
        right, bottom = round(x + width, decimals), round(y + height, decimals)
        x, y = round(x, decimals), round(y, decimals)
        if right <= x or bottom <= y:  # thinner than the grid
            return None
        rx, ry = min(rx, (right - x) / 2), min(ry, (bottom - y) / 2)
        values = {"x": number(x, decimals), "y": number(y, decimals), "width": number(right - x, decimals),
                  "height": number(bottom - y, decimals), "rx": number(rx, decimals + 1), "ry": ""}  # fmt: skip
        if abs(rx - ry) > 0.05:
            values["ry"] = number(ry, decimals + 1)
        return "rect", {name: value for name, value in values.items() if value not in ("", "0") or name in ("width",)}
    center = {
        "cx": number(v[0], decimals + (min(v[2:]) <= SMALL)),
        "cy": number(v[1], decimals + (min(v[2:]) <= SMALL)),
    }
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


def approximate(commands: list[Command], cubic: bool = False) -> list[Command]:
    """Join segments that are nearly one, straighten curves that are nearly straight."""
    result: list[Command] = []
    at = (0.0, 0.0)
    for letter, v in commands:
        curves = outline.arc_curves(at, v) if letter == "A" else []
        if letter == "A" and (cubic or len(curves) < 2):  # up to a quarter turn a curve is shorter to write
            for curve in curves:
                _push(result, *curve)
        elif letter == "Q":
            (x, y), (qx, qy, ex, ey) = at, v
            curve = (x + 2 / 3 * (qx - x), y + 2 / 3 * (qy - y), ex + 2 / 3 * (qx - ex), ey + 2 / 3 * (qy - ey), ex, ey)
            _push(result, "C", curve)
        else:
            _push(result, letter, v)
        at = v[-2:] if v else at
    if cubic:
        return [("C", _as_cubic(p, v)) if letter == "L" else (letter, v) for p, letter, v in _with_starts(result)]
    return [_simplest(p, letter, v) for p, letter, v in _with_starts(result)]


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


def _push(result: list[Command], letter: str, v: tuple[float, ...]) -> None:
    """Append a segment, joined with the one before where that changes little."""
    if letter not in "LC" or len(result) < 2 or result[-1][0] not in "LC" or result[-2][0] == "Z":
        result.append((letter, v))
        return
    p0, (before, w) = result[-2][1][-2:], result[-1]
    p3 = w[-2:]
    joined = None
    if letter == before == "L":
        joined = v if _from_line(p3, p0, v[-2:]) < TOLERANCE and _ahead(p0, p3, v[-2:]) else None
    elif letter == before == "C":
        joined = _one_curve(p0, w, v)
    if joined:
        result[-1] = (letter, joined)
    else:
        result.append((letter, v))


def _one_curve(p0: tuple[float, float], w: tuple[float, ...], v: tuple[float, ...]) -> tuple[float, ...] | None:
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
        if math.dist(_cubic(joined, t * share), _cubic(first, share)) > TOLERANCE:
            return None
    for share in (0.35, 0.7):
        if math.dist(_cubic(joined, t + (1 - t) * share), _cubic(second, share)) > TOLERANCE:
            return None
    return joined[2:]


def _from_line(p: tuple[float, float], a: tuple[float, float], b: tuple[float, float]) -> float:
    length = math.dist(a, b)
    if length < 1e-9:
        return math.dist(p, a)
    return abs((b[0] - a[0]) * (a[1] - p[1]) - (a[0] - p[0]) * (b[1] - a[1])) / length


def _ahead(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[0] - a[0]) * (c[0] - b[0]) + (b[1] - a[1]) * (c[1] - b[1]) >= 0


def _simplest(p: tuple[float, float], letter: str, v: tuple[float, ...]) -> Command:
    """A cubic curve as a line or a quadratic curve where it nearly is one."""
    if letter != "C":
        return letter, v
    c1, c2, end = v[0:2], v[2:4], v[4:6]
    flat = max(_from_line(c1, p, end), _from_line(c2, p, end))
    if flat < TOLERANCE and _ahead(p, c1, end) and _ahead(p, c2, end) and math.dist(p, end) > 0:
        return "L", end
    third = [(end[i] - 3 * c2[i] + 3 * c1[i] - p[i]) for i in (0, 1)]
    if math.hypot(*third) * math.sqrt(3) / 36 < TOLERANCE / 2:
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


def _rounded_arc(
    at: tuple[float, float], v: tuple[float, ...], start: tuple[float, float], decimals: int
) -> list[Command]:
    """An arc's radii are nearly free where it is short and decide its bulge where it is a half turn."""
    end = tuple(round(value, decimals) + 0.0 for value in v[5:])
    wanted = outline.arc_points(at, v, 4)
    places = decimals + (min(v[:2]) < SMALL)
    half = math.dist(start, end) / 2
    for radii in ((v[0], v[1]), (min(v[0], half), min(v[1], half))):
        arc = (*(math.floor(r * 10**places + 0.5) / 10**places for r in radii), round(v[2], 0), v[3], v[4], *end)
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


# --- neighbours -------------------------------------------------------------------------------------------------


def _joined(a: Shape, b: Shape) -> Shape | None:
    """Return two neighbouring paths of the same look as one, where they lie apart."""
    if a.tag != "path" or b.tag != "path" or a.stroke or b.stroke or isinstance(a.fill, Gradient):
        return None
    if (a.fill, a.opacity) != (b.fill, b.opacity):
        return None
    p, q = outline.bounds(list(a.commands)), outline.bounds(list(b.commands))
    if p[0] < q[2] and q[0] < p[2] and p[1] < q[3] and q[1] < p[3]:
        return None
    commands = (*a.commands, *b.commands)
    if len(commands) > 400:
        return None
    return replace(a, commands=commands)
