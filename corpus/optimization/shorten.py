"""Stage 2: painted outlines → few tokens. What the eye does not see at 256 pixels is left out.

On a tokenizer with one token a digit (Qwen's), path data costs about a token a character, so short text is what counts:
fewer segments, numbers on the integer grid, relative commands, merged paths. Everything after `approximate` and
rounding is exact, and a function of the outlines alone: text that is read again comes out the same, byte for byte.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from corpus.optimization import outline
from corpus.optimization.drawn import Drawn, Group
from corpus.optimization.gradients import gradient_text
from corpus.optimization.outline import PLAIN, Ends
from corpus.optimization.paint import Gradient, Paint, mean_colour
from corpus.optimization.path_text import number
from corpus.optimization.recognise import recognised
from corpus.optimization.refusal import Refused
from corpus.optimization.simplify import SMALL, THIN, approximate, moved, rounded, tidy
from corpus.optimization.strokes import common_ends, mitres_cut_off, needed_ends, plain_strokes
from qwen_svg.svg.values import Command
from svg_constraint import CANVAS, MAX_DECIMALS

# What rounding may move before a path gets one decimal more than the rest: square units of one segment (the long edges
# of flags), of a whole stroke, of all strokes together. 1 % of the canvas, the bound of the picture, is 655.
MAX_MOVED_BY_SEGMENT, MAX_MOVED_BY_STROKE, MAX_MOVED_BY_STROKES = 100.0, 120.0, 400.0

LARGE = 50.0  # circles from this radius, rectangles from twice this side, and what has a stroke get a decimal more, too


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
    ends: Ends = PLAIN  # of the stroke; cap or join are "" where none is seen


@dataclass(frozen=True)
class ShapeGroup:
    """Members made translucent together."""

    opacity: str
    members: tuple["Shape | ShapeGroup", ...]


@dataclass(frozen=True)
class _Form:
    """What `shorten` was asked for, and the gradients met so far by their text: what is written alike is one."""

    dialect: str
    decimals: int
    exact: bool
    cubic: bool
    moved: list[float] = field(default_factory=list)  # by rounding strokes
    met: dict[str, Gradient] = field(default_factory=dict)

    def paint(self, paint: Paint) -> Paint:
        return self.met.setdefault(gradient_text(paint, ""), paint) if isinstance(paint, Gradient) else paint


def shorten(
    drawn: Iterable[Drawn | Group], dialect: str = "prompt", decimals: int = 0, exact: bool = False, cubic: bool = False
) -> list[Shape | ShapeGroup]:
    """Return Shapes and ShapeGroups. dialect: what it lacks becomes something else. decimals: of coordinates.

    exact: nothing is approximated; for what is in the dialect already. cubic: curves and lines as cubic curves only.
    """
    parts = _parts(drawn, _Form(dialect, decimals, exact, cubic))
    if not parts:
        raise Refused("nothing is drawn")
    return parts


def _parts(drawn: Iterable[Drawn | Group], form: _Form) -> list[Shape | ShapeGroup]:
    parts: list[Shape | ShapeGroup] = []
    boxes: list[outline.Box] = []  # what each of them may paint
    for part in drawn:
        if isinstance(part, Group):
            members = _parts(part.members, form)
            opacity = number(part.opacity, MAX_DECIMALS if form.exact else 2)
            if opacity == "0" or not members:
                continue
            whole = ShapeGroup(opacity, tuple(members))
            if len(members) == 1:  # the others draw nothing
                whole = replace(members[0], opacity=number(float(opacity) * float(members[0].opacity or 1), 2))
            if isinstance(whole, Shape):
                _add(parts, boxes, whole)
            else:
                parts.append(whole)
                boxes.append((0.0, 0.0, CANVAS, CANVAS))
            continue
        part = part if form.dialect == "prompt+gradients" else _solid(part)
        plains = needed_ends(part, form.exact) if form.dialect == "prompt+strokes" else plain_strokes(part)
        if len(plains) > 1 and part.opacity < 1:  # one picture, made translucent as a whole
            whole = _parts([Group(part.opacity, [replace(plain, opacity=1.0) for plain in plains])], form)
            parts += whole
            boxes += [(0.0, 0.0, CANVAS, CANVAS)] * len(whole)
            continue
        for plain in plains:
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
        "ends": part.ends if stroke else PLAIN,
    }
    basic = part.basic or (recognised(part.path, bool(stroke)) if not form.exact else ())
    if (
        basic
        and not form.cubic
        and (geometry := basic_geometry(basic, decimals, bool(stroke) or form.exact)) is not None
    ):
        tag, values = geometry
        return Shape(tag, values, **look) if values else None
    commands = part.path
    if form.exact:
        commands = [(letter, tuple(round(value, MAX_DECIMALS) + 0.0 for value in v)) for letter, v in commands]
    else:
        fewer = approximate(commands, bool(stroke), form.cubic)
        commands = rounded(fewer, decimals)
        moved_areas = moved(fewer, commands)
        by_stroke = 2 * sum(moved_areas) if stroke else 0.0
        if (
            max(right - left, bottom - top) <= SMALL
            or (not stroke and min(right - left, bottom - top) <= THIN)
            or (stroke and mitres_cut_off(fewer) != mitres_cut_off(commands))
            or max(moved_areas, default=0.0) > MAX_MOVED_BY_SEGMENT
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


def basic_geometry(basic: tuple, decimals: int, fine: bool) -> tuple[str, dict[str, str]] | None:
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
        # A radius of more than half a side would be read as another.
        limits = ((rx, (right - x) / 2), (ry, (bottom - y) / 2))
        rx, ry = (min(round(r, places), math.floor(half * 10**places + 1e-6) / 10**places) for r, half in limits)
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
    ends = common_ends(a.ends, b.ends)
    if not ends or a.tag != "path" or (a.fill, a.stroke, a.stroke_width, a.opacity) != (
        b.fill, b.stroke, b.stroke_width, b.opacity
    ):  # fmt: skip
        return None
    if not apart and (a.fill or a.opacity):
        return None
    if len(a.commands) + len(b.commands) > MAX_JOINED:
        return None
    return replace(a, commands=(*a.commands, *b.commands), ends=ends)
