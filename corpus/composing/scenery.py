"""Level 3: things that stand on a ground under a sky, by day, at dusk or at night."""

from dataclasses import dataclass
from random import Random

from corpus.composing import colours, things
from corpus.composing.ground import RISES
from corpus.composing.layout import (
    HIGH,
    LOW,
    MIDDLE,
    all_apart,
    colour_for,
    fitted,
    in_places,
    named_apart,
    radius,
    shows_on,
)
from corpus.composing.scene import Ground, Item, Relation, Scene

SKIES = {"day": ("light-blue",), "dusk": ("purple", "pink", "orange"), "night": ("navy", "black")}
LAND = (
    "house", "tree", "pine tree", "palm tree", "flower", "mushroom", "tower", "lighthouse", "castle", "windmill",
    "tent", "car", "bus", "train", "truck", "snowman", "bear", "rabbit", "cat", "penguin", "robot", "fire", "mountain",
    "volcano", "cactus", "bridge", "rocket", "door", "chair", "table",
)  # fmt: skip
FITTING = {  # ground → what stands there more often than anywhere
    "sea": ["boat", "boat", "boat", "lighthouse", "bridge", "airplane"],
    "desert": ["cactus", "palm tree", "tent"],
    "snow": ["snowman", "pine tree", "penguin"],
    "field": ["tree", "house", "flower", "windmill"],
    "hills": ["house", "castle", "tree", "windmill", "tower"],
    "forest": ["tent", "bear", "rabbit", "house", "mushroom", "fire"],
    "mountains": ["castle", "pine tree", "train", "tent"],
}
AFLOAT = ("boat", "lighthouse", "bridge", "penguin")
SKY = (
    "sun", "moon", "cloud", "star", "rainbow", "bird", "airplane", "kite", "balloon", "butterfly", "rocket", "planet",
    "hot air balloon", "flying saucer", "lightning bolt",
)  # fmt: skip
BY_NIGHT = ("moon", "star", "planet", "flying saucer", "rocket", "cloud", "lightning bolt")
NOT_BY_NIGHT = ("sun", "rainbow", "butterfly", "kite")


KINDS = {
    "empty": 6, "sky": 10, "land": 20, "several on land": 12, "neighbours": 20, "land under sky": 20, "land and sky": 12
}  # of 100 scenes  # fmt: skip


@dataclass(frozen=True)
class Country:
    colours: tuple[str, ...]  # the usual one first
    horizons: tuple[int, ...]


COUNTRIES = {
    "field": Country(("green", "yellow"), (160, 176)),
    "sea": Country(("blue", "teal"), (144, 160)),
    "desert": Country(("tan",), (160, 176)),
    "snow": Country(("white",), (160, 176)),
    "hills": Country(("green", "purple", "orange", "brown"), (176, 192)),
    "forest": Country(("green", "purple", "teal", "orange"), (144, 160)),
    "mountains": Country(("gray", "purple", "brown", "blue"), (160, 176)),
}


def scenery(draw: Random, kind: str) -> Scene | None:
    """Return a scene of a kind of KINDS, or None where the choices did not fit together: then draw again."""
    time = draw.choice(("day", "day", "dusk", "night"))
    sky = draw.choice(SKIES[time])
    name = draw.choice(list(COUNTRIES))
    country = COUNTRIES[name]
    colour = country.colours[0] if draw.random() < 0.6 else draw.choice(country.colours)
    ground = Ground(name, colour, draw.choice(country.horizons))
    if not colours.differ(colour, sky):
        return None
    items: list[Item | None] = []
    relations: tuple[Relation, ...] = ()
    if "neighbours" in kind:
        relation = draw.choice(("left", "right", "beside"))
        items = [standing(draw, ground, xs) for xs in ((HIGH, LOW) if relation == "right" else (LOW, HIGH))]
        relations = ((0, relation, 1),)
    elif "land" in kind:
        items = [standing(draw, ground, LOW + MIDDLE + HIGH, draw.choice((2, 3)) if "several" in kind else 1)]
    on_land = len(items)
    if "sky" in kind:
        items.append(in_the_sky(draw, time))
        if "under" in kind:
            relations = ((0, "below", 1),)
    if not all(items) or not named_apart(items) or not all_apart(items):
        return None
    if not all(shows_on(item, sky) for item in items):
        return None
    if not all(shows_before(item, ground) for item in items[:on_land]):
        return None
    summit = ground.horizon - RISES.get(ground.name, 0)
    if any(item.bounds(i)[3] > summit for item in items[on_land:] for i in range(item.count)):
        return None
    said = "" if (time == "day" and draw.random() < 0.8) or draw.random() < 0.15 else time
    tells_ground = colour != country.colours[0] or draw.random() < 0.4
    wording = {"on_land": on_land, "tells_ground": tells_ground}
    return Scene(3, tuple(items), relations, sky, ground, said, wording)


def shows_before(item: Item, ground: Ground) -> bool:
    """Is it told from the ground? What has its colour high up stands out from the sky, unless the ground rises too."""
    if ground.name in RISES and ground.name != "hills":
        return shows_on(item, ground.colour)
    grows = "tree" in item.thing and item.size != "small"
    return grows or not item.colour or colours.differ(item.colour, ground.colour)


def standing(draw: Random, ground: Ground, xs: tuple[int, ...], count: int = 1) -> Item | None:
    """One or several of a thing on the ground, at one of the places."""
    thing = draw.choice(FITTING[ground.name]) if draw.random() < 0.6 else draw.choice(LAND)
    if ground.name == "sea" and thing not in AFLOAT:
        return None
    size = draw.choice(("", "", "", "large", "small"))
    colour, r = colour_for(draw, thing), radius(thing, size)
    foot = Item(thing, colour, ((0, 0),), r).bounds()[3]
    y = (ground.horizon + draw.choice((8, 16, 24)) - foot) // 8 * 8 + 8
    if count > 1:
        spots = tuple((x, y) for x in {2: (80, 176), 3: (56, 128, 200)}[count])
        item = in_places((thing, colour, size), spots, r)
    else:
        item = fitted(draw, xs, (y,), (thing, colour, size))
    tells = bool(colour) and draw.random() < 0.6
    return item and Item(thing, colour_said(item, tells), item.spots, item.r, size, "", tells)


def colour_said(item: Item, tells: bool) -> str:
    """A thing whose colour is not told has its usual one."""
    return item.colour if tells else things.pictograms()[item.thing].colours[0]


def in_the_sky(draw: Random, time: str) -> Item | None:
    thing = draw.choice(BY_NIGHT if time == "night" and draw.random() < 0.8 else ("sun", "cloud", "rainbow", *SKY))
    if (time == "night" and thing in NOT_BY_NIGHT) or (time == "day" and thing in ("moon", "star", "planet")):
        return None
    count = draw.choice((1, 2, 3)) if thing in ("star", "cloud", "bird", "balloon") else 1
    colour = colour_for(draw, thing)
    if count > 1:
        y = draw.choice((40, 48))
        item = in_places((thing, colour, ""), tuple((x, y) for x in {2: (80, 176), 3: (48, 128, 208)}[count]),
                         radius(thing, "small"))  # fmt: skip
    else:
        item = fitted(draw, LOW + MIDDLE + HIGH, LOW[:2], (thing, colour, draw.choice(("", "small"))))
    tells = bool(colour) and draw.random() < 0.6
    return item and Item(thing, colour_said(item, tells), item.spots, item.r, item.size, "", tells)
