"""Lengths, shares, transforms and viewports as SVG files write them: with units, percentages, CSS spellings."""

import math
import re

from corpus.optimization.refusal import Refused
from corpus.optimization.svg_style import Style
from qwen_svg.svg.values import IDENTITY, Matrix, ValueFault, multiply, parse_transform, transform_matrix

_UNITS = {"": 1.0, "px": 1.0, "pt": 4 / 3, "pc": 16.0, "mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96.0, "q": 96 / 101.6}
_LENGTH = re.compile(r"\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*(%|[A-Za-z]*)\s*", re.ASCII)


def length(text: str, whole: float, style: Style) -> float:
    """Return a length in user units; `whole` is what 100 % means."""
    if text.strip() == "auto":
        return 0.0
    match = _LENGTH.fullmatch(text)
    if not match:
        raise ValueFault("number", "not a length")
    number, unit = float(match.group(1)), match.group(2).lower()
    if not math.isfinite(number) or abs(number) > 1e7:
        raise ValueFault("range", "out of range")
    if unit == "%":
        return number / 100 * whole
    if unit in ("em", "rem", "ex", "ch"):  # of computed values: the font's size is in pixels already
        size = float(style.get("rem" if unit == "rem" else "font-size", "16"))
        return number * size * (1.0 if "em" in unit else 0.5)
    if unit not in _UNITS:
        raise ValueFault("number", f"unit {unit}")
    return number * _UNITS[unit]


def share(text: str, default: float = 1.0) -> float:
    """Return an opacity or offset: a number or a percentage, held to 0 … 1; `default` for anything else."""
    match = _LENGTH.fullmatch(text)
    if not match or match.group(2) not in ("", "%"):
        return default
    return min(1.0, max(0.0, float(match.group(1)) / (100 if match.group(2) else 1)))


_SIZES = {
    "xx-small": 9.6,
    "x-small": 12.0,
    "small": 14.4,
    "medium": 16.0,
    "large": 19.2,
    "x-large": 24.0,
    "xx-large": 32.0,
}


def font_size(text: str, parent: Style) -> str:
    """Return a computed font size, in pixels, without a unit; the parent's for what is none."""
    above = float(parent.get("font-size", "16"))
    if (word := text.strip().lower()) in _SIZES:
        return repr(_SIZES[word])
    if word in ("larger", "smaller"):
        return repr(above * 1.2 if word == "larger" else above / 1.2)
    try:
        size = length(text, above, parent)
    except ValueFault:
        return repr(above)
    return repr(size if size >= 0 else above)


def transform(text: str, origin: str, viewport: tuple[float, float] = (0.0, 0.0)) -> Matrix:
    """Return the matrix of a transform about an origin, whose percentages and words are of the viewport."""
    if text.strip() in ("", "none"):
        return IDENTITY
    text = re.sub(r"(?<=[0-9.])(px|deg)\b", "", text)  # CSS's spelling of the same
    if "rad" in text or "turn" in text or "%" in text or "3d" in text:
        raise ValueFault("transform", "a CSS transform")
    matrix = transform_matrix(parse_transform(text))
    if origin.strip() not in ("", "0", "0 0", "0px 0px"):
        x, y = _origin(origin, viewport)
        matrix = multiply(multiply((1, 0, 0, 1, x, y), matrix), (1, 0, 0, 1, -x, -y))
    return matrix


def _origin(text: str, viewport: tuple[float, float]) -> tuple[float, float]:
    words = text.replace(",", " ").lower().split()
    if len(words) == 1:
        words = ["center", words[0]] if words[0] in ("top", "bottom") else [words[0], "center"]
    if words[0] in ("top", "bottom") or words[-1] in ("left", "right"):
        words.reverse()
    known = {"left": 0.0, "top": 0.0, "center": 0.5, "right": 1.0, "bottom": 1.0}
    if len(words) != 2:
        raise Refused("transform-origin")
    try:
        x, y = (
            known[w] * whole if w in known else length(w, whole, {}) for w, whole in zip(words, viewport, strict=True)
        )
    except ValueFault:
        raise Refused("transform-origin") from None
    return x, y


def view_box(text: str | None) -> tuple[float, float, float, float] | None:
    if text is None:
        return None
    try:
        x, y, width, height = (float(part) for part in text.replace(",", " ").split())
    except ValueError:
        return None
    if not (math.isfinite(x + y + width + height)) or width <= 0 or height <= 0:
        raise Refused("empty viewBox")
    return x, y, width, height


def fit(view: tuple[float, float, float, float], width: float, height: float, aspect: str) -> Matrix:
    """Return the matrix from a viewBox to its viewport (SVG 2, §8.2)."""
    x, y, w, h = view
    sx, sy = width / w, height / h
    words = aspect.split()
    align = words[0] if words else "xMidYMid"
    if align == "none":
        return (sx, 0, 0, sy, -x * sx, -y * sy)
    scale = max(sx, sy) if "slice" in words else min(sx, sy)
    shares = {"Min": 0.0, "Mid": 0.5, "Max": 1.0}
    dx = (width - w * scale) * shares.get(align[1:4], 0.5)
    dy = (height - h * scale) * shares.get(align[5:8], 0.5)
    return (scale, 0, 0, scale, dx - x * scale, dy - y * scale)


def dashes(style: Style, viewport: tuple[float, float]) -> tuple[float, ...]:
    text = style["stroke-dasharray"].strip()
    if text == "none" or not text:
        return ()
    whole = math.hypot(*viewport) / math.sqrt(2)
    lengths = tuple(length(part, whole, style) for part in text.replace(",", " ").split())
    return lengths if sum(lengths) > 0 and min(lengths) >= 0 else ()
