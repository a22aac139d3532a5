"""Where things go: coordinates on a coarse grid, and what must hold of any scene.

Centres lie on a grid of 16 and there are three sizes, and one for what stands alone: a small model then has few
numbers to learn. Nothing leaves the canvas, nothing overlaps but what is meant to, and everything has contrast to what
it lies on.
"""

from collections.abc import Sequence
from itertools import combinations, product
from random import Random

from corpus.composing import colours, things
from corpus.composing.answer import cost
from corpus.composing.scene import Bounds, Item, Spot
from corpus.composing.shapes import SHAPES
from svg_constraint import CANVAS

SHAPE_RADIUS = {"small": 20, "": 32, "large": 56, "full": 56}  # more is more of a scale than the grammar has
MARGIN, GAP = 8, 8  # canvas units between a thing and the edge, and between things
LOW, MIDDLE, HIGH = (48, 64, 80), (112, 128, 144), (176, 192, 208)  # centres on one axis
GRID = (48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208)
PLACES = {
    f"{row} {column}".replace("middle center", "center").removeprefix("middle ").removesuffix(" center"): (xs, ys)
    for (row, ys), (column, xs) in product(
        (("top", LOW), ("middle", MIDDLE), ("bottom", HIGH)), (("left", LOW), ("center", MIDDLE), ("right", HIGH))
    )
}
Places = dict[str, tuple[tuple[int, ...], tuple[int, ...]]]  # its words → the xs and ys there
USUAL = 0.3  # share of things in their usual colour, and more by chance

Look = tuple[str, str, str]  # thing, colour, size


def radius(thing: str, size: str) -> int:
    return SHAPE_RADIUS[size] if thing in SHAPES else things.UNITS[size] * 8


def colour_for(draw: Random, thing: str, behind: Sequence[str] = ()) -> str | None:
    """Return a colour that is told from those behind, often the usual one; None where the thing has none."""
    if thing in SHAPES:
        known, accents = list(colours.THINGS), ()
    else:
        known, accents = list(things.pictograms()[thing].colours), things.accents(thing)
    fitting = [c for c in known if not c or all(colours.differ(c, other) for other in (*behind, *accents))]
    if not fitting:
        return None
    return known[0] if known[0] in fitting and draw.random() < USUAL else draw.choice(fitting)


def suits(thing: str, behind: str) -> bool:
    """Are a thing's parts that are not in its own colour told from what is behind it?"""
    return thing in SHAPES or all(colours.differ(colour, behind) for colour in things.rim(thing))


def affordable(options: Sequence[str], tokens: float) -> list[str]:
    """Return the things that take so many tokens at most."""
    return [thing for thing in options if cost(thing) <= tokens]


def size_for(draw: Random) -> str:
    return draw.choice(("", "", "small", "large"))


def placed(draw: Random, look: Look, places: Places = PLACES) -> Item | None:
    """A thing somewhere on a grid of three by three, None where it does not fit there."""
    place = draw.choice(list(places))
    return fitted(draw, *places[place], look, place)


def fitted(draw: Random, xs: tuple[int, ...], ys: tuple[int, ...], look: Look, place: str = "") -> Item | None:
    """Return the thing at one of the coordinates where it is within the margin; None where there is none."""
    thing, colour, size = look
    r = radius(thing, size)
    left, top, right, bottom = Item(thing, colour, ((0, 0),), r).bounds()
    x = [x for x in xs if x + left >= MARGIN and x + right <= CANVAS - MARGIN]
    y = [y for y in ys if y + top >= MARGIN and y + bottom <= CANVAS - MARGIN]
    return Item(thing, colour, ((draw.choice(x), draw.choice(y)),), r, size, place) if x and y else None


def in_places(look: Look, spots: tuple[Spot, ...], r: int) -> Item | None:
    """Return several of a thing, None where they do not fit on the canvas or touch each other."""
    thing, colour, size = look
    item = Item(thing, colour, spots, r, size)
    boxes = [item.bounds(i) for i in range(item.count)]
    return item if all(map(on_canvas, boxes)) and all(apart(a, b, gap=4) for a, b in combinations(boxes, 2)) else None


def on_canvas(box: Bounds) -> bool:
    return min(box[:2]) >= MARGIN and max(box[2:]) <= CANVAS - MARGIN


def apart(a: Bounds, b: Bounds, gap: int = GAP) -> bool:
    return a[2] + gap <= b[0] or b[2] + gap <= a[0] or a[3] + gap <= b[1] or b[3] + gap <= a[1]


def all_apart(items: list[Item], except_for: set[frozenset[int]] = frozenset()) -> bool:
    """Are all things apart, but for pairs of items that are meant to touch?"""
    return all(
        apart(items[i].bounds(k), items[j].bounds(m))
        for i, j in combinations(range(len(items)), 2)
        if frozenset((i, j)) not in except_for
        for k in range(items[i].count)
        for m in range(items[j].count)
    )


def shows_on(item: Item, behind: str) -> bool:
    """Is the thing told from a colour behind it, and are its own parts told from each other?"""
    own = [item.colour] if item.colour else []
    rim = [] if item.is_shape else things.rim(item.thing)
    accents = [] if item.is_shape else things.accents(item.thing)
    return all(colours.differ(c, behind) for c in (*own, *rim)) and all(
        colours.differ(item.colour, accent) for accent in accents if own
    )


def named_apart(items: list[Item]) -> bool:
    """No two items have the same name: then it would not be clear which one is meant."""
    return len({(item.thing, item.colour) for item in items}) == len(items)
