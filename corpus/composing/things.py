"""The things of composed scenes, as flat pictograms on a grid.

pictograms.txt has them: a line "name | colours" (* = any; the usual one first), and below it a line for each part, in
the order of painting. Coordinates are grid units, from -8 to 8 on both axes, with y downwards.

    c x y r        circle                          # COLOUR        fill; without it, the thing's own colour
    e x y rx ry    ellipse                         ~ COLOUR WIDTH  stroke and no fill
    r x y w h      rectangle                       @               in place of # or before ~: what surrounds this part
    d PATH         absolute M L H V Q Z                            is the thing itself, not what is behind the thing

A thing is drawn on this grid, and moved and enlarged as a whole: its text is always the same, and only place and size
differ, which are three numbers. Each part's first point lies within 4 units of the middle on both axes, and so on the
canvas wherever a thing is put. A rectangle that begins further out is written as a path.
"""

import re
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from corpus.composing.colours import THINGS

UNITS = {"small": 3, "": 5, "large": 7, "full": 12}  # canvas units to a grid unit, by size
REACH = 4  # grid units within which a part begins

TABLE = Path(__file__).with_name("pictograms.txt")


@dataclass(frozen=True)
class Part:
    """kind: the SVG element. geometry: its numbers in grid units, as text; of a path, letters too."""

    kind: str
    geometry: str
    fill: str  # a colour, "*" for the thing's own, "" for none
    stroke: str  # the same
    width: int  # of the stroke, in grid units
    inner: bool  # the thing surrounds it


@dataclass(frozen=True)
class Pictogram:
    name: str
    colours: tuple[str, ...]  # that it may have, the usual one first; ("",) = its own, which no word says
    parts: tuple[Part, ...]

    @cached_property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom in grid units."""
        found = [part_box(part) for part in self.parts]
        return (*(min(b[i] for b in found) for i in (0, 1)), *(max(b[i] for b in found) for i in (2, 3)))


def numbers(text: str) -> list[int]:
    return [int(n) for n in re.findall(r"-?\d+", text)]


def part_box(part: Part) -> tuple[int, int, int, int]:
    """Left, top, right and bottom, rounded to grid units; a stroke's width is left out."""
    n = numbers(part.geometry)
    if part.kind in ("circle", "ellipse"):
        x, y, rx, ry = n[0], n[1], n[2], n[-1]
        return x - rx, y - ry, x + rx, y + ry
    if part.kind == "rect":
        return n[0], n[1], n[0] + n[2], n[1] + n[3]
    xs, ys = zip(*points(part.geometry), strict=True)
    return round(min(xs)), round(min(ys)), round(max(xs)), round(max(ys))


def points(path: str) -> list[tuple[float, float]]:
    """Return a path's ends, and points on its curves."""
    x, y, found = 0.0, 0.0, []
    for letter, arguments in re.findall(r"([MLHVQ])([^MLHVQZ]*)", path):
        values = numbers(arguments)
        if letter == "Q":
            (u, v), (end_x, end_y) = values[:2], values[2:]
            for t in (0.2, 0.4, 0.5, 0.6, 0.8):
                found.append(
                    (
                        (1 - t) ** 2 * x + 2 * t * (1 - t) * u + t * t * end_x,
                        (1 - t) ** 2 * y + 2 * t * (1 - t) * v + t * t * end_y,
                    )
                )
        x = x if letter == "V" else values[-2:][0]
        y = y if letter == "H" else values[-1]
        found.append((x, y))
    return found


def read_part(line: str) -> Part:
    inner = "@" in line
    shape, _, stroke = line.partition("~")
    shape, _, fill = shape.replace("@", "#").partition("#")
    kind, geometry = shape.split(None, 1)
    stroke_colour, width = stroke.split() if stroke else ("", "0")
    fill = "" if stroke else fill.strip() or "*"
    if kind == "r":
        x, y, w, h = numbers(geometry)
        if abs(x) > REACH or abs(y) > REACH:
            kind, geometry = "d", rectangle_as_path(x, y, w, h)
    element = {"c": "circle", "e": "ellipse", "r": "rect", "d": "path"}[kind]
    return Part(element, geometry.strip(), fill, stroke_colour, int(width), inner)


def rectangle_as_path(x: int, y: int, w: int, h: int) -> str:
    """Begin at a corner or side that is within reach."""
    right, bottom = x + w, y + h
    for corner_x, other_x in ((x, right), (right, x)):
        for corner_y, other_y in ((y, bottom), (bottom, y)):
            if abs(corner_x) <= REACH and abs(corner_y) <= REACH:
                return f"M{corner_x},{corner_y} H{other_x} V{other_y} H{corner_x} Z"
            if abs(corner_y) <= REACH and x < 0 < right:
                return f"M0,{corner_y} H{other_x} V{other_y} H{corner_x} V{corner_y} Z"
            if abs(corner_x) <= REACH and y < 0 < bottom:
                return f"M{corner_x},0 V{other_y} H{other_x} V{corner_y} H{corner_x} Z"
    raise ValueError(f"rectangle {x} {y} {w} {h} does not begin within reach")


@cache
def pictograms() -> dict[str, Pictogram]:
    found: dict[str, Pictogram] = {}
    for entry in re.split(r"\n(?=\S)", TABLE.read_text(encoding="utf-8").strip()):
        head, *lines = entry.splitlines()
        name, _, colours = (field.strip() for field in head.partition("|"))
        own = colours.replace("*", " ".join(THINGS)).split() or [""]
        found[name] = Pictogram(name, tuple(dict.fromkeys(own)), tuple(map(read_part, lines)))
    return found


@cache
def accents(name: str) -> tuple[str, ...]:
    """Return the colours of a thing that are not its own one, in the order of painting."""
    paints = [paint for part in pictograms()[name].parts for paint in (part.fill, part.stroke)]
    return tuple(dict.fromkeys(paint for paint in paints if paint not in ("", "*")))


@cache
def rim(name: str) -> tuple[str, ...]:
    """Return those of them that border on what is behind the thing."""
    paints = [paint for part in pictograms()[name].parts if not part.inner for paint in (part.fill, part.stroke)]
    return tuple(dict.fromkeys(paint for paint in paints if paint not in ("", "*")))


def lines(name: str, x: int, y: int, unit: int, colour: str) -> list[str]:
    """Return the elements of a thing, line by line: a <g>, or one shape.

    x, y: its middle; unit: canvas units to a grid unit; colour: a CSS name, "" for a thing with its own.
    """
    there = f'transform="translate({x},{y}) scale({unit})"'
    fill = f' fill="{colour}"' if colour else ""
    first, *more = pictograms()[name].parts
    if not more:
        return [element(first, colour).replace("/>", f"{'' if first.stroke else fill} {there}/>")]
    return [f"<g {there}{fill}>", *(element(part, colour) for part in (first, *more)), "</g>"]


def element(part: Part, colour: str) -> str:
    if part.kind == "path":
        geometry = f'd="{part.geometry}"'
    else:
        names = {"circle": "cx cy r", "ellipse": "cx cy rx ry", "rect": "x y width height"}[part.kind].split()
        geometry = " ".join(f'{name}="{value}"' for name, value in zip(names, part.geometry.split(), strict=True))
    fill = "" if part.fill == "*" else f' fill="{part.fill or "none"}"'
    stroke = f' stroke="{colour if part.stroke == "*" else part.stroke}" stroke-width="{part.width}"'
    return f"<{part.kind} {geometry}{fill}{stroke if part.stroke else ''}/>"
