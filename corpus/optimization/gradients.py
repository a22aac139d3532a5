"""Gradients: read from a file with all they take from others, and written in the dialect."""

import math
from typing import Any

from corpus.optimization import outline
from corpus.optimization.computed import computed, inherit
from corpus.optimization.paint import Gradient, Paint, Stop, colour_and_opacity, colour_text
from corpus.optimization.path_text import number
from corpus.optimization.refusal import Refused
from corpus.optimization.svg_document import SvgDocument, reference_of, tag_of
from corpus.optimization.svg_style import Style, own_style
from corpus.optimization.units import length, share, transform
from qwen_svg.svg.values import IDENTITY, Command, Matrix, multiply

GRADIENTS = ("linearGradient", "radialGradient")
OF_STOPS = ("color", "stop-color", "stop-opacity")
COST = 2  # of a stop: it takes the time of so many path commands
KEYWORDS = frozenset({"inherit", "initial", "unset"})


def read_gradient(
    document: SvgDocument,
    element: Any,
    path: list[Command],
    style: Style,
    matrix: Matrix,
    viewport: tuple[float, float],
) -> Paint:
    """Return a gradient with all it takes from others, one colour where it is one, None where it has no stops."""
    chain = [element]
    while len(chain) < 16:
        href = reference_of(chain[-1].attrib)
        following = document.by_id.get(href[1:]) if href.startswith("#") else None
        if following is None or following in chain or tag_of(following) not in GRADIENTS:
            break
        chain.append(following)
    styles = [own_style(link, document.sheets) for link in chain]

    def said(name: str, default: str, kind: str = "") -> str:
        for link, own in zip(chain, styles, strict=True):
            if name in own and (not kind or tag_of(link) == kind):
                return own[name]
        return default

    stops = next((s for link in chain if (s := _stops(document, link))), ())
    if not stops:
        return None
    if len(stops) == 1 or len({(s.colour, s.opacity) for s in stops}) == 1:
        return _solid(stops[-1])
    kind = tag_of(element)
    boxed = said("gradientUnits", "objectBoundingBox") != "userSpaceOnUse"
    sides = (1.0, 1.0) if boxed else viewport

    def number(name: str, default: str) -> float:
        side = {"x": sides[0], "y": sides[1]}.get(name.strip("cf12"), math.hypot(*sides) / math.sqrt(2))
        return length(said(name, default, kind), side, style)

    if kind == "linearGradient":
        numbers = (number("x1", "0%"), number("y1", "0%"), number("x2", "100%"), number("y2", "0%"))
        if numbers[:2] == numbers[2:]:
            return _solid(stops[-1])
    else:
        center = (number("cx", "50%"), number("cy", "50%"))
        numbers = (
            *center,
            number("r", "50%"),
            number("fx", said("cx", "50%", kind)),
            number("fy", said("cy", "50%", kind)),
        )
        if said("fr", "0", kind).rstrip("%") not in ("0", "0.0"):
            raise Refused("focal radius")
        if numbers[2] <= 0:
            return _solid(stops[-1])
    if boxed:
        left, top, right, bottom = outline.tight_bounds(path)
        if right - left <= 0 or bottom - top <= 0:
            return None
        matrix = multiply(matrix, (right - left, 0, 0, bottom - top, left, top))
    if own_transform := said("gradientTransform", "") or said("transform", ""):
        own = transform(own_transform, said("transform-origin", ""), sides)
        if abs(own[0] * own[3] - own[1] * own[2]) < 1e-12:
            raise Refused("gradient transform without an inverse")
        matrix = multiply(matrix, own)
    spread = said("spreadMethod", "pad")
    return Gradient(kind, numbers, stops, spread if spread in ("reflect", "repeat") else "pad", matrix)


def _solid(stop: Stop) -> Paint:
    """Return one colour all over, as a gradient between it and itself where it is translucent."""
    if stop.opacity >= 1:
        return stop.colour
    return Gradient("linearGradient", (0.0, 0.0, 1.0, 0.0), (stop, stop), "pad", IDENTITY)


