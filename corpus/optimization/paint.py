"""Colours and gradients as they are on the canvas."""

import colorsys
import math
from dataclasses import dataclass
from itertools import pairwise

import tinycss2.color4

from corpus.optimization.refusal import Refused
from corpus.optimization.svg_style import Style
from qwen_svg.svg.values import NAMED_COLOURS, Matrix, ValueFault, parse_paint

# Names that any tokenizer has as one or two tokens; the longer ones of CSS cost more than their #rrggbb.
SHORT_NAMES = {
    NAMED_COLOURS[name]: name
    for name in "red tan gold pink navy teal gray blue green black white brown orange purple yellow silver lime".split()
}


@dataclass(frozen=True)
class Stop:
    offset: float
    colour: str
    opacity: float


@dataclass(frozen=True)
class Gradient:
    """linear: (x1, y1, x2, y2); radial: (cx, cy, r, fx, fy). `matrix` takes them to the canvas."""

    kind: str
    numbers: tuple[float, ...]
    stops: tuple[Stop, ...]
    spread: str
    matrix: Matrix


Paint = str | Gradient | None  # "#rrggbb", a gradient, or nothing


def colour_and_opacity(text: str, style: Style) -> tuple[str | None, float]:
    """Return ("#rrggbb", how opaque it is), or (None, 0.0) for no paint. Raises ValueFault, and Refused by name."""
    text = text.strip()
    if len(text) > 200:
        raise ValueFault("paint", "not a colour")
    if text.lower() == "currentcolor":
        text = style["color"]
        if text.lower() == "currentcolor":
            return "#000000", 1.0
    if text.lower() in ("none", "transparent"):
        return None, 0.0
    if text.lower() in ("context-fill", "context-stroke"):
        raise Refused("context paint")
    try:
        return parse_paint(text)[1], 1.0
    except ValueFault:
        return _css_colour(text)


def _css_colour(text: str) -> tuple[str | None, float]:
    """hsl(), percentages, alpha: CSS Color 4 as tinycss2 reads it. Other spaces than sRGB are refused by name."""
    colour = tinycss2.color4.parse_color(text)
    if colour is None or isinstance(colour, str):
        raise ValueFault("paint", "not a colour")
    if colour.alpha == 0:
        return None, 0.0
    if colour.space == "hsl":
        hue, saturation, lightness = colour.coordinates
        held = [min(100.0, max(0.0, part or 0.0)) / 100 for part in (lightness, saturation)]
        parts = colorsys.hls_to_rgb((hue or 0.0) / 360 % 1.0, *held)
    elif colour.space in ("srgb", "hwb"):
        parts = colour.to("srgb").coordinates
    else:
        raise Refused(f"colour space {colour.space}")
    return "#" + "".join(f"{math.floor(255 * min(1.0, max(0.0, part)) + 0.5):02x}" for part in parts), colour.alpha


def colour_text(colour: str) -> str:
    """Return the shortest spelling of #rrggbb: a common name, #rgb, #rrggbb."""
    return SHORT_NAMES.get(colour) or short_hex(colour)


def short_hex(colour: str) -> str:
    """#ffcc00 → #fc0 where nothing is lost."""
    return "#" + colour[1::2] if colour[1::2] == colour[2::2] else colour


def mean_colour(gradient: Gradient) -> tuple[str, float]:
    """Return the mean over the offsets, weighed by area for a radial one."""
    stops = gradient.stops
    samples = [(i + 0.5) / 32 for i in range(32)]
    totals, weights, alphas = [0.0, 0.0, 0.0], 0.0, 0.0
    for t in samples:
        weight = t if gradient.kind == "radialGradient" else 1.0
        red, green, blue, alpha = _at(stops, t)
        weights, alphas = weights + weight, alphas + weight * alpha
        for i, value in enumerate((red, green, blue)):
            totals[i] += weight * alpha * value
    if alphas == 0:
        return "#000000", 0.0
    return "#" + "".join(f"{round(total / alphas):02x}" for total in totals), alphas / weights


def _at(stops, t: float) -> tuple[float, float, float, float]:
    parts = [(*(int(s.colour[i : i + 2], 16) for i in (1, 3, 5)), s.opacity) for s in stops]
    if t <= stops[0].offset:
        return parts[0]
    for (a, b), (p, q) in zip(pairwise(stops), pairwise(parts), strict=True):
        if t <= b.offset:
            share = (t - a.offset) / (b.offset - a.offset) if b.offset > a.offset else 1.0
            return tuple(x + share * (y - x) for x, y in zip(p, q, strict=True))
    return parts[-1]
