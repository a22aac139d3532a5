"""Truthful words for a drawing, from its geometry alone: a comment before each block and a short reasoning.

A block is a run of neighbouring shapes with the same fill and stroke, as `svg_constraint.py` has it.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from corpus.oklab import to_oklab
from corpus.optimization.outline import points_on
from corpus.optimization.paint import Gradient, Paint, short_hex
from corpus.optimization.shorten import Shape, ShapeGroup
from qwen_svg.svg.values import NAMED_COLOURS, Command, parse_points
from svg_constraint import CANVAS

# Names people use; the CSS list also has "papayawhip". A space is put in where the name is two words.
PLAIN_NAMES = (
    "black white gray silver red crimson brown maroon orange gold yellow khaki beige tan green lime olive teal cyan "
    "turquoise blue navy purple indigo violet lavender magenta pink salmon coral tomato chocolate sienna wheat "
    "dark-gray light-gray dim-gray dark-red dark-orange dark-green forest-green light-green sea-green sky-blue "
    "light-blue royal-blue steel-blue slate-gray saddle-brown sandy-brown peach-puff hot-pink light-pink light-yellow "
    "dark-slate-gray peru"
).split()
WORDS = {"circle": "circle", "ellipse": "ellipse", "rect": "rectangle", "line": "line", "polyline": "polyline"}
MAX_DETAILS = 4  # blocks named in the reasoning's step 5


@dataclass(frozen=True)
class Box:
    """Bounds on the canvas, in canvas units."""

    left: float
    top: float
    right: float
    bottom: float

    def place(self) -> str:
        """Where the middle lies, on a grid of three by three."""
        # Rounded, because text that is read again gives the same numbers but for the last bits.
        x, y = round((self.left + self.right) / 2, 3), round((self.top + self.bottom) / 2, 3)
        column = "left" if x < CANVAS * 0.4 else "right" if x > CANVAS * 0.6 else ""
        row = "top" if y < CANVAS * 0.4 else "bottom" if y > CANVAS * 0.6 else ""
        return " ".join(part for part in (row, column) if part) or "center"

    def size(self) -> str:
        """A word for the larger side: "large " from 60 % of the canvas, "small " below 20 %, else nothing."""
        side = round(max(self.right - self.left, self.bottom - self.top) / CANVAS, 6)
        return "large " if side >= 0.6 else "small " if side < 0.2 else ""

    def inside(self) -> bool:
        return min(self.left, self.top) >= -0.5 and max(self.right, self.bottom) <= CANVAS + 0.5


def flat(parts: Iterable[Shape | ShapeGroup]) -> Iterator[Shape]:
    """Yield the shapes, those of groups included."""
    for part in parts:
        if isinstance(part, ShapeGroup):
            yield from flat(part.members)
        else:
            yield part


def describe_block(block: list[Shape | ShapeGroup]) -> str:
    """What and colour: "large gold circle, center", "2 small brown ellipses, top"."""
    shapes = list(flat(block))
    box = bounds(shapes)
    kinds = {kind(shape) for shape in shapes}
    noun = kinds.pop() if len(kinds) == 1 else "shape"
    if len(shapes) > 1:
        noun += "s" if not noun.endswith("s") else ""
    paints = {shape.fill or shape.stroke for shape in shapes}
    colour = paint_name(paints.pop()) if len(paints) == 1 else "many-colored"
    count = f"{len(shapes)} " if len(shapes) > 1 else ""
    size = box.size() if len(shapes) == 1 else ""
    outlined = " outline" if shapes[0].fill is None else ""
    clear = "translucent " if any(part.opacity for part in block) else ""
    return f"{count}{size}{clear}{colour} {noun}{outlined}, {box.place()}"


def paint_name(paint: Paint) -> str:
    """ "gold", or "gold to red gradient"."""
    if not isinstance(paint, Gradient):
        return colour_name(paint)
    first, last = colour_name(paint.stops[0].colour), colour_name(paint.stops[-1].colour)
    return f"{first} to {last} gradient" if first != last else f"{first} gradient"


def reasoning(name: str, parts: list[Shape | ShapeGroup], comments: list[str]) -> str:
    """The template's seven steps, each true of this drawing."""
    shapes = list(flat(parts))
    kinds = Counter(kind(shape) for shape in shapes)
    elements = ", ".join(f"{n} {word}{'s' if n > 1 else ''}" for word, n in kinds.most_common())
    paints = dict.fromkeys(paint for shape in shapes for paint in (shape.fill, shape.stroke) if paint)
    colours = dict.fromkeys(
        c for p in paints for c in ([stop.colour for stop in p.stops] if isinstance(p, Gradient) else [p])
    )
    palette = ", ".join(f"{colour_name(colour)} ({short_hex(colour)})" for colour in colours)
    box = bounds(shapes)
    width, height = (box.right - box.left) / CANVAS, (box.bottom - box.top) / CANVAS
    groups = sum(isinstance(part, ShapeGroup) for part in parts)
    rest = comments[1 : 1 + MAX_DETAILS]
    more = len(comments) - 1 - len(rest)
    details = "; ".join(rest) + (f"; {more} more" if more > 0 else "") if rest else "none needed"
    shape_word, colour_word = ("shape" if len(shapes) == 1 else "shapes"), ("color" if len(colours) == 1 else "colors")
    review = "all inside the viewBox" if box.inside() else "some reach over the edge of the viewBox"
    if len(shapes) == 1:
        review = review.replace("all inside", "inside").replace("some reach", "it reaches")
    return "\n".join(
        (
            f"1. Visual elements: {name}, drawn with {elements}",
            f"2. Color palette: {palette}",
            f"3. Layout: {box.place()}, about {width:.0%} of the width and {height:.0%} of the height",
            f"4. Base shapes: {comments[0]}",
            f"5. Details: {details}",
            f"6. Grouping: {f'{groups} translucent' if groups else 'none needed'}",
            f"7. Review: {len(shapes)} {shape_word} in {len(colours)} {colour_word}, {review}",
        )
    )


