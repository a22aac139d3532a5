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
    if unit in ("em", "rem", "ex", "ch"):
        size = style.get("font-size", "16")
        size = length(size, 16.0, {}) if size[:1].isdigit() and "em" not in size else 16.0
        return number * size * (1.0 if "em" in unit else 0.5)
    if unit not in _UNITS:
        raise ValueFault("number", f"unit {unit}")
    return number * _UNITS[unit]


def share(text: str) -> float:
    """Return an opacity or offset: a number or a percentage, held to 0 … 1."""
    try:
        return min(1.0, max(0.0, length(text, 1.0, {})))
    except ValueFault:
        return 1.0


def transform(text: str, origin: str) -> Matrix:
    if text.strip() in ("", "none"):
        return IDENTITY
    text = re.sub(r"(?<=[0-9.])(px|deg)\b", "", text)  # CSS's spelling of the same
    if "rad" in text or "turn" in text or "%" in text or "3d" in text:
        raise ValueFault("transform", "a CSS transform")
    matrix = transform_matrix(parse_transform(text))
    if origin.strip() not in ("", "0", "0 0", "0px 0px", "top left", "left top"):
        parts = re.fullmatch(r"\s*([-0-9.]+)(?:px)?[\s,]+([-0-9.]+)(?:px)?\s*", origin)
        if not parts:
            raise Refused("transform-origin")
        x, y = float(parts.group(1)), float(parts.group(2))
        matrix = multiply(multiply((1, 0, 0, 1, x, y), matrix), (1, 0, 0, 1, -x, -y))
    return matrix


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
