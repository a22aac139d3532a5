"""Which colour a paint is called: the nearest of the basic ones, by distance in OKLab."""

import math
from functools import cache
from typing import Any

from corpus.composing import colours
from corpus.oklab import to_oklab
from qwen_svg.svg.values import NAMED_COLOURS

BASIC = colours.THINGS
SAME = 0.07  # distance in OKLab of paints that are one colour, whatever other names there are


@cache
def _lab(name: str) -> tuple[float, float, float]:
    return to_oklab(NAMED_COLOURS[name])


def lab_of(rgb: Any) -> tuple[float, float, float]:
    return to_oklab("#" + "".join(f"{round(255 * min(1.0, max(0.0, float(c)))):02x}" for c in rgb))


def colour_distance(rgb: Any, name: str) -> float:
    return math.dist(lab_of(rgb), _lab(name))


def is_colour(rgb: Any, name: str) -> bool:
    """Is the paint nearer to this colour than to any other basic one, or all but the same?"""
    distance = colour_distance(rgb, name)
    return distance <= SAME or distance <= min(colour_distance(rgb, other) for other in BASIC)