def _stops(document: SvgDocument, element: Any) -> tuple[Stop, ...]:
    """Stops inherit from the gradient they stand in, not from what it paints."""
    stops: list[Stop] = []
    around: Style | None = None
    plain: Style = {}  # of a stop that says nothing
    for child in element:
        if tag_of(child) != "stop":
            continue
        document.spend(COST)
        own = own_style(child, document.sheets)
        offset = min(1.0, max(stops[-1].offset if stops else 0.0, share(own.get("offset", "0"), 0.0)))
        if around is None:
            around = computed(element, document.sheets)
            plain = inherit(around, {})
        own = {name: own[name] for name in OF_STOPS if name in own}
        # All properties of thousands of stops would take seconds; a stop's own two mostly stand as they are.
        style = plain | own if "color" not in own and KEYWORDS.isdisjoint(own.values()) else inherit(around, own)
        paint, opacity = colour_and_opacity(style["stop-color"], style)
        if paint is None:  # "none" is no colour of a stop; "transparent" is
            paint, opacity = "#000000", 1.0 if own.get("stop-color", "").strip() == "none" else 0.0
        stops.append(Stop(offset, paint, share(style["stop-opacity"]) * opacity))
    return tuple(stops)


def gradient_text(gradient: Gradient, name: str) -> str:
    """Return a gradient in canvas coordinates, with a transform only where a circle has become an ellipse."""
    values = _linear(gradient) if gradient.kind == "linearGradient" else _radial(gradient)
    if gradient.spread != "pad":
        values["spreadMethod"] = gradient.spread
    attributes = " ".join(f'{key}="{value}"' for key, value in values.items())
    stops = []
    for stop in gradient.stops:
        texts = {"offset": number(stop.offset, 3), "stop-color": colour_text(stop.colour)}
        if (opacity := number(stop.opacity, 2)) != "1":
            texts["stop-opacity"] = opacity
        stops.append("<stop " + " ".join(f'{key}="{value}"' for key, value in texts.items()) + "/>")
    return (
        f'<{gradient.kind} id="{name}" {attributes} gradientUnits="userSpaceOnUse">{"".join(stops)}</{gradient.kind}>'
    )


def _places(gradient: Gradient) -> int:
    """Return how many decimals coordinates have: where a gradient goes on and on, an error grows with every round."""
    return 1 if gradient.spread == "pad" else 3


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
    places = _places(gradient)
    return {name: number(v, places) for name, v in zip(("x1", "y1", "x2", "y2"), (*start, *end), strict=True)}


def _radial(gradient: Gradient) -> dict[str, str]:
    """A circle where its image is one to the last decimal written, else the unit circle and its matrix.

    The decision falls on the numbers as they are written: read again, it falls the same way.
    """
    cx, cy, r, fx, fy = gradient.numbers
    unit = multiply(gradient.matrix, (r, 0, 0, r, cx, cy))
    unit = tuple(round(value, 3) for value in unit)
    a, b, c, d, e, f = unit
    fx, fy = (fx - cx) / r, (fy - cy) / r
    if outline.keeps_circles(unit, within=2e-3):
        focus = (a * fx + c * fy + e, b * fx + d * fy + f)
        places = _places(gradient)
        values = {"cx": number(e, places), "cy": number(f, places), "r": number(math.hypot(a, b), places)}
        for name, value, own in (("fx", focus[0], e), ("fy", focus[1], f)):
            if number(value, places) != number(own, places):
                values[name] = number(value, places)
        return values
    values = {"cx": "0", "cy": "0", "r": "1"}
    for name, value in (("fx", fx), ("fy", fy)):
        if number(value, 3) != "0":
            values[name] = number(value, 3)
    return values | {"gradientTransform": f"matrix({' '.join(number(value, 3) for value in unit)})"}
