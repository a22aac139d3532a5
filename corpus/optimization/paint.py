"""Colours and gradients as they are on the canvas."""

from dataclasses import dataclass

from common.svg_values import NAMED_COLOURS, Matrix, ValueFault, parse_paint
from corpus.optimization.refusal import Refused
from corpus.optimization.svg_style import Style

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


def colour(text: str, style: Style) -> str | None:
    text = text.strip()
    if text.lower() == "currentcolor":
        text = style["color"]
        if text.lower() == "currentcolor":
            return "#000000"
    if text.lower() in ("none", "transparent"):
        return None
    try:
        return parse_paint(text)[1]
    except ValueFault:
        return _css_colour(text)


def _css_colour(text: str) -> str | None:
    """hsl(), percentages, alpha: CSS Color 4 as tinycss2 reads it."""
    import tinycss2.color4

    colour = tinycss2.color4.parse_color(text)
    if colour is None or isinstance(colour, str):
        raise ValueFault("paint", "not a colour")
    if colour.alpha == 0:
        return None
    if colour.alpha < 1:
        raise Refused("translucent colour")
    red, green, blue = colour.to("srgb").coordinates
    return "#" + "".join(f"{round(255 * min(1.0, max(0.0, part))):02x}" for part in (red, green, blue))


def colour_text(colour: str) -> str:
    """Return the shortest spelling of #rrggbb: a common name, #rgb, #rrggbb."""
    return SHORT_NAMES.get(colour) or short_hex(colour)


def short_hex(colour: str) -> str:
    """#ffcc00 → #fc0 where nothing is lost."""
    return "#" + colour[1::2] if colour[1::2] == colour[2::2] else colour
