"""Shapes as an SVG document in the dialect: gradients first, a comment before each visual block, one element a line."""

import math
from collections.abc import Iterable, Iterator
from itertools import groupby

from common.svg_values import multiply
from corpus.optimization import outline
from corpus.optimization.describe_geometry import describe_block, flat, reasoning
from corpus.optimization.paint import Gradient, Paint, colour_text
from corpus.optimization.path_text import compact_path, number, plain_path
from corpus.optimization.shorten import Shape, ShapeGroup
from svg_constraint import SVG_OPEN


def write_answer(name: str, parts: list[Shape | ShapeGroup], compact: bool = False) -> str:
    """Return `<reasoning>…</reasoning>` and the SVG: an answer as the training data has it."""
    comments = [describe_block(block) for block in _blocks(parts)]
    return f"<reasoning>\n{reasoning(name, parts, comments)}\n</reasoning>\n\n{write_document(parts, compact=compact)}"


def write_document(parts: list[Shape | ShapeGroup], comments: bool = True, compact: bool = True) -> str:
    """Return the SVG text. comments: one before each visual block, which the prompt dialects ask for.

    compact: path data in few tokens, else plain (corpus/optimization/path_text.py).
    """
    names: dict[Gradient, str] = {}
    for shape in flat(parts):
        for paint in (shape.fill, shape.stroke):
            if isinstance(paint, Gradient):
                names.setdefault(paint, f"g{len(names) + 1}")
    lines = [SVG_OPEN]
    if names:
        lines += ["<defs>", *(gradient_text(gradient, name) for gradient, name in names.items()), "</defs>"]
    for block in _blocks(parts):
        if comments:
            lines.append(f"<!-- {describe_block(block)} -->")
        for part in block:
            lines += _lines(part, names, compact)
    return "\n".join([*lines, "</svg>"])


def _blocks(parts: list[Shape | ShapeGroup]) -> Iterator[list[Shape | ShapeGroup]]:
    """Yield visual blocks as svg_constraint.py has them: a group, or a run of shapes of the same paint."""

    def look(part: Shape | ShapeGroup) -> tuple:
        return (id(part),) if isinstance(part, ShapeGroup) else (part.fill, part.stroke)

    for _, block in groupby(parts, key=look):
        yield list(block)


def _lines(part: Shape | ShapeGroup, names: dict[Gradient, str], compact: bool) -> Iterable[str]:
    if isinstance(part, ShapeGroup):
        inner = [line for member in part.members for line in _lines(member, names, compact)]
        return [f'<g opacity="{part.opacity}">', *inner, "</g>"]
    paint = [
        ("fill", "" if part.fill == "#000000" else paint_text(part.fill, names)),
        ("stroke", paint_text(part.stroke, names) if part.stroke else ""),
        ("stroke-width", part.stroke_width),
        ("opacity", part.opacity),
    ]
    path = {}
    if part.commands:
        path["d"] = compact_path(part.commands) if compact else plain_path(part.commands, closed=not part.stroke)
    attributes = [*path.items(), *part.geometry.items(), *paint]
    return [f"<{part.tag} " + " ".join(f'{name}="{value}"' for name, value in attributes if value) + "/>"]


def paint_text(paint: Paint, names: dict[Gradient, str]) -> str:
    if paint is None:
        return "none"
    return f"url(#{names[paint]})" if isinstance(paint, Gradient) else colour_text(paint)


# --- gradients --------------------------------------------------------------------------------------------------


def gradient_text(gradient: Gradient, name: str) -> str:
    """Return a gradient in canvas coordinates, with a transform only where a circle has become an ellipse."""
    values = _linear(gradient) if gradient.kind == "linearGradient" else _radial(gradient)
    if gradient.spread != "pad":
        values["spreadMethod"] = gradient.spread
    attributes = " ".join(f'{key}="{value}"' for key, value in values.items())
    stops = []
    for stop in gradient.stops:
        texts = {"offset": number(stop.offset, 3), "stop-color": colour_text(stop.colour)}
        if stop.opacity < 1:
            texts["stop-opacity"] = number(stop.opacity, 2)
        stops.append("<stop " + " ".join(f'{key}="{value}"' for key, value in texts.items()) + "/>")
    return (
        f'<{gradient.kind} id="{name}" {attributes} gradientUnits="userSpaceOnUse">{"".join(stops)}</{gradient.kind}>'
    )


def _linear(gradient: Gradient) -> dict[str, str]:
    """Any affine image of a linear gradient is one: its lines of equal colour stay lines.

    They are the lines n · (p - p1) = const with n = (p2 - p1) / |p2 - p1|²; n transforms by the inverse transpose.
    """
    x1, y1, x2, y2 = gradient.numbers
    a, b, c, d, e, f = gradient.matrix
    length, determinant = (x2 - x1) ** 2 + (y2 - y1) ** 2, a * d - b * c
    start = (a * x1 + c * y1 + e, b * x1 + d * y1 + f)
    if length == 0 or determinant == 0:
        end = start
    else:
        nx, ny = (x2 - x1) / length, (y2 - y1) / length
        nx, ny = (d * nx - b * ny) / determinant, (a * ny - c * nx) / determinant
        size = nx * nx + ny * ny
        end = (start[0] + nx / size, start[1] + ny / size)
    return {name: number(v, 1) for name, v in zip(("x1", "y1", "x2", "y2"), (*start, *end), strict=True)}


def _radial(gradient: Gradient) -> dict[str, str]:
    cx, cy, r, fx, fy = gradient.numbers
    a, b, c, d, e, f = gradient.matrix
    if outline.keeps_circles(gradient.matrix):
        center, focus = (a * cx + c * cy + e, b * cx + d * cy + f), (a * fx + c * fy + e, b * fx + d * fy + f)
        values = {"cx": number(center[0], 1), "cy": number(center[1], 1), "r": number(r * math.hypot(a, b), 1)}
        for name, value, own in (("fx", focus[0], center[0]), ("fy", focus[1], center[1])):
            if number(value, 1) != number(own, 1):
                values[name] = number(value, 1)
        return values
    unit = multiply(gradient.matrix, (r, 0, 0, r, cx, cy))
    values = {"cx": "0", "cy": "0", "r": "1"}
    for name, value in (("fx", (fx - cx) / r), ("fy", (fy - cy) / r)):
        if number(value, 3) != "0":
            values[name] = number(value, 3)
    return values | {"gradientTransform": f"matrix({' '.join(number(value, 3) for value in unit)})"}
