"""Path data as text: as short as it goes, or as plain as it goes."""

import math
from collections.abc import Iterable
from functools import lru_cache

from qwen_svg.svg.values import Command
from svg_constraint import MAX_DECIMALS


def plain_path(commands: Iterable[Command], closed: bool, decimals: int = MAX_DECIMALS) -> str:
    """Write absolute commands, each with its letter, numbers with spaces between, easy to learn.

    A small model soon loses count of the arguments in compact path data, where letters are left out and signs separate.
    closed: end each subpath in Z, which says where to stop; for outlines that are only filled it changes no picture.
    """
    text: list[str] = []
    at = (0.0, 0.0)
    for letter, v in commands:
        if letter == "M" and closed and text and text[-1] != "Z":
            text.append("Z")
        if letter == "L" and v[1] == at[1]:
            letter, numbers = "H", [v[0]]
        elif letter == "L" and v[0] == at[0]:
            letter, numbers = "V", [v[1]]
        else:
            numbers = list(v)
        text.append(letter + " ".join(number(value, decimals) for value in numbers))
        at = v[-2:] if v else at
    if closed and text[-1] != "Z":
        text.append("Z")
    return " ".join(text)


@lru_cache(4096)  # most are on the integer grid, and formatting takes ten times as long
def number(value: float, decimals: int) -> str:
    """Write a number as short as it goes: 12, 2.5, .5, -.5."""
    text = f"{value:.{decimals}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
        text = text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text
    return "0" if text in ("-0", "", "-") else text


def _join(values: Iterable[float], decimals: int) -> str:
    text = ""
    for value in values:
        part = number(value, decimals)
        text += part if not text or part[0] == "-" else " " + part
    return text


def compact_path(commands: Iterable[Command], decimals: int = MAX_DECIMALS) -> str:
    """Write each command absolute or relative, whichever is shorter; L as H or V, C as S, Q as T where they say it."""
    text, last = "", ""
    at = start = (0.0, 0.0)
    control: tuple[float, float] | None = None
    kind = ""
    for letter, v in commands:
        if letter == "Z":
            text, last, at, kind = text + "z", "z", start, ""
            continue
        x, y = at
        flags = v[:5] if letter == "A" else ()
        points = v[len(flags) :]
        mirrored = (2 * x - control[0], 2 * y - control[1]) if kind == letter and control else at
        after = (v[-4], v[-3]) if letter in "CQ" else None
        name = letter
        if letter == "L" and v[1] == y:
            name, absolute, relative = "H", points[:1], (v[0] - x,)
        elif letter == "L" and v[0] == x:
            name, absolute, relative = "V", points[1:], (v[1] - y,)
        else:
            if letter in "CQ" and math.dist(v[:2], mirrored) < 1e-6:
                name, points = ("S" if letter == "C" else "T"), points[2:]
            absolute = points
            relative = tuple(value - (y if i % 2 else x) for i, value in enumerate(points))
        choices = []
        for code, values in ((name.lower(), relative), (name, absolute)):
            head, tail = _arc_head(flags, decimals), _join(values, decimals)
            numbers = head + (" " if head and tail[0] != "-" else "") + tail
            implied = {"m": "l", "M": "L"}.get(last, last)  # after a moveto, more pairs are lines
            if code == implied and code not in "mM":
                joint = "" if numbers[0] == "-" else " "
                choices.append(joint + numbers)
            else:
                choices.append(code + numbers)
        shortest = min(range(2), key=lambda i: (len(choices[i]), i)) if text else 1
        text += choices[shortest]
        last = (name.lower(), name)[shortest]
        kind, control, at = (letter if letter in "CQ" else ""), after, v[-2:]
        if letter == "M":
            start = at
    return text


def _arc_head(flags: tuple[float, ...], decimals: int) -> str:
    if not flags:
        return ""
    rx, ry, angle, large, sweep = flags
    angle = 0 if rx == ry else angle
    return f"{number(rx, decimals + 1)} {number(ry, decimals + 1)} {number(angle, 1)} {int(large)} {int(sweep)}"
