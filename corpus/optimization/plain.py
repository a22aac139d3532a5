"""Is a file written so that all renderers agree on what it shows? Then one that is quick may speak for resvg.

Plain are elements, attributes and values that have one reading. Not plain, though read: style sheets and attributes,
clips and masks, symbols and nested pictures, gradients that refer to another or have a focus, dashes, units, words like
`inherit`, an id that two have, very large and small numbers, and whatever is not listed.
"""

import re
from typing import Any

from corpus.optimization.gradients import GRADIENTS
from corpus.optimization.svg_document import XLINK, tag_of
from qwen_svg.svg.values import NAMED_COLOURS
from svg_constraint import SHAPES

_TAGS = {"svg", "g", "defs", "use", "title", "desc", "stop", *GRADIENTS, *SHAPES}
_UNSIGNED = r"(?:[0-9]{1,5}\.?[0-9]*|\.[0-9]+)"
_SIZE = rf"(?=[0-9]*[1-9]|[0-9]*\.[0-9]?[1-9]){_UNSIGNED}"  # 0.01 or more
# Numbers from 100,000 on, and lines of no length to speak of, where resvg leaves out a corner of a stroke.
_TINY = r" *-?(?:0?\.000|[0-9.]+[eE]-)"
_EXTREME = re.compile(
    rf"(?:(?<![0-9.])[0-9]{{6}}|[0-9.][eE](?!-)|[HhVv]{_TINY}|[Ll]{_TINY}[0-9]*[ ,]*{_TINY})", re.ASCII
)
_MAY_BE_EXTREME = re.compile(r"[0-9]{6}|[eE]|\.000")  # what all of these have: quickly told of most path data
_COLOUR = "|".join(["#(?:[0-9a-fA-F]{3}){1,2}", *NAMED_COLOURS])
_VALUES = {  # attributes, and what they may hold
    "x y cx cy x1 y1 x2 y2 offset": rf"[+-]?{_UNSIGNED}%?",
    "width height": rf"{_SIZE}(?:px)?",
    "r rx ry": rf"{_SIZE}%?",
    "stroke-miterlimit": rf"(?=[1-9]){_UNSIGNED}",
    "stroke-width opacity fill-opacity stroke-opacity stop-opacity": _UNSIGNED,
    "fill stroke": rf"none|currentColor|url\(#[\w.-]+\)|{_COLOUR}",
    "stop-color": _COLOUR,
    "color": _COLOUR,  # on the root: further in, which one an inherited currentColor takes has two readings
    "fill-rule clip-rule": "nonzero|evenodd",
    "stroke-linecap": "butt|round|square",
    "stroke-linejoin": "miter|round|bevel",
    "paint-order": "normal",
    "gradientUnits": "userSpaceOnUse|objectBoundingBox",
    "id class version": "(?s:.*)",
}
_NUMBERS = {"d", "points", "viewBox", "transform", "gradientTransform"}  # anything but extremes
_PATTERNS = {name: re.compile(values, re.ASCII) for names, values in _VALUES.items() for name in names.split()}


def is_plain(root: Any) -> bool:
    """Is all that the tree of a file holds plain?"""
    elements = list(root.iter())
    one_side = ("width" in root.attrib) != ("height" in root.attrib)  # resvg and browsers disagree about the other
    return not one_side and all(_is_plain(e, e is root) for e in elements) and not _refers_to_one_of_two(elements)


def _refers_to_one_of_two(elements: list[Any]) -> bool:
    """Have two elements one id, where references may be? The first is meant; resvg takes the last."""
    ids = [element.get("id") for element in elements if "id" in element.attrib]
    return len({*ids}) < len(ids) and any(tag_of(element) in ("use", *GRADIENTS) for element in elements)


def _is_plain(element: Any, is_root: bool) -> bool:
    tag = tag_of(element)
    if tag not in _TAGS or (tag == "svg") != is_root:
        return False
    for name, value in element.attrib.items():
        if name in ("href", XLINK):
            if tag in GRADIENTS:
                return False
        elif name == "color" and not is_root:
            return False
        elif name in _NUMBERS:
            if _MAY_BE_EXTREME.search(value) and _EXTREME.search(value):
                return False
        elif name[0] != "{" and not ((said := _PATTERNS.get(name)) and said.fullmatch(value)):
            return False
    return True
