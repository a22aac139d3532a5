"""Level 2: one thing, several of a thing, or two or three things that stand in a relation; no horizon."""

from random import Random

from corpus.composing import colours, things
from corpus.composing.answer import SHARED, cost
from corpus.composing.coverage import visible_share
from corpus.composing.layout import (
    GRID,
    HIGH,
    LOW,
    Look,
    affordable,
    all_apart,
    colour_for,
    fitted,
    in_places,
    named_apart,
    on_canvas,
    placed,
    radius,
    shows_on,
    size_for,
)
from corpus.composing.plain import side_by_side
from corpus.composing.scene import Item, Relation, Scene
from corpus.composing.shapes import SHAPES

SHAPE_SHARE = 0.15  # of the things
ROWS = {2: (80, 176), 3: (48, 128, 208), 4: (40, 96, 160, 216), 5: (32, 80, 128, 176, 224)}
FLAT_TOPS = ("table", "square", "rectangle", "bus", "bridge", "hat")
STANDING = (
    "cat bear rabbit bird penguin apple pear cup bottle lamp clock candle cake ball hat bell robot gift snowman book"
).split()
ROOMY = ("circle", "square", "hexagon", "diamond", "ring")
LEFT_FREE = (0.55, 0.9)  # share of what stands behind that is to be seen

KINDS = {"one": 15, "several": 20, "related": 35, "inside": 8, "on": 9, "behind": 8, "between": 5}  # of 100 scenes
BUDGET = 205  # tokens for the things of a scene
LEAST = 60  # that a thing takes, or little more
Found = tuple[list[Item | None], tuple[Relation, ...]]


def pair_scene(draw: Random, kind: str) -> Scene | None:
    """Return a scene of a kind of KINDS, or None where the choices did not fit together: then draw again."""
    background = draw.choice(colours.BACKGROUNDS) if draw.random() < (0.25 if kind == "several" else 0.5) else ""
    paper = background or "white"
    items, relations = MAKERS[kind](draw)
    if not items or not all(items) or not named_apart(items):
        return None
    touching = {frozenset((a, *b)) for a, relation, *b in relations if relation in ("inside", "on", "behind", "before")}
    on_paper = items[:1] if kind == "inside" and items[0].thing != "ring" else items
    if not all_apart(items, touching) or not all(shows_on(item, paper) for item in on_paper):
        return None
    return Scene(2, tuple(items), relations, background)


def look(draw: Random, size: str | None = None, tokens: float = BUDGET) -> Look:
    kind = SHAPES if draw.random() < SHAPE_SHARE else list(things.pictograms())
    options = affordable(kind, tokens) or ["circle"]
    thing = draw.choices(options, [cost(thing) for thing in options])[0]
    return thing, colour_for(draw, thing), size_for(draw) if size is None else size


def two_looks(draw: Random) -> tuple[Look, Look]:
    """Two things that the answer has room for, in either order."""
    one = look(draw, tokens=BUDGET - LEAST)
    other = look(draw, tokens=BUDGET - cost(one[0]))
    return (one, other) if draw.random() < 0.5 else (other, one)


def one(draw: Random) -> Found:
    return [placed(draw, look(draw))], ()


def several(draw: Random) -> Found:
    return [in_a_row(draw, draw.choice(GRID), tokens=BUDGET)], ()


def in_a_row(draw: Random, y: int, most: int = 5, tokens: float = BUDGET) -> Item | None:
    """Two to five of a thing; from three on they are small, whether or not it is said."""
    count = draw.choice([n for n in (2, 2, 3, 3, 3, 4, 5) if n <= most])
    size = "" if count == 2 else draw.choice(("", "", "small"))
    its = look(draw, size, tokens / count + SHARED)
    r = radius(its[0], size if count == 2 else "small")
    spots = tuple((x, y) for x in ROWS[count])
    if count == 4 and draw.random() < 0.5:
        spots = tuple((x, y) for y in (72, 184) for x in (72, 184))
    return in_places(its, spots, r)


def related(draw: Random) -> Found:
    relation = draw.choice(("left", "right", "above", "below", "beside"))
    if relation in ("above", "below") and draw.random() < 0.2:
        first, second = (LOW, HIGH) if relation == "above" else (HIGH, LOW)
        row = in_a_row(draw, draw.choice(first), most=3, tokens=BUDGET - LEAST)
        left = BUDGET - cost(row.thing) * row.count if row else BUDGET
        return [row, fitted(draw, (128,), second, look(draw, tokens=left))], ((0, relation, 1),)
    side = draw.choice(("left", "right")) if relation == "beside" else relation
    items, relations = side_by_side(draw, side, two_looks(draw), (LOW, GRID, HIGH))
    return items, tuple((a, relation, *others) for a, _, *others in relations)


def inside(draw: Random) -> Found:
    thing, colour, _ = look(draw)
    outer = fitted(draw, GRID[2:-2], GRID[2:-2], (draw.choice(ROOMY), draw.choice(colours.THINGS), "large"))
    if outer is None or thing == outer.thing:
        return [], ()
    inner = Item(thing, colour, outer.spots, radius(thing, "small"), "small")
    if not shows_on(inner, outer.colour):
        return [], ()
    return [outer, inner], ((1, "inside", 0),)


def on(draw: Random) -> Found:
    top = draw.choice(FLAT_TOPS)
    below = fitted(draw, GRID[1:-1], HIGH, (top, colour_for(draw, top), draw.choice(("", "", "large"))))
    thing = draw.choice(STANDING)
    size = draw.choice(("", "small"))
    if below is None or thing == top:
        return [], ()
    above = Item(thing, colour_for(draw, thing), ((0, 0),), radius(thing, size), size)
    y = below.bounds()[1] - above.bounds()[3]
    above = Item(thing, above.colour, ((below.spots[0][0], y),), above.r, size)
    return [below, above] if on_canvas(above.bounds()) else [], ((1, "on", 0),)


def behind(draw: Random) -> Found:
    """A large thing, and a smaller one that hides a corner of it."""
    one, other = two_looks(draw)
    rear = fitted(draw, GRID[3:-3], GRID[3:-3], (*one[:2], "large"))
    its = (*other[:2], draw.choice(("", "small")))
    if rear is None:
        return [], ()
    x, y = rear.spots[0]
    spot = x + draw.choice((-48, -32, 32, 48)), y + draw.choice((16, 32, 48))
    front = in_places(its, (spot,), radius(its[0], its[2]))
    if front is None or not shows_on(front, rear.colour or "white") or front.thing == rear.thing:
        return [], ()
    accents = () if rear.is_shape else things.accents(rear.thing)
    if front.colour and not all(colours.differ(front.colour, accent) for accent in accents):
        return [], ()
    low, high = LEFT_FREE
    rear = Item(rear.thing, rear.colour, rear.spots, rear.r, draw.choice(("", "large")))
    relation = (0, "behind", 1) if draw.random() < 0.5 else (1, "before", 0)
    return [rear, front] if low <= visible_share(rear, front) <= high else [], (relation,)


def between(draw: Random) -> Found:
    y = draw.choice(GRID)
    looks = [look(draw, "", BUDGET / 3 + 8) for _ in range(3)]
    spots = [((x, y),) for x in (128, 48, 208)]
    items = [in_places(its, spot, radius(its[0], "small")) for its, spot in zip(looks, spots, strict=True)]
    return items, ((0, "between", 1, 2),)


MAKERS = {
    "one": one, "several": several, "related": related, "inside": inside, "on": on, "behind": behind,
    "between": between,
}  # fmt: skip
