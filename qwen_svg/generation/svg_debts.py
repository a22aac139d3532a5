"""What the drawing so far owes, as `svg_constraint.py` has it: the debts of the grammar in svg_grammar.py.

Each function takes all text up to where the grammar asks, and returns what has to come there, or "".
"""

import re
from functools import lru_cache

from qwen_svg.svg.values import (
    ARGUMENTS,
    IDENTITY,
    MAX_PATH_COMMANDS,
    MAX_POINTS,
    NUMBER,
    Matrix,
    ValueFault,
    check_path,
    multiply,
    parse_path,
    parse_points,
    parse_transform,
    transform_matrix,
)
from svg_constraint import CANVAS, MAX_VALUE, SVG_OPEN, hull

_ATTRIBUTE = re.compile(r' ([\w-]+)="([^"]*)"')
_GROUP = re.compile(r"<(/?)g\b([^>]*)>")
_COMMAND = re.compile(r"([A-Za-z])([^A-Za-z]*)")
MANY = 3 * MAX_PATH_COMMANDS // 2  # characters: two commands have three of them or more, a point has four
ROOM = 40  # points and commands: more than one token has
_POINTS = {"circle": ("cx", "cy"), "ellipse": ("cx", "cy"), "rect": ("x", "y"), "line": ("x1", "y1")}


def fill(text: str) -> str:
    """A shape without a comment of its own continues the block of the one before: it needs the same fill,"""
    return _of_shape_before(text, "fill")


def stroke(text: str) -> str:
    """and the same stroke."""
    return _of_shape_before(text, "stroke")


def _of_shape_before(text: str, name: str) -> str:
    start = text.rindex("<")
    if f' {name}="' in text[start:]:
        return ""
    match = re.compile(f' {name}="[^"]*"').search(text, text.rindex("<", 0, start), start)
    return match.group() if match else ""


def other_end(text: str) -> str:
    """A line must not end where it starts; asked when its last number may be at its end. Any digits are enough."""
    values = dict(_ATTRIBUTE.findall(text[text.rindex("<") :] + '"'))
    same = all(float(values[f"{axis}1"]) == float(values[f"{axis}2"]) for axis in "xy")
    return "more" if same else ""


def other_point(text: str) -> str:
    """Nor may an arc; asked when its last number may be at its end."""
    try:
        check_path(parse_path(text[text.rindex('"') + 1 :]))
    except ValueFault:
        return "more"
    return ""


def fewer(text: str) -> str:
    """The checker reads so many points and path commands; asked behind the quote that ends them."""
    value = text[text.rindex('"', 0, -1) + 1 : -1]
    if len(value) < MANY:
        return ""
    try:
        if len(value) > MAX_VALUE:
            return "fewer"
        parse_path(value) if value.lstrip()[0] in "Mm" else parse_points(value)
    except ValueFault:
        return "fewer"
    return ""


def nearly_full(value: str) -> bool:
    """Has a value that is open nearly as many points or path commands as the checker reads?"""
    if len(value) < MANY - 2 * ROOM or "<" in value:  # then it is no value
        return False
    if value.lstrip()[0] in "Mm":
        pieces = ((letter, len(NUMBER.findall(numbers))) for letter, numbers in _COMMAND.findall(value))
        count = sum(max(1, numbers // (ARGUMENTS[letter.upper()] or 1)) for letter, numbers in pieces)
        return count > MAX_PATH_COMMANDS - ROOM or len(value) > MAX_VALUE - 10 * ROOM
    return len(NUMBER.findall(value)) > 2 * (MAX_POINTS - ROOM)


def way_back(text: str) -> str:
    """A shape must not lie wholly outside the canvas: what moves it there. Asked in its tag and in its transform."""
    start = text.rindex("<")
    tag, *_ = text[start + 1 :].split(" ", 1)
    geometry, own = [], ""
    in_value = text.count('"', start) % 2
    for name, value in _ATTRIBUTE.findall(text[start:] + '"' * in_value):
        if name == "transform":
            own = value
        elif name not in ("fill", "stroke", "stroke-width", "opacity"):
            geometry.append((name, value))
    offset = _offset(_moves(text[:start]), tag, tuple(geometry), own)
    if not offset:
        return ""
    return f"{' ' if own else ''}{offset}" if in_value else f' transform="{offset}"'


@lru_cache(256)
def _moves(text: str) -> tuple[str, ...]:
    """The transforms of the groups that are open."""
    groups: list[str] = []
    for closing, attributes in _GROUP.findall(text, max(text.find(SVG_OPEN), 0)):
        if closing:
            groups.pop()
        else:
            groups.append(dict(_ATTRIBUTE.findall(attributes)).get("transform", ""))
    return tuple(filter(None, groups))


@lru_cache(256)
def _matrix(transforms: tuple[str, ...]) -> Matrix:
    matrix = IDENTITY
    for transform in transforms:
        matrix = multiply(matrix, transform_matrix(parse_transform(transform)))
    return matrix


@lru_cache(256)
def _offset(moves: tuple[str, ...], tag: str, geometry: tuple[tuple[str, str], ...], own: str) -> str:
    """Return the matrix() that puts the shape's `_point_of` in the middle; "" where it shows itself already.

    It translates; written so, it differs from what else may come in its first letter.
    """
    a, b, c, d, e, f = _matrix((*moves, own) if own else moves)
    x, y = _point_of(tag, dict(geometry))
    if 0 < a * x + c * y + e < CANVAS and 0 < b * x + d * y + f < CANVAS:
        return ""
    read = {"d": parse_path, "points": parse_points}
    points = hull(tag, {name: read.get(name, float)(value) for name, value in geometry})
    xs, ys = [a * x + c * y + e for x, y in points], [b * x + d * y + f for x, y in points]
    if max(min(xs), min(ys)) < CANVAS and min(max(xs), max(ys)) > 0:
        return ""
    to_x, to_y, determinant = CANVAS / 2 - e, CANVAS / 2 - f, a * d - b * c
    back_x, back_y = (d * to_x - c * to_y) / determinant, (a * to_y - b * to_x) / determinant
    return f"matrix(1 0 0 1 {round(back_x - x)} {round(back_y - y)})"


def _point_of(tag: str, values: dict[str, str]) -> tuple[float, float]:
    """Return a point within the shape's bounds that is quickly found."""
    if names := _POINTS.get(tag):
        x, y, width, height = (float(values.get(name, 0)) for name in (*names, "width", "height"))
        return x + width / 2, y + height / 2
    numbers = NUMBER.finditer(values["points" if tag.startswith("poly") else "d"])
    return float(next(numbers).group()), float(next(numbers).group())
