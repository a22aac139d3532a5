"""Scenes of level 1: one or two plain shapes with colour, size and place or relation, as drawn from a random generator.

Centres lie on a grid of 16 and there are three sizes: a small model then has few numbers to learn. Nothing overlaps but
what is inside something, nothing leaves the canvas, and everything has contrast to what it lies on.
"""

from itertools import pairwise, product
from random import Random

from corpus.composing import colours
from corpus.composing.scene import Item, Scene
from corpus.composing.shapes import SHAPES, height
from svg_constraint import CANVAS

RADIUS = {"small": 20, "": 32, "large": 56}
MARGIN, GAP = 8, 8  # canvas units between a shape and the edge, and between shapes
LOW, MIDDLE, HIGH = (48, 64, 80), (112, 128, 144), (176, 192, 208)  # centres on one axis
PLACES = {
    f"{row} {column}".replace("middle center", "center").removeprefix("middle ").removesuffix(" center"): (xs, ys)
    for (row, ys), (column, xs) in product(
        (("top", LOW), ("middle", MIDDLE), ("bottom", HIGH)), (("left", LOW), ("center", MIDDLE), ("right", HIGH))
    )
}
LEVELS = (48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208)  # of the coordinate that a relation leaves free
RELATIONS = ("left", "right", "above", "below", "inside")


def plain_scene(draw: Random) -> Scene | None:
    """Return a scene, or None where the choices did not fit together: then draw again."""
    background = draw.choice(colours.BACKGROUNDS) if draw.random() < 0.6 else ""
    paper = background or "white"
    kind = draw.random()
    if kind < 0.2:
        items, relation = [placed(draw, *look(draw))], None
    elif kind < 0.4:
        items, relation = [placed(draw, *look(draw)), placed(draw, *look(draw))], None
    else:
        items, relation = related(draw, draw.choice(RELATIONS))
    scene = Scene(1, tuple(item for item in items if item), relation, background)
    return scene if len(scene.items) == len(items) and is_clear(scene, paper) else None


def look(draw: Random) -> tuple[str, str, str]:
    """Return (shape, colour, size)."""
    return draw.choice(SHAPES), draw.choice(colours.THINGS), draw.choice(("", "", "small", "large"))


def placed(draw: Random, shape: str, colour: str, size: str) -> Item | None:
    """A shape somewhere on a grid of three by three, None where it does not fit there."""
    place = draw.choice(list(PLACES))
    xs, ys = PLACES[place]
    return fitted(draw, xs, ys, shape, colour, size, place)


def related(draw: Random, relation: str) -> tuple[list[Item | None], tuple[int, str, int]]:
    """Two shapes, the first to the left of the second, or above it, or inside …"""
    a, b = look(draw), look(draw)
    if relation == "inside":  # drawn behind what is around it
        outer = fitted(draw, (80, 96, 112, 128, 144, 160, 176), LEVELS, *b[:2], "large")
        lower = 16 if b[0] == "triangle" else 0  # where it is wide enough
        inner = outer and Item(*a[:2], outer.x, outer.y + lower, RADIUS["small"], "small")
        fits = b[0] not in ("cross", "oval", "rectangle") and a[0] != b[0]
        return [outer if fits else None, inner], (1, "inside", 0)
    first, second = (LOW, HIGH) if relation in ("left", "above") else (HIGH, LOW)
    level = (draw.choice(LEVELS),)
    spots = [(first, level), (second, level)]
    if relation in ("above", "below"):
        spots = [(ys, xs) for xs, ys in spots]
    return [fitted(draw, *spot, *its) for spot, its in zip(spots, (a, b), strict=True)], (0, relation, 1)


def fitted(
    draw: Random, xs: tuple[int, ...], ys: tuple[int, ...], shape: str, colour: str, size: str, place: str = ""
) -> Item | None:
    """Return the shape at one of the coordinates where it is within the margin; None where there is none."""
    r = RADIUS[size]
    h = height(shape, r)
    x = [x for x in xs if r + MARGIN <= x <= CANVAS - r - MARGIN]
    y = [y for y in ys if h + MARGIN <= y <= CANVAS - h - MARGIN]
    return Item(shape, colour, draw.choice(x), draw.choice(y), r, size, place) if x and y else None


def is_clear(scene: Scene, paper: str) -> bool:
    """Is each item told from what it lies on, apart from the others, and named unlike them?"""
    under = {}
    if scene.relation and scene.relation[1] == "inside":
        inner, _, outer = scene.relation
        hollow = scene.items[outer].thing == "ring"
        under = {inner: paper if hollow else scene.items[outer].colour}
        if hollow and scene.items[inner].colour == scene.items[outer].colour:
            return False
    visible = all(colours.differ(item.colour, under.get(i, paper)) for i, item in enumerate(scene.items))
    names = {(item.thing, item.colour) for item in scene.items}
    return visible and len(names) == len(scene.items) and (bool(under) or all(map(apart, pairwise(scene.items))))


def apart(pair: tuple[Item, Item]) -> bool:
    a, b = pair
    wide, high = a.r + b.r + GAP, height(a.thing, a.r) + height(b.thing, b.r) + GAP
    return abs(a.x - b.x) >= wide or abs(a.y - b.y) >= high
