"""Level 1: one or two plain shapes with colour, size, and place or one relation.

Where a shape is follows from the description: there is one centre for each place, and what the description does not
say is in the middle. So there is nothing to guess.
"""

from random import Random

from corpus.composing import colours
from corpus.composing.layout import (
    HIGH,
    LOW,
    MIDDLE,
    PLACES,
    SHAPE_RADIUS,
    Look,
    Places,
    all_apart,
    fitted,
    named_apart,
    placed,
    shows_on,
    size_for,
)
from corpus.composing.scene import Item, Relation, Scene
from corpus.composing.shapes import SHAPES

KINDS = {"one": 15, "two": 25, "left": 12, "right": 12, "above": 12, "below": 12, "inside": 12}  # of 100 scenes
AXIS = tuple(centres[1:2] for centres in (LOW, MIDDLE, HIGH))  # of three centres the middle one
CENTRES: Places = {place: (xs[1:2], ys[1:2]) for place, (xs, ys) in PLACES.items()}
ROOMY = ("circle", "square", "triangle", "diamond", "hexagon", "ring")  # a small shape fits inside a large one


def plain_scene(draw: Random, kind: str) -> Scene | None:
    """Return a scene of a kind of KINDS, or None where the choices did not fit together: then draw again."""
    background = draw.choice(colours.BACKGROUNDS) if draw.random() < 0.6 else ""
    relations: tuple[Relation, ...] = ()
    if kind in ("one", "two"):
        items = [placed(draw, look(draw), CENTRES) for _ in range(1 if kind == "one" else 2)]
    elif kind == "inside":
        items, relations = inside(draw)
    else:
        items, relations = side_by_side(draw, kind, (look(draw), look(draw)), AXIS)
    if not all(items) or not named_apart(items):
        return None
    scene = Scene(1, tuple(items), relations, background)
    return scene if is_clear(scene) else None


def look(draw: Random) -> Look:
    return draw.choice(SHAPES), draw.choice(colours.THINGS), size_for(draw)


def side_by_side(
    draw: Random, relation: str, looks: tuple[Look, Look], axis: tuple[tuple[int, ...], ...]
) -> tuple[list[Item | None], tuple[Relation, ...]]:
    """Two things, the first to the left of the second, or to its right, above it, below it.

    axis: from where to choose the coordinate of what is left or above, the one they share, that of right or below.
    """
    low, level, high = axis
    first, second = (low, high) if relation in ("left", "above") else (high, low)
    shared = (draw.choice(level),)
    spots = [(first, shared), (second, shared)]
    if relation in ("above", "below"):
        spots = [(ys, xs) for xs, ys in spots]
    return [fitted(draw, *spot, its) for spot, its in zip(spots, looks, strict=True)], ((0, relation, 1),)


def inside(draw: Random) -> tuple[list[Item | None], tuple[Relation, ...]]:
    """A small shape in the middle of a large one, which is drawn first."""
    (thing, colour, _), outer_thing = look(draw), draw.choice(ROOMY)
    outer = fitted(draw, *CENTRES["center"], (outer_thing, draw.choice(colours.THINGS), "large"))
    if outer is None or thing == outer_thing:
        return [None], ()
    (x, y), lower = outer.spots[0], 16 if outer_thing == "triangle" else 0  # where it is wide enough
    return [outer, Item(thing, colour, ((x, y + lower),), SHAPE_RADIUS["small"], "small")], ((1, "inside", 0),)


def is_clear(scene: Scene) -> bool:
    """Is each shape told from what it lies on, and apart from the others, and is none in the background's color?"""
    paper = scene.background or "white"
    items = list(scene.items)
    if not scene.relations or scene.relations[0][1] != "inside":
        return all(shows_on(item, paper) for item in items) and all_apart(items)
    outer, inner = items
    around = (outer.colour, paper) if outer.thing == "ring" else (outer.colour,)
    return shows_on(outer, paper) and all(shows_on(inner, of) for of in around) and inner.colour != paper