def kind(shape: Shape) -> str:
    """The word for a shape: what its element draws; a path of straight lines is a polygon."""
    if shape.tag == "polygon" or (shape.tag == "path" and all(letter in "MLHVZ" for letter, _ in shape.commands)):
        return "polygon"
    return WORDS.get(shape.tag, "shape")


# --- colour names ---------------------------------------------------------------------------------------------


@cache
def colour_name(colour: str) -> str:
    """Return the plain name nearest to #rrggbb in OKLab."""
    wanted = to_oklab(colour)
    best = min(PLAIN_NAMES, key=lambda name: math.dist(wanted, to_oklab(NAMED_COLOURS[name.replace("-", "")])))
    return best.replace("-", " ")


# --- bounds ---------------------------------------------------------------------------------------------------


def bounds(shapes: list[Shape]) -> Box:
    """Bounds of the shapes' outlines (without stroke width) on the canvas."""
    points = [point for shape in shapes for point in _outline(shape)]
    xs, ys = zip(*points, strict=True)
    return Box(min(xs), min(ys), max(xs), max(ys))


def _outline(shape: Shape) -> list[tuple[float, float]]:
    g = {name: float(value) for name, value in shape.geometry.items() if name not in ("d", "points")}
    if shape.tag == "path":
        points = _extremes(shape.commands)
    elif "points" in shape.geometry:
        points = parse_points(shape.geometry["points"])
    elif shape.tag == "rect":
        x, y = g.get("x", 0.0), g.get("y", 0.0)
        points = [(x, y), (x + g["width"], y), (x + g["width"], y + g["height"]), (x, y + g["height"])]
    elif shape.tag == "line":
        points = [(g.get("x1", 0.0), g.get("y1", 0.0)), (g.get("x2", 0.0), g.get("y2", 0.0))]
    else:
        cx, cy = g.get("cx", 0.0), g.get("cy", 0.0)
        rx, ry = g.get("rx", g.get("r", 0.0)), g.get("ry", g.get("r", 0.0))
        turns = (math.tau * i / 32 for i in range(32))
        points = [(cx + rx * math.cos(t), cy + ry * math.sin(t)) for t in turns]
    return points


def _extremes(commands: tuple[Command, ...]) -> list[tuple[float, float]]:
    """Return what `points_on` gives, less the points between ends where control points cannot reach any further."""
    ends = [v[-2:] for _, v in commands if v]
    (left, top), (right, bottom) = map(min, zip(*ends, strict=True)), map(max, zip(*ends, strict=True))
    for (_, before), (letter, v) in pairwise(commands):
        if letter in "CQ":
            x, y, u, w = *v[:2], *v[-4:-2]
            if left <= x <= right and left <= u <= right and top <= y <= bottom and top <= w <= bottom:
                continue
        if letter in "CQA":
            ends += points_on((("M", before[-2:]), (letter, v)))
    return ends
