"""Level 3: things that stand on a ground under a sky, by day, at dusk or at night."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from corpus.composing import colours, things
from corpus.composing.answer import SHARED, cost, tokens_about
from corpus.composing.ground import RISES
from corpus.composing.ground import element as ground_element
from corpus.composing.layout import (
    HIGH,
    LOW,
    MIDDLE,
    affordable,
    all_apart,
    colour_for,
    fitted,
    in_places,
    named_apart,
    radius,
    suits,
)
from corpus.composing.scene import Ground, Item, Relation, Scene

SKIES = {"day": ("light-blue",), "dusk": ("purple", "pink", "orange"), "night": ("navy", "black")}
LAND = (
    "house", "tree", "pine tree", "palm tree", "flower", "mushroom", "tower", "lighthouse", "castle", "windmill",
    "tent", "car", "bus", "train", "truck", "snowman", "bear", "rabbit", "cat", "penguin", "robot", "fire", "mountain",
    "volcano", "cactus", "rocket",
)  # fmt: skip
FITTING = {  # ground → what stands there more often than anywhere
    "sea": ["boat", "boat", "lighthouse", "lighthouse", "bridge"],
    "desert": ["cactus", "palm tree", "tent"],
    "snow": ["snowman", "pine tree", "penguin"],
    "field": ["tree", "house", "flower", "windmill"],
    "hills": ["house", "castle", "tree", "windmill", "tower"],
    "forest": ["tent", "bear", "rabbit", "house", "mushroom", "fire"],
    "mountains": ["castle", "pine tree", "train", "tent"],
}
BUDGET = 198  # tokens for the ground and the things of a scene
TIGHT = 8  # tokens more, for what then often is just too long
LEAST_ON_LAND = 85  # tokens
LEAST = 75  # that most things in the sky take
SKY = (
    "sun", "moon", "cloud", "star", "rainbow", "bird", "airplane", "kite", "balloon", "butterfly", "rocket", "planet",
    "hot air balloon", "flying saucer", "lightning bolt",
)  # fmt: skip
_NIGHT = ("moon", "star", "planet", "flying saucer", "rocket", "cloud", "lightning bolt", "moon", "star")
AFLOAT = ("boat", "lighthouse", "bridge")
BY_TIME = {
    "day": tuple(thing for thing in SKY if thing not in ("moon", "star", "planet")),
    "dusk": SKY,
    "night": _NIGHT,
}
FLOCKS = ("star", "cloud", "bird", "balloon")


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


_OF_100 = {
    "empty": 3, "sky": 10, "land": 22, "several on land": 12, "neighbours": 18, "land under sky": 22, "land and sky": 13
}  # fmt: skip
KINDS = {  # an outline that rises leaves no room for much more
    (kind, ground): weight
    for kind, weight in _OF_100.items()
    for ground in COUNTRIES
    if ground not in RISES or kind in ("empty", "sky", "land")
}


def scenery(draw: Random, of: tuple[str, str]) -> Scene | None:
    """Return a scene of a kind of KINDS, or None where the choices did not fit together: then draw again."""
    kind, name = of
    time, country = draw.choice(("day", "day", "dusk", "night")), COUNTRIES[name]
    colour = country.colours[0] if draw.random() < 0.6 else draw.choice(country.colours)
    ground = Ground(name, colour, draw.choice(country.horizons))
    land, above = things_for(draw, kind, ground, time)
    if len(land) < ("land" in kind) + 2 * ("neighbours" in kind) or len(above) < ("sky" in kind):
        return None
    skies = [sky for sky in SKIES[time] if colours.differ(colour, sky) and all(suits(t, sky) for t in land + above)]
    if not skies:
        return None
    sky = draw.choice(skies)
    relations: tuple[Relation, ...] = ()
    places = [LOW + MIDDLE + HIGH]
    if "neighbours" in kind:
        relation = draw.choice(("left", "right", "beside"))
        relations, places = ((0, relation, 1),), [HIGH, LOW] if relation == "right" else [LOW, HIGH]
    if "several" in kind:
        items = [several_standing(draw, land, ground, sky)]
    else:
        items = [standing(draw, thing, ground, sky, xs) for thing, xs in zip(land, places, strict=False)]
    on_land = len(items)
    if above:
        items.append(in_the_sky(draw, above, sky))
        relations = ((0, "below", 1),) if "under" in kind else relations
    if not all(items) or not named_apart(items) or not all_apart(items):
        return None
    summit = ground.horizon - RISES.get(ground.name, 0)
    if any(item.bounds(i)[3] > summit for item in items[on_land:] for i in range(item.count)):
        return None
    said = "" if (time == "day" and draw.random() < 0.8) or draw.random() < 0.15 else time
    tells_ground = colour != country.colours[0] or draw.random() < 0.4
    wording = {"on_land": on_land, "tells_ground": tells_ground}
    return Scene(3, tuple(items), relations, sky, ground, said, wording)


def things_for(draw: Random, kind: str, ground: Ground, time: str) -> tuple[list[str], list[str]]:
    """Return the things on the ground and those in the sky, one name for each; as many as the answer has room for."""
    room = BUDGET - tokens_about(ground_element(ground))
    land: list[str] = []
    above: list[str] = []
    standing_here = FITTING[ground.name] if draw.random() < 0.6 or ground.name == "sea" else LAND
    if "neighbours" in kind:
        options = AFLOAT if ground.name == "sea" else LAND
        land += pick(draw, options, room + TIGHT - LEAST_ON_LAND)
        land += pick(draw, options, room + TIGHT - sum(map(cost, land)))
    elif "several" in kind:
        count = draw.choice((2, 3))
        land += pick(draw, standing_here, room / count + SHARED) * count
    elif "land" in kind:
        land += pick(draw, standing_here, room - (LEAST if "sky" in kind else 0))
    if "sky" in kind:
        above += pick(draw, BY_TIME[time], room - sum(map(cost, land)))
        if above and above[0] in FLOCKS:
            above *= draw.randint(1, max(1, min(3, int((room - sum(map(cost, land))) // cost(above[0])))))
    return land, above


def pick(draw: Random, options: Sequence[str], tokens: float) -> list[str]:
    """Return one thing, or none; elaborate ones, for which there is seldom room, as often as it is there."""
    found = affordable(options, tokens)
    return draw.choices(found, [cost(thing) ** 2 for thing in found]) if found else []


def standing(draw: Random, thing: str, ground: Ground, sky: str, xs: tuple[int, ...]) -> Item | None:
    size = draw.choice(("", "", "", "large", "small"))
    colour = colour_on_land(draw, thing, ground, sky, size)
    if colour is None:
        return None
    item = fitted(draw, xs, (foot(draw, thing, ground, size),), (thing, colour, size))
    return item and replace(item, tells_colour=tells(draw, thing, colour))


def several_standing(draw: Random, land: list[str], ground: Ground, sky: str) -> Item | None:
    size = draw.choice(("", "small"))
    colour = colour_on_land(draw, land[0], ground, sky, size) if land else None
    if colour is None:
        return None
    y = foot(draw, land[0], ground, size)
    spots = tuple((x, y) for x in {2: (80, 176), 3: (56, 128, 200)}[len(land)])
    item = in_places((land[0], colour, size), spots, radius(land[0], size))
    return item and replace(item, tells_colour=tells(draw, land[0], colour))


def foot(draw: Random, thing: str, ground: Ground, size: str) -> int:
    """Return where the middle of a thing is that stands on the ground, a little below the horizon."""
    bottom = Item(thing, "", ((0, 0),), radius(thing, size)).bounds()[3]
    return (ground.horizon + draw.choice((8, 16, 24)) - bottom) // 8 * 8 + 8


def colour_on_land(draw: Random, thing: str, ground: Ground, sky: str, size: str) -> str | None:
    """Return a colour that is told from the sky, and from the ground: what grows high need not be, on flat land."""
    behind = [sky] if thing in ("tree", "palm tree") and size != "small" else [sky, ground.colour]
    if ground.name in ("forest", "mountains"):
        behind = [sky, ground.colour]
        if not suits(thing, ground.colour):
            return None
    return colour_for(draw, thing, behind)


def in_the_sky(draw: Random, above: list[str], sky: str) -> Item | None:
    thing, count = above[0], len(above)
    colour = colour_for(draw, thing, [sky])
    if colour is None:
        return None
    if count > 1:
        y = draw.choice((40, 48))
        spots = tuple((x, y) for x in {2: (80, 176), 3: (48, 128, 208)}[count])
        item = in_places((thing, colour, ""), spots, radius(thing, "small"))
    else:
        item = fitted(draw, LOW + MIDDLE + HIGH, LOW[:2], (thing, colour, draw.choice(("", "small"))))
    return item and replace(item, tells_colour=tells(draw, thing, colour))


def tells(draw: Random, thing: str, colour: str) -> bool:
    """Does the description tell the colour? Always, where it is not the usual one."""
    return bool(colour) and (colour != things.pictograms()[thing].colours[0] or draw.random() < 0.5)
