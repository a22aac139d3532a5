"""The colours of composed scenes: words people use, each a CSS name, so that a description's word is the paint."""

import math
from functools import cache

from corpus.oklab import to_oklab
from qwen_svg.svg.values import NAMED_COLOURS

THINGS = ("red orange yellow green blue purple pink brown black white gray navy teal").split()
BACKGROUNDS = (
    "white black gray navy teal pink yellow green purple beige lavender light-blue light-gray light-green".split()
)
LEAST_CONTRAST = 0.265  # distance in OKLab of what lies on something else, and is to be told from it


def paint(colour: str) -> str:
    """Return the CSS name of a colour: "light-blue" → "lightblue"."""
    return colour.replace("-", "")


def words(colour: str) -> str:
    return colour.replace("-", " ")


@cache
def differ(one: str, other: str) -> bool:
    """Can a person tell the one colour on the other?"""
    if {one, other} == {"black", "navy"}:  # far from each other in OKLab, and both nearly dark
        return False
    return math.dist(to_oklab(NAMED_COLOURS[paint(one)]), to_oklab(NAMED_COLOURS[paint(other)])) >= LEAST_CONTRAST
