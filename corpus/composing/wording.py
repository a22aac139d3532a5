"""Descriptions of scenes, in many wordings: up to 25 words, in lower case, without a full stop."""

from random import Random

from corpus.composing import colours
from corpus.composing.names import NUMBERS, OTHER_NAMES, plural, with_articles
from corpus.composing.scene import Item, Scene
from corpus.composing.words_of_scenery import described_scenery

SIZES = {"small": ("small", "small", "small", "tiny", "little"), "large": ("large", "large", "large", "big", "huge")}
RELATIONS = {
    "left": ("to the left of", "to the left of", "left of", "on the left of"),
    "right": ("to the right of", "to the right of", "right of", "on the right of"),
    "above": ("above", "above", "over"),
    "below": ("below", "below", "under", "beneath"),
    "inside": ("inside", "inside", "within", "in the middle of"),
    "on": ("on top of", "on top of", "on", "sitting on", "standing on"),
    "behind": ("behind", "behind", "partly hidden by", "partly hidden behind"),
    "before": ("in front of", "in front of", "standing in front of"),
    "beside": ("next to", "beside", "next to", "by the side of"),
    "between": ("between",),
}
REVERSED = {
    "left": "to {its} left", "right": "to {its} right", "above": "above {it}", "below": "below {it}",
    "inside": "inside {it}", "on": "on top of {it}", "behind": "behind {it}", "before": "in front of {it}",
    "beside": "next to {it}",
}  # fmt: skip
PLACES = {
    "center": ("in the center", "in the middle", "at the center"),
    "top": ("at the top", "near the top"),
    "bottom": ("at the bottom", "near the bottom"),
    "left": ("on the left", "on the left side"),
    "right": ("on the right", "on the right side"),
}
CORNERS = ("in the {} corner", "in the {}", "at the {}")
BACKGROUNDS = ("on a {} background", "on a {} background", "against a {} background", "on {}", "on solid {}")
ALONE = ("{}", "{}", "{}", "an icon of {}", "a picture of {}")
FEWEST, MOST = 5, 25  # words; of a thing alone there may be fewer
CANONICAL = 0.75  # share of things by their first name


def described(draw: Random, scene: Scene) -> str | None:
    """Return a description of the scene that says all it claims; None where it came out too short or too long."""
    names = [named(draw, item) for item in scene.items]
    text = described_scenery(draw, scene, names) if scene.ground else on_background(draw, scene, names)
    text = with_articles(text)
    return text if (FEWEST if scene.level else 1) <= len(text.split()) <= MOST else None


def on_background(draw: Random, scene: Scene, names: list[str]) -> str:
    said = related(draw, scene, names) if scene.relations else in_places(draw, scene, names)
    if not scene.level:
        said = draw.choice(ALONE).format(said)
    if not scene.background:
        return said
    background = draw.choice(BACKGROUNDS).format(colours.words(scene.background))
    return f"{background}, {said}" if draw.random() < 0.2 else f"{said} {background}"


def related(draw: Random, scene: Scene, names: list[str]) -> str:
    a, relation, b, *c = scene.relations[0]
    others = " and ".join([names[b], *(names[i] for i in c)])
    way = draw.random()
    turned = a > b if scene.level == 1 else way >= 0.7  # level 1 draws in the order of the words
    if relation == "between" or not turned:
        verb = ("are" if scene.items[a].count > 1 else "is") + " "
        return f"{names[a]} {verb if way < 0.1 else ''}{draw.choice(RELATIONS[relation])} {others}"
    several = scene.items[b].count > 1
    where = REVERSED[relation].format(its="their" if several else "its", it="them" if several else "it")
    return f"{names[b]} with {names[a]} {where}"


def in_places(draw: Random, scene: Scene, names: list[str]) -> str:
    parts = [f"{name} {place(draw, item)}".strip() for name, item in zip(names, scene.items, strict=True)]
    return draw.choice((" and ", ", ", ", and ")).join(parts)


def named(draw: Random, item: Item) -> str:
    """ "a small orange diamond", "three apples" """
    name = item.thing
    if name in OTHER_NAMES and draw.random() > CANONICAL:
        name = draw.choice(OTHER_NAMES[name])
    size = draw.choice(SIZES[item.size]) if item.size in SIZES else ""
    colour = colours.words(item.colour) if item.tells_colour else ""
    count = "a" if item.count == 1 else NUMBERS[item.count]
    name = name if item.count == 1 else plural(name)
    return " ".join(filter(None, (count, size, colour, name)))


def place(draw: Random, item: Item) -> str:
    if item.place in PLACES:
        return draw.choice(PLACES[item.place])
    other = item.place.replace("top", "upper").replace("bottom", "lower")
    return draw.choice(CORNERS).format(draw.choice((item.place, other))) if item.place else ""
