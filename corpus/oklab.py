"""OKLab: a colour space in which distance is what the eye sees (Björn Ottosson, "A perceptual color space", 2020)."""

import math
from functools import cache
from typing import Any

import numpy as np

Lab = tuple[float, float, float]  # lightness 0 to 1, green to red, blue to yellow

TO_LMS = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
TO_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)


@cache
def to_oklab(colour: str) -> Lab:
    """#rrggbb → (L, a, b)."""
    linear = []
    for i in (1, 3, 5):
        c = int(colour[i : i + 2], 16) / 255
        linear.append(c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4)
    lms = [math.cbrt(sum(map(math.prod, zip(row, linear, strict=True)))) for row in TO_LMS]
    return tuple(sum(map(math.prod, zip(row, lms, strict=True))) for row in TO_LAB)


def pixels_to_oklab(rgb: Any) -> Any:
    """uint8 array (…, 3) of sRGB → float64 array (…, 3) of L, a, b."""
    c = rgb / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ np.array(TO_LMS).T) @ np.array(TO_LAB).T


def from_oklab(lab: Lab) -> str:
    """(L, a, b) → #rrggbb; what sRGB cannot show is made greyer until it can."""
    light, a, b = min(max(lab[0], 0.0), 1.0), lab[1], lab[2]
    for chroma in (1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0):
        rgb = _linear_rgb(light, a * chroma, b * chroma)
        if all(-1e-4 <= part <= 1 + 1e-4 for part in rgb):
            break
    clipped = (min(max(part, 0.0), 1.0) for part in rgb)
    encoded = (12.92 * c if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055 for c in clipped)
    return "#" + "".join(f"{round(255 * c):02x}" for c in encoded)


def _linear_rgb(light: float, a: float, b: float) -> tuple[float, float, float]:
    l = (light + 0.3963377774 * a + 0.2158037573 * b) ** 3  # noqa: E741
    m = (light - 0.1055613458 * a - 0.0638541728 * b) ** 3
    s = (light - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
        -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
        -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s,
    )
